"""For whom a batch is, in words."""

from django.utils.translation import gettext

from annotation.assigning.actions import batch_audience
from annotation.models import Batch


def audience_words(batch: Batch) -> str:
    """In one line: "for ada and the group experts; all of german, python; at most 20 a person"."""
    now = batch_audience(batch)
    groups = [gettext("the group %(name)s") % {"name": name} for name in now["groups"]]
    said = []
    if now["people"] or groups:
        said.append(gettext("for %(names)s") % {"names": ", ".join([*now["people"], *groups])})
    if now["skills"]:
        rule = "" if len(now["skills"]) == 1 else gettext("%(now)s of ") % {"now": now["skills_asked"]}
        said.append(gettext("needs %(rule)s%(now)s") % {"rule": rule, "now": ", ".join(now["skills"])})
    if now["person_quota"]:
        said.append(gettext("at most %(now)s a person") % {"now": now["person_quota"]})
    return "; ".join(said) or gettext("for everybody")
