"""The criterion that somebody named, or the project's only one."""

from workspace.errors import ActionError
from workspace.models import Criterion, Project


def find_criterion(project: Project, name: str | None) -> Criterion:
    """Raises ActionError for an unknown name, and without a name in a project of several criteria."""
    known = {criterion.name: criterion for criterion in project.criteria.order_by("pk")}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        problem = "has several criteria" if name is None else f"has no criterion {name}"
        raise ActionError(
            f"The project {project.slug} {problem}: name one with --criterion ({', '.join(known)}).",
            code="which_criterion",
        )
    return known[name]
