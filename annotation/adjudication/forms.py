"""The decision on a task, as a form without a script: the scale of a pair, or a place for each answer of a ranking."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from annotation.models import DisagreementKind
from annotation.preferences.scale import SCALE_POINTS, STRENGTH_CHOICES, TIE, labels_to_responses
from annotation.preferences.validation import MAX_RATIONALE_CHARACTERS
from workspace.forms import StyledFormMixin


def _scale_choices() -> list[tuple[int, str]]:
    said = [
        (
            point,
            gettext("%(label)s is %(strength)s") % {"label": label, "strength": STRENGTH_CHOICES[strength]},
        )
        for point, (label, strength) in SCALE_POINTS.items()
    ]
    return [*said[:4], (TIE, "A tie"), *said[4:]]


class DecisionForm(StyledFormMixin, forms.Form):
    kind = forms.ChoiceField(
        choices=[("", gettext_lazy("Choose")), *DisagreementKind.choices],
        label=gettext_lazy("Why they disagree"),
    )
    rationale = forms.CharField(
        required=False,
        max_length=MAX_RATIONALE_CHARACTERS,
        widget=forms.Textarea({"rows": 3, "dir": "auto"}),
        label=gettext_lazy("Why you decide so"),
        help_text=gettext_lazy("For who reads the decision later."),
    )
    expected = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, order_shown: list[int], expected: int | None) -> None:
        super().__init__(data, initial={"expected": expected})
        self.order_shown = order_shown
        self.key_of = labels_to_responses(order_shown)
        if len(order_shown) == 2:
            choice = forms.TypedChoiceField(
                choices=_scale_choices(), coerce=int, widget=forms.RadioSelect, label=gettext("Your decision")
            )
            self.fields = {"scale": choice} | self.fields
        else:
            places = [
                ("", gettext("Choose")),
                *((place, str(place)) for place in range(1, len(order_shown) + 1)),
            ]
            ranks = {
                f"place_{label}": forms.TypedChoiceField(
                    choices=places, coerce=int, label=gettext("Place of answer %(label)s") % {"label": label}
                )
                for label in self.key_of
            }
            self.fields = {**ranks, **self.fields}
        self.add_bootstrap_classes()
        if "scale" in self.fields:
            self.fields["scale"].widget.attrs["class"] = "form-check-input"

    def place_fields(self) -> list[Any]:
        return [self[name] for name in self.fields if name.startswith("place_")]

    def decision(self) -> dict[str, Any]:
        """tiers and strengths, in response keys. The same place is a tie; a ranking's steps have no strength."""
        if "scale" in self.fields:
            point = self.cleaned_data["scale"]
            if point == TIE:
                return {"tiers": [self.order_shown], "strengths": []}
            better, strength = SCALE_POINTS[point]
            keys = sorted(self.order_shown, key=lambda key: key != self.key_of[better])
            return {"tiers": [[key] for key in keys], "strengths": [strength]}
        by_place: dict[int, list[int]] = {}
        for label, key in self.key_of.items():
            by_place.setdefault(self.cleaned_data[f"place_{label}"], []).append(key)
        tiers = [by_place[place] for place in sorted(by_place)]
        return {"tiers": tiers, "strengths": [None] * (len(tiers) - 1)}
