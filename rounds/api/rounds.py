"""Rounds: started with the values of the site's form, watched, ended by hand, retried, cancelled, gone on from."""

import json
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.batches.progress import batch_progress
from learning.interface.options import UserError
from policy_training.api.mixture_fields import TrainedMixtureBody, form_mixtures, shares_field
from policy_training.api.reward_fields import (
    batches_field,
    form_rewards,
    functions_field,
    further_criteria_field,
    further_models_field,
    time_limits_field,
    weights_field,
)
from policy_training.mixtures.fields import MEANINGS, WHEN_SHORT
from policy_training.rewards import COMBINATIONS
from policy_training.selecting.queries import selected_policy
from policy_training.training.ppo.presets import PPO_PRESETS
from rewardmodel.training.presets import PRESETS as REWARD_MODEL_PRESETS
from rounds import actions, plan_options, ppo_options
from rounds.access import access_round
from rounds.api.steps import StepValues, steps_of
from rounds.forms import NAMED, StartRoundForm
from rounds.mixture_fields import AGAIN
from rounds.models import Round, RoundRun, Stage, StageEntry
from rounds.plan_changes import with_steps
from rounds.plans import LAST, PRESETS, SELECTED, RoundPlan
from rounds.steps import FIRST_POLICY, NAMED_POLICY
from runs.option_forms.fields import as_text
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, NATURAL, JsonValue
from workspace.api.operations import operation
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability

POSITIVE = NATURAL | {"min_value": 1}


