"""The form that trains a policy by DPO: on which judgments, from which policy, by which preset."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from policy_training.dpo.actions import dpo_config
from policy_training.models import Policy
from policy_training.policy_fields import PolicyField, StartField, offer_starts, policies_of, unused_name_like
from policy_training.run_kinds import DPO
from policy_training.training.dpo import presets as preset_module
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.dpo.presets import DPO_PRESETS
from rewardmodel.forms import JudgmentsForm
from rewardmodel.previews import preview_judgments
from runs.models import Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import preset_choices
from workspace.errors import ActionError
from workspace.forms import offer_rows
from workspace.models import Project


class TrainDPOForm(JudgmentsForm):
    presets = preset_choices(DPO_PRESETS, dpo_config, preset_module)
    sections = sections_of(DPOConfig, leave_out=("model.source", "criterion"))
    kinds = (DPO.name,)

    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the new policy"))
    start = StartField(Policy.objects.none(), label=gettext_lazy("Start from"), empty_label=None)
    reference = PolicyField(
        Policy.objects.none(),
        required=False,
        label=gettext_lazy("Held near"),
        empty_label=gettext_lazy("the policy it starts from"),
        help_text=gettext_lazy("The reference: of the same line, so that both have one tokenizer."),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(self, reference=policies_of(project))
        offer_starts(self)
        # A reward model's form has losses of ratings, too.
        self.fields["ratings"].help_text = gettext_lazy(
            "Its name in files. Of the answers to one prompt, what an annotator rated higher is better; equal "
            "ratings are ties. Empty: ratings are left out."
        )

    def values_of(self, run: Run) -> dict[str, Any]:
        start, reference = run.parameters.get("parent"), run.parameters.get("reference")
        return super().values_of(run) | {
            "name": unused_name_like(run, self.project),
            "start": start,
            "reference": reference if reference != start else None,
        }

    def asked(self) -> dict[str, Any]:
        """The arguments of train_dpo, without who asks."""
        values, judgments = self.cleaned_data, self.asked_judgments()
        config = dpo_config(judgments.pop("preset"), judgments.pop("assignments"))
        return judgments | {"config": config, "start": values["start"], "reference": values["reference"]}


def preview_dpo(form: TrainDPOForm) -> dict[str, Any]:
    """{facts: [(label, number)], notes, missing}"""
    try:
        config = dpo_config(form.cleaned_data["preset"], form.assignments())
    except ActionError as error:
        return {"missing": str(error)}
    return preview_judgments(form, config, loss=config["objective"]["loss"])
