"""A dataset by the name that people type."""

from annotation.models import PreferenceDataset
from workspace.errors import ActionError
from workspace.models import Project

NAMED = 20


def find_dataset(project: Project, name: str) -> PreferenceDataset:
    """The newest version of this name; `NAME@2` is the second one. Raises ActionError, naming those there are."""
    datasets = project.preference_datasets
    found = datasets.filter(name=name).order_by("-version").first()
    stem, at, version = name.rpartition("@")
    if found is None and at and version.isascii() and version.isdigit() and len(version) < 9:
        found = datasets.filter(name=stem, version=int(version)).first()
    if found is None:
        known = datasets.order_by("-pk").values_list("name", flat=True)
        names = ", ".join(list(dict.fromkeys(known[:NAMED]))) or "none yet"
        raise ActionError(
            f"The project {project.slug} has no dataset {name}. There is: {names}.", code="no_such_dataset"
        )
    return found