class RoundSerializer(serializers.ModelSerializer[Round]):
    criterion: Any = serializers.CharField(source="criterion.name")
    prompt_set: Any = serializers.IntegerField(source="prompt_set_id")
    start_policy: Any = serializers.IntegerField(source="start_policy_id")
    comparison_policy: Any = serializers.IntegerField(source="comparison_policy_id", allow_null=True)
    batch: Any = serializers.IntegerField(source="batch_id", allow_null=True)
    dataset: Any = serializers.IntegerField(source="dataset_id", allow_null=True)
    reward_model: Any = serializers.IntegerField(source="reward_model_id", allow_null=True)
    new_policy: Any = serializers.IntegerField(source="new_policy_id", allow_null=True)
    started_by: Any = serializers.CharField(source="started_by.username")

    class Meta:
        model = Round
        fields = [
            "number", "stage", "failed_stage", "error", "criterion", "prompt_set", "start_policy",
            "comparison_policy", "batch", "dataset", "reward_model", "new_policy", "annotation_deadline",
            "started_by", "created_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class StageEntrySerializer(serializers.ModelSerializer[StageEntry]):
    class Meta:
        model = StageEntry
        fields = ["stage", "reason", "created_at"]
        read_only_fields = fields


class RoundRunSerializer(serializers.ModelSerializer[RoundRun]):
    run: Any = serializers.IntegerField(source="run_id")
    state = serializers.CharField(source="run.state")

    class Meta:
        model = RoundRun
        fields = ["run", "stage", "purpose", "step", "state"]
        read_only_fields = fields


class OneRoundSerializer(RoundSerializer):
    plan = JsonValue()
    timeline = StageEntrySerializer(source="stage_entries", many=True)
    runs = serializers.SerializerMethodField()
    counted_judgments = serializers.SerializerMethodField()

    class Meta(RoundSerializer.Meta):
        fields = [*RoundSerializer.Meta.fields, "plan", "timeline", "runs", "counted_judgments"]
        read_only_fields = fields

    @extend_schema_field(RoundRunSerializer(many=True))
    def get_runs(self, round_: Round) -> Any:
        runs = round_.round_runs.select_related("run").order_by("pk")
        return RoundRunSerializer(runs, many=True).data

    def get_counted_judgments(self, round_: Round) -> int:
        return batch_progress(round_.batch).counted if round_.batch else 0


class RoundQuery(PageQuery):
    order = OrderField("number")
    stage = serializers.ChoiceField(Stage.choices, required=False)


class RoundValues(TrainedMixtureBody):
    """What the site's form asks; what is left out is as the preset has it."""

    preset = serializers.ChoiceField(sorted(PRESETS))
    criterion = serializers.CharField(max_length=40, help_text="Its name.")
    start_policy = serializers.IntegerField(
        required=False, help_text="May be left out where `start_from` is selected.", **KEY
    )
    start_from = serializers.ChoiceField(
        [LAST, SELECTED, NAMED_POLICY],
        required=False,
        help_text="From which policy this round and those that follow it start: what the round before made, the "
        "project's selected one, or `start_policy` each time.",
    )
    prompt_set = serializers.IntegerField(help_text="One of purpose policy.", **KEY)
    compared_sets = shares_field("Of which sets the prompts are that people compare; none: of `prompt_set`.")
    compared_are = serializers.ChoiceField(MEANINGS, required=False)
    compared_short = serializers.ChoiceField([*WHEN_SHORT, AGAIN], required=False)
    sampling_server = serializers.CharField(
        max_length=60, required=False, help_text="A model server that writes the answers people judge."
    )
    sampling_model = serializers.CharField(
        max_length=200, required=False, help_text="What it calls the model; {policy}: the policy's name."
    )
    servers_may_be_away = serializers.BooleanField(
        default=False, help_text="Start although a model server that the plan names does not answer now."
    )
    prompts = serializers.IntegerField(required=False, **POSITIVE)
    responses_per_task = serializers.IntegerField(min_value=2, max_value=9, required=False)
    temperatures = serializers.ListField(
        child=serializers.FloatField(), min_length=1, max_length=20, required=False
    )
    max_prompt_tokens = serializers.IntegerField(required=False, **POSITIVE)
    max_response_tokens = serializers.IntegerField(required=False, **POSITIVE)
    reference = serializers.ChoiceField(["start_policy", FIRST_POLICY], required=False)
    further_reward_models = further_models_field()
    further_weights = weights_field()
    further_batches = batches_field()
    further_criteria = further_criteria_field()
    criterion_weights = weights_field()
    criterion_batches = batches_field()
    reward_functions = functions_field()
    function_weights = weights_field()
    function_time_limits = time_limits_field()
    reward_weight = serializers.FloatField(required=False, help_text="Of the round's own reward model.")
    reward_combination = serializers.ChoiceField(list(COMBINATIONS), required=False)
    normalize_models = serializers.BooleanField(default=False)
    safety_threshold = serializers.FloatField(min_value=0.0, max_value=1.0, required=False)
    risky_tag = serializers.CharField(max_length=200, required=False)
    spread_coefficient = serializers.FloatField(required=False)
    whiten_rewards = serializers.BooleanField(
        required=False, help_text="Scores of each step to mean 0 and variance 1; none: as the preset."
    )
    reference_policy = serializers.IntegerField(
        required=False, help_text="A policy that the KL penalty is against, in place of `reference`.", **KEY
    )
    ppo_preset = serializers.ChoiceField(sorted(PPO_PRESETS), required=False)
    policy_options = serializers.DictField(
        child=JsonValue(allow_null=True),
        required=False,
        help_text='PPO\'s options by their paths, for example {"algorithm.clip_range": null}.',
    )
    reward_model_preset = serializers.ChoiceField(sorted(REWARD_MODEL_PRESETS), required=False)
    reward_model_criteria = serializers.ListField(
        child=serializers.CharField(max_length=40),
        max_length=100,
        required=False,
        help_text="Names of criteria that the reward model learns beside `criterion`: one model for all of them.",
    )
    plan_options = serializers.DictField(
        child=JsonValue(allow_null=True),
        required=False,
        help_text='Other options of the plan by their paths, for example {"reward_model.data.epochs": 3}.',
    )
    steps = serializers.ListField(
        child=StepValues(),
        max_length=20,
        required=False,
        help_text="How the policy is trained, one recipe after another; none: by PPO.",
    )
    meet_previous = serializers.BooleanField(default=True)
    meet_first = serializers.BooleanField(default=False)
    meet_reference = serializers.BooleanField(default=False)
    batches = serializers.ListField(
        child=serializers.IntegerField(**KEY),
        max_length=1000,
        required=False,
        help_text="From which reward model and policy learn, beside the round's own; none: from all.",
    )
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False)
    quota = serializers.IntegerField(required=False, **POSITIVE)
    max_hours = serializers.FloatField(min_value=0.01, max_value=1e6, required=False)


class ReopenedAnnotation(Body):
    quota = serializers.IntegerField(required=False, **POSITIVE)


# Name of the values -> what stands before their paths on the form, and the options.
_OPTIONS = {
    "policy_options": (ppo_options.PREFIX, ppo_options.OPTIONS),
    "plan_options": ("", plan_options.OPTIONS),
}


def _option_values(values: dict[str, Any]) -> dict[str, Any]:
    """The form's fields of options and of the policy to hold the new one to. Raises ValidationError."""
    fields: dict[str, Any] = {}
    for asked, (prefix, options) in _OPTIONS.items():
        for path, value in values.pop(asked, {}).items():
            if (option := options.get(prefix + path)) is None:
                raise ValidationError({asked: [f"There is no option “{path}”."]})
            if value is None and not option.may_be_empty:
                raise ValidationError({asked: [f"{path}: must not be null."]})
            is_list = isinstance(value, list)
            fields[prefix + path] = (
                ppo_options.NONE if value is None else json.dumps(value) if is_list else as_text(value)
            )
    key = values.pop("reference_policy", None)
    if key is not None:
        if "reference" in values:
            raise ValidationError({"reference_policy": ["Give it or reference, not both."]})
        fields["reference"] = f"{NAMED}{key}"
    return fields


