"""What a manager sets of known answers, repeats and trainings; forms parse, actions decide."""

from typing import Any

from django import forms

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
        label="Known answers, %",
        help_text="Of each person's tasks. Nobody who judges can tell which they are.",
    )
    repeat_share = whole_number(
        0, 20, label="Tasks a second time, %",
        help_text="Of each person's own, in the opposite order; 3 to 5 is usual. The worker prepares them.",
    )  # fmt: skip
    repeat_after = whole_number(
        1,
        MAX_REPEAT_AFTER,
        label="After how many others",
        help_text="Tasks between the first and the second time.",
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
    items = whole_number(1, MAX_ITEMS, label="Tasks of a try")
    needed = whole_number(1, MAX_ITEMS, label="So many of them right to pass")
    max_tries = whole_number(1, MAX_TRIES, label="Tries")
    is_on = forms.BooleanField(
        required=False, label="On", help_text="Off: nobody is asked for it, and no work waits for it."
    )
    for_everybody = forms.BooleanField(
        required=False,
        label="Before all work of the project",
        help_text="Off: only before batches that require it (set on the batch's page).",
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
    name = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"dir": "auto"}))
    criterion = forms.ModelChoiceField(queryset=Criterion.objects.none(), empty_label=None)
    kind = forms.ChoiceField(
        choices=[(Batch.Kind.PAIRWISE.value, "Pairs"), (Batch.Kind.RANKING.value, "Rankings")],
        label="It asks",
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
        choices=[("", "Which answer is better is enough"), ("0", "Exactly this"), ("1", "One place of the scale off"),
                 ("2", "Two places off"), ("3", "Three places off")],
        required=False, empty_value=None, coerce=int, label="What counts as right",
    )  # fmt: skip
    least_pairs = whole_number(
        1,
        100,
        label="Pairs of answers that have to be right, %",
        help_text="Of a ranking; of a pair there is one.",
    )
    also_right = forms.CharField(
        required=False, max_length=2_000, label="Other orders that are right as well",
        widget=forms.Textarea(attrs={"rows": 2, "dir": "ltr"}),
    )  # fmt: skip
    explanation = forms.CharField(
        required=False, max_length=20_000, label="Why",
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
        help_text="Markdown. Shown after the task in a training; of gold tasks only managers read it.",
    )  # fmt: skip

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
                1, len(labels), label=f"Place of answer {label} (1 is best)"
            )
        strengths = [
            ("", "not said"),
            ("0", "barely better"),
            ("1", "a little better"),
            ("2", "better"),
            ("3", "much better"),
        ]
        for step in range(1, len(labels)):
            self.fields[f"step_{step}"] = forms.TypedChoiceField(
                choices=strengths, required=False, coerce=int, empty_value=None,
                label="How much better" if len(labels) == 2 else f"Place {step} before place {step + 1}",
            )  # fmt: skip
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
