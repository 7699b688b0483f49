"""What forms ask about the prompt sets that a policy is trained on: several sets with shares in place of one.

The same words are asked by commands (arguments.py) and by programs (policy_training/api/mixture_fields.py).
"""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from learning.interface.options import UserError
from policy_training.mixtures.options import REFUSE, TOP_UP, PromptMixture, SetShare
from runs.models import Run

WEIGHTS, NUMBERS = "weights", "numbers"
MEANINGS = [
    (WEIGHTS, gettext_lazy("shares (5 and 2: five prompts of one for two of the other)")),
    (NUMBERS, gettext_lazy("numbers of prompts")),
]
WHEN_SHORT = [
    (REFUSE, gettext_lazy("nothing is started")),
    (TOP_UP, gettext_lazy("the other sets give what is missing")),
]
MAX_SETS = 100


def share_lines(mixture_sets: list[tuple[str, float]]) -> str:
    """As the field has it: a set a line."""
    return "\n".join(
        f"{name} = {amount}" if amount % 1 else f"{name} = {int(amount)}" for name, amount in mixture_sets
    )


def parsed_shares(text: str) -> list[tuple[str, float]]:
    """(name, amount) of each line `NAME = NUMBER`. Raises UserError naming the line."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, sign, amount = line.rpartition("=")
        try:
            found.append((name.strip(), float(amount.strip().replace(",", "."))))
        except ValueError:
            sign = ""
        if not sign:
            raise UserError(
                gettext("“%(line)s”: write a prompt set and its number on each line, for example helpful = 5")
                % {"line": line[:100]}
            )
    return found


def mixture_of(
    shares: list[tuple[str, float]], *, by_numbers: bool, when_short: str, prompts: int | None = None
) -> PromptMixture:
    """Raises UserError."""
    try:
        for name, amount in shares:
            if by_numbers and amount % 1:
                raise ValueError(f"the number of prompts of “{name}” is {amount:g}: write a whole number")
        return PromptMixture(
            sets=tuple(
                SetShare(prompt_set=name, prompts=int(amount))
                if by_numbers
                else SetShare(prompt_set=name, weight=amount)
                for name, amount in shares
            ),
            when_short=when_short,  # type: ignore[arg-type]
            prompts=prompts,
        )
    except (ValueError, OverflowError) as error:
        raise UserError(f"{error}.") from error


def mixture_of_run(run: Run) -> dict[str, Any]:
    """The fields that ask for what a run was given, for one like it: the numbers that were drawn."""
    shares = [share for share in run.parameters.get("prompt_mixture") or () if share["prompts"]]
    if not shares:
        return {}
    lines = share_lines([(share["name"], share["prompts"]) for share in shares])
    return {"trained_sets": lines, "trained_are": NUMBERS}


def sets_field(label: Any, help_text: Any) -> forms.CharField:
    return forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        label=label,
        help_text=help_text,
    )


class TrainedMixtureFields(forms.Form):
    """Mixed into forms of trainings. What is empty is of the one prompt set. Cleaned: `trained_mixture`, or None."""

    trained_sets = sets_field(
        gettext_lazy("Sets of the prompts that the policy is trained on"),
        gettext_lazy(
            "One on each line with its share, for example helpful = 5. Only the training side is used. Empty: the "
            "prompt set above, all of it."
        ),
    )
    trained_are = forms.ChoiceField(
        required=False, choices=MEANINGS, label=gettext_lazy("The numbers of those trained on are")
    )
    trained_prompts = forms.IntegerField(
        required=False,
        min_value=1,
        label=gettext_lazy("Prompts to train on"),
        help_text=gettext_lazy("Of shares; empty: as many as the smallest set allows."),
    )
    trained_short = forms.ChoiceField(
        required=False, choices=WHEN_SHORT, label=gettext_lazy("When a set has too few to train on")
    )

    mixture_names: tuple[str, ...] = ("trained_sets", "trained_are", "trained_prompts", "trained_short")

    def mixture_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.mixture_names]

    def mixtures_are_asked(self) -> bool:
        asked = (name for name in self.mixture_names if name.endswith(("_sets", "_prompts")))
        return any(self[name].value() for name in asked) or any(
            self[name].errors for name in self.mixture_names
        )

    def asked_mixture(self, use: str, prompts: int | None = None) -> PromptMixture | None:
        values = self.cleaned_data
        shares = values.get(f"{use}_sets") or ""
        if not shares.strip() and prompts is None:
            return None
        try:
            return mixture_of(
                parsed_shares(shares),
                by_numbers=values.get(f"{use}_are") == NUMBERS,
                when_short=values.get(f"{use}_short") or REFUSE,
                prompts=prompts,
            )
        except UserError as error:
            self.add_error(f"{use}_sets", str(error))
            return None

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        values["trained_mixture"] = self.asked_mixture("trained", values.get("trained_prompts"))
        return values
