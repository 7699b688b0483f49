"""The criterion that somebody named, or the project's only one."""

from workspace.asked import Asked, UnfitQuestion
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


def require_criteria(project: Project, asked: Asked) -> None:
    """Raises UnfitQuestion for a mark of a criterion that the project does not have."""
    there = list(project.criteria.order_by("pk").values_list("name", flat=True))
    faults = {
        f"marks.{number}.criteria": f"There is no criterion “{missing}”; these are: {', '.join(there)}."
        for number, mark in enumerate(asked.marks)
        for missing in [next((name for name in mark.criteria if name not in there), None)]
        if missing is not None
    }
    if faults:
        raise UnfitQuestion(next(iter(faults.values())), fields=faults)
