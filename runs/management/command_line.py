"""What commands have in common that ask for runs or name one."""

from runs.models import Run
from workspace.errors import ActionError
from workspace.models import Project


def find_run(project: Project, number: int) -> Run:
    """Raises ActionError."""
    found = Run.objects.filter(project=project, pk=number).first()
    if found is None:
        raise ActionError(f"The project has no run {number}.", code="no_run")
    return found


def queued_line(run: Run) -> str:
    return f"Queued run {run.pk}: {run.title}. `manage.py worker` executes it."
