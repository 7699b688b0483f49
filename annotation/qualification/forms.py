"""What a manager sets of known answers, repeats and trainings; forms parse, actions decide."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from annotation.judging.gold import MAX_ORDERS
from annotation.models import Batch, Training
from annotation.preferences.written_orders import parse_order
from annotation.qualification.actions import MAX_ITEMS, MAX_TRIES, SETTINGS
from workspace.forms import ShownValuesForm, StyledFormMixin, whole_number
from workspace.models import Criterion, Project
from workspace.project_settings import CHECKS, MAX_REPEAT_AFTER
from workspace.shown_values import shown_of


def _percent(share: float) -> int:
    return round(100 * share)


class ChecksForm(ShownValuesForm):
    gold_share = whole_number(
        0,
        50,
        label=gettext_lazy("Known answers, %"),
        help_text=gettext_lazy("Of each person's tasks. Nobody who judges can tell which they are."),
    )
    repeat_share = whole_number(
        0,
        20,
        label=gettext_lazy("Tasks a second time, %"),
        help_text=gettext_lazy(
            "Of each person's own, in the opposite order; 3 to 5 is usual. The worker prepares them."
        ),
    )
    repeat_after = whole_number(
        1,
        MAX_REPEAT_AFTER,
        label=gettext_lazy("After how many others"),
        help_text=gettext_lazy("Tasks between the first and the second time."),
    )

    def __init__(self, *args: object, project: Project, **kwargs: object) -> None:
        kwargs["initial"] = {
            "gold_share": _percent(project.gold_share),
            "repeat_share": _percent(project.repeat_share),
            "repeat_after": project.repeat_after,
            "shown": shown_of(project, CHECKS),
        }
        kwargs.setdefault("auto_id", "checks_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()

    def values(self) -> dict[str, Any]:
        return {
            "gold_share": self.cleaned_data["gold_share"] / 100,
            "repeat_share": self.cleaned_data["repeat_share"] / 100,
            "repeat_after": self.cleaned_data["repeat_after"],
        }


class TrainingForm(ShownValuesForm):
    items = whole_number(1, MAX_ITEMS, label=gettext_lazy("Tasks of a try"))
    needed = whole_number(1, MAX_ITEMS, label=gettext_lazy("So many of them right to pass"))
    max_tries = whole_number(1, MAX_TRIES, label=gettext_lazy("Tries"))
    is_on = forms.BooleanField(
        required=False,
        label=gettext_lazy("On"),
        help_text=gettext_lazy("Off: nobody is asked for it, and no work waits for it."),
    )
    for_everybody = forms.BooleanField(
        required=False,
        label=gettext_lazy("Before all work of the project"),
        help_text=gettext_lazy("Off: only before batches that require it (set on the batch's page)."),
    )

    def __init__(self, *args: object, training: Training, **kwargs: object) -> None:
        kwargs["initial"] = {name: getattr(training, name) for name in SETTINGS} | {
            "shown": shown_of(training, SETTINGS)
        }
        kwargs.setdefault("auto_id", "training_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in SETTINGS}


class NewTrainingForm(StyledFormMixin, forms.Form):
    name = forms.CharField(
        max_length=80, widget=forms.TextInput(attrs={"dir": "auto"}), label=gettext_lazy("Name")
    )
    criterion = forms.ModelChoiceField(
        queryset=Criterion.objects.none(), empty_label=None, label=gettext_lazy("Criterion")
    )
    kind = forms.ChoiceField(
        choices=[
            (Batch.Kind.PAIRWISE.value, gettext_lazy("Pairs")),
            (Batch.Kind.RANKING.value, gettext_lazy("Rankings")),
        ],
        label=gettext_lazy("It asks"),
    )

    def __init__(self, *args: object, project: Project, **kwargs: object) -> None:
        kwargs.setdefault("auto_id", "new_training_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["criterion"].queryset = project.criteria.order_by("pk")  # type: ignore[attr-defined]
        self.add_bootstrap_classes()


class KnownAnswerForm(StyledFormMixin, forms.Form):
    """`order_*` of an answer: its tier, 1 is best; `step_*`: how much better a tier is than the next."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    tolerance = forms.TypedChoiceField(
        choices=[
            ("", gettext_lazy("Which answer is better is enough")),
            ("0", gettext_lazy("Exactly this")),
            ("1", gettext_lazy("One place of the scale off")),
            ("2", gettext_lazy("Two places off")),
            ("3", gettext_lazy("Three places off")),
        ],
        required=False,
        empty_value=None,
        coerce=int,
        label=gettext_lazy("What counts as right"),
    )
    least_pairs = whole_number(
        1,
        100,
        label=gettext_lazy("Pairs of answers that have to be right, %"),
        help_text=gettext_lazy("Of a ranking; of a pair there is one."),
    )
    also_right = forms.CharField(
        required=False, max_length=2_000, label=gettext_lazy("Other orders that are right as well"),
        widget=forms.Textarea(attrs={"rows": 2, "dir": "ltr"}),
    )  # fmt: skip
    explanation = forms.CharField(
        required=False,
        max_length=20_000,
        label=gettext_lazy("Why"),
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
        help_text=gettext_lazy(
            "Markdown. Shown after the task in a training; of gold tasks only managers read it."
        ),
    )

    def __init__(self, *args: object, labels: list[str], **kwargs: object) -> None:
        kwargs.setdefault("auto_id", "known_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.labels = labels
        example, first, second = " > ".join(reversed(labels)), *labels[:2]
        self.fields["also_right"].help_text = (
            f"One a line, at most {MAX_ORDERS}, as in {example}; = for a tie. With how much better where that matters: "
            f"{second} >2 {first} (0 barely, 1 a little, 2 better, 3 much better)."
        )
        for label in labels:
            self.fields[f"order_{label}"] = whole_number(
                1, len(labels), label=gettext("Place of answer %(label)s (1 is best)") % {"label": label}
            )
        strengths = [
            ("", gettext("not said")),
            ("0", gettext("barely better")),
            ("1", gettext("a little better")),
            ("2", "better"),
            ("3", gettext("much better")),
        ]
        for step in range(1, len(labels)):
            self.fields[f"step_{step}"] = forms.TypedChoiceField(
                choices=strengths,
                required=False,
                coerce=int,
                empty_value=None,
                label=gettext("How much better")
                if len(labels) == 2
                else gettext("Place %(step)s before place %(step2)s") % {"step": step, "step2": step + 1},
            )
        if len(labels) == 2:
            self.fields["least_pairs"].required = False
            self.fields["least_pairs"].widget = forms.HiddenInput()
        self.order_fields(
            [*(f"order_{label}" for label in labels), *(f"step_{step}" for step in range(1, len(labels)))]
        )
        self.add_bootstrap_classes()

    def clean_also_right(self) -> list[dict[str, Any]]:
        lines = [line for line in self.cleaned_data["also_right"].splitlines() if line.strip()]
        try:
            orders = [parse_order(line, self.labels) for line in lines]
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return [{"tiers": tiers, "strengths": strengths} for tiers, strengths in orders]

    def order(self) -> tuple[list[list[str]], list[int | None]]:
        """(tiers of labels, strengths); places need not be dense."""
        ranks = {label: self.cleaned_data[f"order_{label}"] for label in self.labels}
        values = sorted(set(ranks.values()))
        tiers = [[label for label in self.labels if ranks[label] == value] for value in values]
        return tiers, [self.cleaned_data.get(f"step_{value}") for value in values[:-1]]
