"""Forms of who gets what; they parse, actions decide."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from annotation.assigning.actions import ALL, ANY, MAX_PRIORITY, MAX_TASKS, member_work, project_daily_limit
from annotation.assigning.actions import batch_audience as audience_of
from annotation.models import Batch, MemberTag
from workspace.forms import ShownValuesForm, whole_number
from workspace.models import Membership, Project, User
from workspace.shown_values import digest_of


class NamesField(forms.CharField):
    """Names with commas between, as a list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False, max_length=2000, widget=forms.TextInput(attrs={"dir": "auto"}), **kwargs
        )

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        return [name.strip() for name in super().clean(value).split(",") if name.strip()]


def _limit(**described: Any) -> forms.IntegerField:
    return whole_number(1, MAX_TASKS, required=False, **described)


class _WorkForm(ShownValuesForm):
    limits: tuple[str, ...] = ()

    def __init__(self, data: Any, now: dict[str, Any]) -> None:
        super().__init__(data, initial=now | {"shown": digest_of(now)})
        self.add_bootstrap_classes()

    def values(self) -> dict[str, Any]:
        # An empty field takes the limit away.
        return {
            name: value or 0 if name in self.limits else value for name, value in super().values().items()
        }


class DailyLimitForm(_WorkForm):
    limits = ("daily_limit",)
    daily_limit = _limit(
        label=gettext_lazy("Tasks a person a day"),
        help_text=gettext_lazy(
            "Of everybody without a limit of their own. Empty: no limit. A day begins at midnight in the "
            "project's time zone."
        ),
    )

    def __init__(self, data: Any, project: Project) -> None:
        super().__init__(data, {"daily_limit": project_daily_limit(project)})


class MemberWorkForm(_WorkForm):
    limits = ("daily_limit",)
    groups = NamesField(
        help_text=gettext_lazy(
            "With commas between, for example experts, night shift. A batch can be for a group."
        ),
        label=gettext_lazy("Groups"),
    )
    skills = NamesField(
        label=gettext_lazy("Skills and languages"),
        help_text=gettext_lazy("With commas between, for example german, python. A batch can ask for them."),
    )
    daily_limit = _limit(
        label=gettext_lazy("Tasks a day"), help_text=gettext_lazy("Empty: the project's limit.")
    )

    def __init__(self, data: Any, membership: Membership) -> None:
        super().__init__(data, member_work(membership))


class AudienceFields(forms.Form):
    """Who gets a batch. Call `offer` when the form is made; what has no choices is not asked."""

    people = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label=gettext_lazy("People")
    )
    groups = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Nobody and no group ticked: everybody on the project."),
        label=gettext_lazy("Groups"),
    )
    skills = forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Skills and languages"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Asked for on top, of whoever it is for."),
    )
    skills_asked = forms.ChoiceField(
        label=gettext_lazy("They need"),
        choices=[(ANY, gettext_lazy("any of these")), (ALL, gettext_lazy("all of these"))],
    )
    person_quota = _limit(
        label=gettext_lazy("Tasks one person may judge of it"),
        help_text=gettext_lazy("Empty: as many as there are. Known answers do not count."),
    )

    def offer(self, project: Project, now: Mapping[str, Any]) -> None:
        members = project.memberships.filter(user__kind=User.Kind.PERSON).order_by("user__username")
        self._offer("people", {*members.values_list("user__username", flat=True), *now.get("people", ())})
        for field, kind in (("groups", MemberTag.Kind.GROUP), ("skills", MemberTag.Kind.SKILL)):
            tags = MemberTag.objects.filter(membership__project=project, kind=kind)
            self._offer(field, {*tags.values_list("name", flat=True), *now.get(field, ())})
        if not self.fields["skills"].choices:  # type: ignore[attr-defined]
            del self.fields["skills_asked"]
        for name in ("people", "groups", "skills"):
            if not self.fields[name].choices:  # type: ignore[attr-defined]
                del self.fields[name]

    def _offer(self, field: str, names: set[str]) -> None:
        self.fields[field].choices = [(name, name) for name in sorted(names)]  # type: ignore[attr-defined]
        self.fields[field].widget.attrs["class"] = "form-check-input"


AUDIENCE_FIELDS = ("people", "groups", "skills", "skills_asked", "person_quota")


def chosen_audience(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of a form's cleaned values; None: everybody, without a limit."""
    chosen = {name: values[name] for name in AUDIENCE_FIELDS if values.get(name)}
    if "skills" not in chosen:
        chosen.pop("skills_asked", None)
    return chosen or None


class AudienceForm(AudienceFields, _WorkForm):
    limits = ("person_quota",)
    priority = whole_number(
        -MAX_PRIORITY,
        MAX_PRIORITY,
        help_text=gettext_lazy("The batch with the highest number is handed out first."),
        label=gettext_lazy("Priority"),
    )

    def __init__(self, data: Any, batch: Batch) -> None:
        now = audience_of(batch)
        super().__init__(data, now)
        self.offer(batch.project, now)
