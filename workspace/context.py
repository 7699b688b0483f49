"""What every page's navigation needs."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from workspace.access import role_in


def navigation(request: HttpRequest) -> dict[str, Any]:
    """`role`: the visitor's role on the project of this page (set by the view as request.project), or None."""
    project = getattr(request, "project", None)
    if project is None:
        return {}
    return {"project": project, "role": SimpleLazyObject(lambda: role_in(request.user, project))}
