"""A batch by its name, for commands."""

from annotation.models import Batch
from workspace.errors import ActionError
from workspace.models import Project


def find_batch(project: Project, name: str) -> Batch:
    """Raises ActionError."""
    batch: Batch | None = project.batches.filter(name=name, visible=True).first()
    if batch is None:
        raise ActionError(f"The project {project.slug} has no batch named “{name}”.", code="no_batch")
    return batch
