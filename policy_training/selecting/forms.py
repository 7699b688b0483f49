"""What a manager says to have a policy chosen, on the frontier's page."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from policy_training.models import Policy, PolicyComparison, PolicyEvaluation, PolicySelection
from policy_training.policy_fields import PoliciesField
from policy_training.selecting.queries import Group
from workspace.forms import StyledFormMixin


class SelectForm(StyledFormMixin, forms.Form):
    """Of one group of policies that were measured alike."""

    policies = PoliciesField(Policy.objects.none(), label=gettext_lazy("Policies"))
    rule = forms.ChoiceField(
        choices=PolicySelection.Rule.choices,
        initial=PolicySelection.Rule.BEST_REWARD,
        label=gettext_lazy("Rule"),
    )
    max_kl = forms.FloatField(
        required=False,
        min_value=0,
        label=gettext_lazy("Highest KL, nats an answer"),
        help_text=gettext_lazy("Of “highest mean reward within a KL” alone."),
    )
    judged_by = forms.ChoiceField(
        required=False,
        choices=[("", gettext_lazy("not asked for")), *PolicySelection.JudgedBy.choices],
        label=gettext_lazy("Who says who wins"),
        help_text=gettext_lazy(
            "Of “highest win rate against the reference” alone; not asked for: the reward model."
        ),
    )
    pin = forms.BooleanField(
        required=False,
        label=gettext_lazy("Make it the project's selected policy"),
        help_text=gettext_lazy("Rounds may start from it."),
    )

    def __init__(self, data: Any = None, *, group: Group, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.group = group
        keys = [one.policy.pk for one in group.measurements]
        policies = self.fields["policies"]
        assert isinstance(policies, forms.ModelMultipleChoiceField)
        policies.queryset = Policy.objects.filter(pk__in=keys).order_by("pk")
        policies.initial = keys
        self.add_bootstrap_classes()

    @property
    def checked(self) -> list[int]:
        return [int(key) for key in self["policies"].value() or [] if str(key).isdigit()]

    def asked(self) -> dict[str, Any]:
        """The arguments of select_policy, without who asks and the project."""
        values = self.cleaned_data
        wanted = {policy.pk for policy in values["policies"]}
        rows = {one.made_by for one in self.group.measurements if one.policy.pk in wanted}
        return {
            "policies": list(values["policies"]),
            "evaluations": [row for row in rows if isinstance(row, PolicyEvaluation)],
            "comparisons": [row for row in rows if isinstance(row, PolicyComparison)],
            **{name: values[name] for name in ("rule", "max_kl", "judged_by", "pin")},
        }
