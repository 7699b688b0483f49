"""For whom a batch is, in words."""

from annotation.assigning.actions import batch_audience
from annotation.models import Batch


def audience_words(batch: Batch) -> str:
    """In one line: "for ada and the group experts; all of german, python; at most 20 a person"."""
    now = batch_audience(batch)
    groups = [f"the group {name}" for name in now["groups"]]
    said = []
    if now["people"] or groups:
        said.append("for " + ", ".join([*now["people"], *groups]))
    if now["skills"]:
        rule = "" if len(now["skills"]) == 1 else f"{now['skills_asked']} of "
        said.append(f"needs {rule}{', '.join(now['skills'])}")
    if now["person_quota"]:
        said.append(f"at most {now['person_quota']} a person")
    return "; ".join(said) or "for everybody"
