"""Policies selected and pinned, for programs."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request

from policy_training.access import access_policy
from policy_training.models import PolicyComparison, PolicyEvaluation, PolicySelection, SelectedPolicy
from policy_training.selecting.actions import pin_policy, select_policy, unpin_policy
from policy_training.selecting.queries import selected_policy
from policy_training.selecting.wording import reason_of, settled_text
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, JsonValue
from workspace.api.operations import operation
from workspace.roles import Capability


class PolicySelectionSerializer(serializers.ModelSerializer[PolicySelection]):
    policy: Any = serializers.IntegerField(source="policy_id")
    chosen_by: Any = serializers.CharField(source="chosen_by.username")
    reason = serializers.SerializerMethodField(help_text="In a sentence.")
    settled = serializers.SerializerMethodField(
        help_text="Whether the difference to the second is more than chance; empty without a second."
    )
    report = JsonValue(
        help_text="candidates: [{policy, name, measured_by, reward, standard_error, kl, win_rate, admitted, "
        "difference}]; runner_up, a place among them; prompts; reward_model; reference."
    )

    class Meta:
        model = PolicySelection
        fields = [
            "id", "policy", "rule", "max_kl", "judged_by", "reason", "settled", "report", "chosen_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_reason(self, selection: PolicySelection) -> str:
        return reason_of(selection)

    def get_settled(self, selection: PolicySelection) -> str:
        return settled_text(selection)


class SelectionQuery(PageQuery):
    order = OrderField("id")
    policy = serializers.IntegerField(required=False, **KEY)


class SelectBody(Body):
    rule = serializers.ChoiceField(PolicySelection.Rule.values)
    policies = serializers.ListField(
        child=serializers.IntegerField(**KEY), default=list, help_text="Left out: all that were measured."
    )
    evaluations = serializers.ListField(child=serializers.IntegerField(**KEY), default=list)
    comparisons = serializers.ListField(child=serializers.IntegerField(**KEY), default=list)
    max_kl = serializers.FloatField(
        required=False, min_value=0, help_text="Nats an answer, of reward_within_kl."
    )
    judged_by = serializers.ChoiceField(
        PolicySelection.JudgedBy.values,
        required=False,
        help_text="Of best_win_rate; left out: the reward model.",
    )
    pin = serializers.BooleanField(default=False, help_text="Make it the project's selected policy.")


class Selections(ProjectApiView):
    @operation(Capability.REVIEW, lists=PolicySelectionSerializer, query=SelectionQuery)
    def get(self, request: Request) -> QuerySet[PolicySelection]:
        """Which policies were chosen, by which rule and why."""
        return PolicySelection.objects.filter(project=self.project).select_related("policy", "chosen_by")

    @operation(Capability.MANAGE, body=SelectBody, answers=PolicySelectionSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> PolicySelection:
        """Choose one of several policies that were measured alike, by a rule."""
        evaluations = PolicyEvaluation.objects.filter(policy__project=self.project)
        comparisons = PolicyComparison.objects.filter(project=self.project)
        return select_policy(
            **data
            | {
                "actor": self.actor,
                "project": self.project,
                "policies": [access_policy(self.project, key) for key in data["policies"]],
                "evaluations": _rows(
                    evaluations.select_related("policy", "reward_model", "reference", "produced_by"),
                    data["evaluations"],
                ),
                "comparisons": _rows(
                    comparisons.select_related("policy", "reward_model", "produced_by"), data["comparisons"]
                ),
            }
        )


def _rows(rows: Any, keys: list[int]) -> list[Any]:
    found = rows.in_bulk(keys)
    if missing := [key for key in keys if key not in found]:
        raise Http404(f"No measurement {missing[0]}.")
    return [found[key] for key in dict.fromkeys(keys)]


class SelectedPolicySerializer(serializers.ModelSerializer[SelectedPolicy]):
    policy: Any = serializers.IntegerField(source="policy_id")
    selection: Any = serializers.IntegerField(
        source="selection_id", allow_null=True, help_text="null: pinned by hand."
    )
    pinned_by: Any = serializers.CharField(source="pinned_by.username")

    class Meta:
        model = SelectedPolicy
        fields = ["policy", "selection", "pinned_by", "pinned_at"]
        read_only_fields = fields


class PinBody(Body):
    policy = serializers.IntegerField(**KEY)
    selection = serializers.IntegerField(required=False, help_text="That chose it.", **KEY)


class ProjectsSelectedPolicy(ProjectApiView):
    @operation(Capability.REVIEW, answers=SelectedPolicySerializer)
    def get(self, request: Request) -> SelectedPolicy:
        """The policy that the project goes on with; 404 where none is pinned."""
        found = selected_policy(self.project)
        if found is None:
            raise Http404("No policy is pinned.")
        return found

    @operation(Capability.MANAGE, body=PinBody, answers=SelectedPolicySerializer)
    def post(self, request: Request, data: dict[str, Any]) -> SelectedPolicy:
        """Pin a policy, in the place of the one before."""
        key = data.get("selection")
        selection = None
        if key is not None:
            selection = PolicySelection.objects.filter(project=self.project, pk=key).first()
            if selection is None:
                raise Http404("No such selection.")
        return pin_policy(
            actor=self.actor,
            project=self.project,
            policy=access_policy(self.project, data["policy"]),
            selection=selection,
        )

    @operation(Capability.MANAGE, status=204)
    def delete(self, request: Request) -> None:
        """Take the pin away."""
        unpin_policy(actor=self.actor, project=self.project)
