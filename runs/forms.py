"""What a manager changes of a run."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from runs.actions import LIMITS
from runs.models import Run
from runs.time_limits import MAX_MINUTES
from workspace.forms import ShownValuesForm, whole_number
from workspace.shown_values import shown_of


class TimeLimitForm(ShownValuesForm):
    time_limit_minutes: forms.IntegerField = whole_number(
        1,
        MAX_MINUTES,
        required=False,
        label=gettext_lazy("Minutes, at most"),
        help_text=gettext_lazy(
            "Of each start. Then it is stopped with a checkpoint, and Retry goes on from there. Empty: as the "
            "site has it."
        ),
    )

    def __init__(self, data: Any = None, *, run: Run) -> None:
        values = {"time_limit_minutes": run.time_limit_minutes, "shown": shown_of(run, LIMITS)}
        super().__init__(data, initial=values)
        self.add_bootstrap_classes()

    def values(self) -> dict[str, Any]:
        return {"minutes": self.cleaned_data["time_limit_minutes"]}
