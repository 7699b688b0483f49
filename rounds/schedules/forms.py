"""When a round starts: the second half of the form that starts one."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy

from learning.interface.options import UserError
from rounds.models import Trigger
from rounds.schedules.triggers import When, after_judgments, after_round, at_time, every_week
from workspace.forms import StyledFormMixin
from workspace.models import Project

NOW = "now"


class WhenForm(StyledFormMixin, forms.Form):
    """Now, or one of the four triggers of a schedule with its value."""

    when = forms.ChoiceField(
        required=False,
        initial=NOW,
        choices=[(NOW, gettext_lazy("Now")), *Trigger.choices],
        widget=forms.RadioSelect,
        label=gettext_lazy("When"),
    )
    # The zone is the project's, not the one that Django reads such fields in.
    at = forms.CharField(
        required=False,
        label=gettext_lazy("Day and time"),
        widget=forms.TextInput(attrs={"type": "datetime-local"}),
    )
    weekday = forms.TypedChoiceField(
        required=False,
        coerce=int,
        choices=list(WEEKDAYS.items()),
        initial=0,
        label=gettext_lazy("Day of the week"),
    )
    time_of_day = forms.TimeField(
        required=False,
        label=gettext_lazy("Time"),
        initial="09:00",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    judgments = forms.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, label=gettext_lazy("New judgments")
    )
    repeats = forms.BooleanField(
        required=False,
        label=gettext_lazy("Every time, not only once"),
        help_text=gettext_lazy("For the end of a round and for judgments."),
    )
    newest_policy = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("From the newest policy there is then, not from the one chosen above"),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = ZoneInfo(project.time_zone)
        self.add_bootstrap_classes()
        self.fields["when"].widget.attrs["class"] = "form-check-input"

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        try:
            values["when"] = self._when(values)
        except UserError as error:
            self.add_error(None, str(error))
        return values

    def _when(self, values: dict[str, Any]) -> When | None:
        """None: now. Raises UserError naming what is missing."""
        chosen, repeats = values.get("when") or NOW, bool(values.get("repeats"))
        if chosen == NOW:
            return None
        match Trigger(chosen):
            case Trigger.AT:
                return at_time(_wall_time(values.get("at", "")), self.zone)
            case Trigger.WEEKLY:
                if values.get("weekday") in (None, "") or values.get("time_of_day") is None:
                    raise UserError("Give the day of the week and the time at which a round starts.")
                return every_week(values["weekday"], values["time_of_day"])
            case Trigger.AFTER_ROUND:
                return after_round(repeats=repeats)
            case Trigger.JUDGMENTS:
                if values.get("judgments") is None:
                    raise UserError("Give the number of new judgments after which a round starts.")
                return after_judgments(values["judgments"], repeats=repeats)


def _wall_time(text: str) -> datetime:
    """As browsers send it: 2026-12-01T09:00, with or without seconds."""
    for form in ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    raise UserError("Give the day and the time at which the round starts, for example 2026-12-01 09:00.")
