"""Merging policies, and forking one: asked for by managers."""

import math
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource, RuntimeOptions
from policy_training.models import Policy
from policy_training.number_fields import NumbersField, weights_for
from policy_training.policy_fields import PoliciesField, policies_of, unused_name_like
from policy_training.registry import require_unused_name
from policy_training.run_kinds import MERGE
from policy_training.training.weights.config import MergeConfig, MergedModel
from runs.actions import queue_run
from runs.models import Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import PresetChoice, PresetForm
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.forms import offer_rows
from workspace.models import Project, User

MAX_MERGED = 16


def merge_policies(
    *, actor: User, project: Project, name: str, policies: Sequence[Policy], weights: Sequence[float] = ()
) -> Run:
    """Queue the weighted mean of policies' weights (none given: the plain mean); of one policy it is a fork of it.

    The parent of what comes out is the one with the largest weight, the first of several. Raises ActionError.
    """
    if not 1 <= len(policies) <= MAX_MERGED or len(set(policies)) != len(policies):
        raise ActionError(
            gettext("Name one to %(max_merged)s policies, and each once.") % {"max_merged": MAX_MERGED},
            code="no_policy",
        )
    require_of_project(project, *policies)
    given = weights_for(len(policies), weights, gettext("policies"))
    if not all(0 < weight < math.inf for weight in given):
        raise ActionError(gettext("Weights are numbers above 0."), code="bad_weights")
    require_unused_name(project, name)
    parent = max(zip(given, policies, strict=True), key=lambda pair: pair[0])[1]
    config = MergeConfig(
        models=tuple(
            MergedModel(source=ModelSource(path=str(policy.artifact.absolute_path)), weight=weight)
            for policy, weight in zip(policies, given, strict=True)
        ),
        runtime=RuntimeOptions(),
    )
    names = ", ".join(policy.name for policy in policies)
    return queue_run(
        actor=actor,
        project=project,
        kind=MERGE,
        title=(f"Merge {names} into {name}" if len(policies) > 1 else f"Fork {names} as {name}")[:200],
        config=options_to_dict(config),
        parameters={
            "name": name,
            "parent": parent.pk,
            "merged": [[policy.pk, weight] for policy, weight in zip(policies, given, strict=True)],
        },
    )


def merged_from(policy: Policy) -> list[tuple[Policy, float]]:
    """(policy, share) of what a merged policy was made of, largest first; [] for others."""
    pairs = policy.produced_by.parameters.get("merged") if policy.produced_by else None
    if not pairs or len(pairs) < 2:
        return []
    found = Policy.objects.filter(project=policy.project_id).in_bulk([pk for pk, _ in pairs])
    total = math.fsum(weight for _, weight in pairs)
    shares = [(found[pk], weight / total) for pk, weight in pairs if pk in found]
    return sorted(shares, key=lambda pair: -pair[1])


class MergeForm(PresetForm):
    presets = {
        "plain": PresetChoice(
            name="plain",
            source=gettext_noop("the weighted mean of the weights (Wortsman et al. 2022, model soups)"),
            config=lambda: options_to_dict(
                MergeConfig(models=(MergedModel(source=ModelSource(path="(filled in)")),))
            ),
            comments={},
        )
    }
    initial_preset = "plain"
    sections = sections_of(MergeConfig, leave_out=("runtime",))
    kinds = (MERGE.name,)

    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the new policy"))
    policies = PoliciesField(
        Policy.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Of one line: the same architecture and tokenizer. One alone is copied under the new name (a fork)."
        ),
        label=gettext_lazy("Policies"),
    )
    weights = NumbersField(
        help_text=gettext_lazy(
            "A number above 0 each, in the order of the list; empty: 1 each. Their sum is scaled to 1."
        ),
        label=gettext_lazy("Weights"),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(self, policies=policies_of(project))
        self.fields["policies"].widget.attrs["class"] = "form-check-input"
        del self.fields["processes"]  # one process reads one model after another

    def values_of(self, run: Run) -> dict[str, Any]:
        # As the list has them, newest first.
        pairs = sorted(run.parameters.get("merged") or [], reverse=True)
        return {
            "preset": self.initial_preset,
            "name": unused_name_like(run, self.project),
            "policies": [pk for pk, _ in pairs],
            "weights": " ".join(f"{weight:g}" for _, weight in pairs),
        }

    def asked(self) -> dict[str, Any]:
        """The arguments of merge_policies, without who asks."""
        values = self.cleaned_data
        return {
            "project": self.project,
            "name": values["name"],
            "policies": list(values["policies"]),
            "weights": values["weights"],
        }


def preview_merge(form: MergeForm) -> dict[str, Any]:
    """{facts: [(label, text)], notes, missing}"""
    asked = form.asked()
    try:
        weights = weights_for(len(asked["policies"]), asked["weights"], gettext("policies"))
    except ActionError as error:
        return {"missing": str(error)}
    if not all(0 < weight < math.inf for weight in weights):
        return {"missing": gettext("Weights are numbers above 0.")}
    total = math.fsum(weights)
    facts = [
        (policy.name, f"{100 * weight / total:.1f} %")
        for policy, weight in zip(asked["policies"], weights, strict=True)
    ]
    return {"facts": facts, "missing": ""}
