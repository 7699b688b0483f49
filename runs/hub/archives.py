"""A model as a download: its folder with its card, as an archive that is made while it is sent."""

from collections.abc import Callable, Sequence
from typing import Protocol

from django.http import Http404, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.text import slugify

from learning.interface.options import UserError
from runs.hub.files import HubFile, archive_of
from workspace.actions import record_audit
from workspace.models import Project, User


class NamedModel(Protocol):
    name: str
    project: Project
    pk: int


def archive_response(
    actor: User, model: NamedModel, find_files: Callable[[], Sequence[HubFile]]
) -> StreamingHttpResponse:
    """Raises Http404 where the folder is gone."""
    try:
        files = find_files()
    except UserError as error:
        raise Http404(str(error)) from error
    folder = slugify(f"{model.project.slug}-{model.name}", allow_unicode=True)
    record_audit(actor=actor, action="model.download", project=model.project, target=model)  # type: ignore[arg-type]
    response = StreamingHttpResponse(archive_of(files, folder), content_type="application/zip")
    response["Content-Disposition"] = content_disposition_header(True, f"{folder}.zip")
    return response