def planned(view: ProjectApiView, data: dict[str, Any]) -> dict[str, Any]:
    """Arguments of start_round and create_schedule, by the form of the site. Raises ValidationError, UserError."""
    values = form_mixtures(form_rewards(data))
    criterion = view.project.criteria.filter(name=values["criterion"]).first()
    if criterion is None:
        raise ValidationError({"criterion": ["The project has no such criterion."]})
    values["criterion"] = criterion.pk
    if "start_policy" not in values and values.get("start_from") == SELECTED:
        selected = selected_policy(view.project)
        if selected is None:
            raise ValidationError({"start_from": ["The project has no selected policy."]})
        values["start_policy"] = selected.policy_id
    if "temperatures" in values:
        values["temperatures"] = ", ".join(map(str, values["temperatures"]))
    paths = [f"{ppo_options.PREFIX}{path}" for path in values.get("policy_options", {})]
    asked_of_policy = ppo_options.are_of_ppo(paths) or "ppo_preset" in values
    given_steps = values.pop("steps", [])
    values |= _option_values(values)
    form = StartRoundForm(values, project=view.project)
    if not form.is_valid():
        raise ValidationError({name: list(map(str, faults)) for name, faults in form.errors.items()})
    try:
        plan: RoundPlan = form.plan()
    except UserError as error:
        for asked, (prefix, options) in _OPTIONS.items():
            if (option := ppo_options.option_named_in(str(error), options)) is not None:
                said = str(error).partition(": ")[2]
                raise ValidationError({asked: [f"{option.removeprefix(prefix)}: {said}"]}) from error
        raise
    chosen = form.chosen_rewards()
    plan = with_steps(plan, steps_of(view.project, given_steps, plan.policy, chosen), chosen)
    if asked_of_policy and not plan.uses_policy:
        raise ValidationError({"steps": ["None of them is PPO as policy_options and ppo_preset have it."]})
    return {
        "actor": view.actor,
        "project": view.project,
        "criterion": criterion,
        "prompt_set": form.cleaned_data["prompt_set"],
        "start_policy": form.cleaned_data["start_policy"],
        "plan": plan,
    }


class Rounds(ProjectApiView):
    @operation(Capability.REVIEW, lists=RoundSerializer, query=RoundQuery)
    def get(self, request: Request) -> QuerySet[Round]:
        """The project's rounds."""
        return self.project.rounds.select_related("criterion", "started_by").defer("plan", "head_to_head")

    @operation(Capability.MANAGE, body=RoundValues, answers=OneRoundSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Round:
        """Start a round."""
        return actions.start_round(**planned(self, data))


class OneRound(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneRoundSerializer)
    def get(self, request: Request, number: int) -> Round:
        """A round: its plan, how far it is, what it made."""
        return access_round(self.project, number)


class RoundActionView(ProjectApiView):
    def after(self, action: Callable[..., Round], number: int) -> Round:
        done = action(actor=self.actor, round_=access_round(self.project, number))
        return access_round(self.project, done.number)


class EndAnnotation(RoundActionView):
    @operation(Capability.MANAGE, answers=OneRoundSerializer)
    def post(self, request: Request, number: int) -> Round:
        """Go on with the judgments there are."""
        return self.after(actions.end_annotation, number)


class ReopenAnnotation(RoundActionView):
    @operation(Capability.MANAGE, body=ReopenedAnnotation, answers=OneRoundSerializer)
    def post(self, request: Request, data: dict[str, Any], number: int) -> Round:
        """Ask people again, after the reward model's training failed."""
        done = actions.reopen_annotation(
            actor=self.actor, round_=access_round(self.project, number), quota=data.get("quota")
        )
        return access_round(self.project, done.number)


class RetryRound(RoundActionView):
    @operation(Capability.MANAGE, answers=OneRoundSerializer)
    def post(self, request: Request, number: int) -> Round:
        """Go on from the stage that failed."""
        return self.after(actions.retry_round, number)


class CancelRound(RoundActionView):
    @operation(Capability.MANAGE, answers=OneRoundSerializer)
    def post(self, request: Request, number: int) -> Round:
        """End it; what it made stays."""
        return self.after(actions.cancel_round, number)


class ContinueRound(RoundActionView):
    @operation(Capability.MANAGE, answers=OneRoundSerializer, creates=True)
    def post(self, request: Request, number: int) -> Round:
        """Start the next round from its new policy, by the same plan."""
        return self.after(actions.start_next_round, number)
