"""Policies: language models whose responses people compare, and their family tree."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy

from annotation.models import PreferenceDataset, Source
from policy_training.selection_rules import (
    BEST_REWARD,
    BEST_WIN_RATE,
    LAST,
    ONE_STANDARD_ERROR,
    REWARD_WITHIN_KL,
)
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run
from runs.serving.service import Service
from workspace.cards import MAX_LICENCE_CHARACTERS
from workspace.models import Project


class Policy(models.Model):
    """A language model in a folder. Its responses carry `source`; policy -> response -> ... -> policy is the chain."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="policies")
    name = models.CharField(max_length=120)
    artifact = models.OneToOneField(Artifact, on_delete=models.PROTECT, related_name="policy")
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    reward_model = models.ForeignKey(
        RewardModel, on_delete=models.PROTECT, null=True, blank=True, related_name="policies"
    )
    # Whose judgments it learned from itself (DPO, answers put first), not through a reward model.
    dataset = models.ForeignKey(
        PreferenceDataset, on_delete=models.PROTECT, null=True, blank=True, related_name="policies"
    )
    produced_by = models.OneToOneField(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="policy"
    )
    source = models.OneToOneField(Source, on_delete=models.PROTECT, related_name="policy")
    # result.json of the run that made it, or {} for an imported one.
    report = models.JSONField(default=dict)
    # What others are told of it, on its card; no part of the model.
    licence = models.CharField(max_length=MAX_LICENCE_CHARACTERS, blank=True)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="unique_policy_name_per_project"),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("id")), name="policy_is_not_its_own_parent"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyEvaluation(models.Model):
    """What a reward model says of a policy's answers to a prompt set, and how far the policy is from a reference."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="evaluations")
    reward_model = models.ForeignKey(RewardModel, on_delete=models.PROTECT, related_name="policy_evaluations")
    reference = models.ForeignKey(
        Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="reference_of_evaluations"
    )
    # Its prompts may change later, its name stays with the figures; a set can be removed with its import.
    prompt_set = models.CharField(max_length=120)
    produced_by = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="policy_evaluation")
    report = models.JSONField(default=dict)  # result.json of the run
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.policy} by {self.reward_model} on {self.prompt_set}"


class BenchmarkFile(models.Model):
    """Tasks that policies are measured by: a file as it was sent, checked. Never changed, so that figures compare."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="benchmark_files")
    name = models.CharField(max_length=120)
    content = models.TextField(help_text="JSON Lines.")
    sha256 = models.CharField(max_length=64)
    summary = models.JSONField(help_text="Task -> {kind, items, examples}.")
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="unique_benchmark_file_name_per_project"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyBenchmark(models.Model):
    """How a policy did on the tasks of a file."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="benchmarks")
    file = models.ForeignKey(BenchmarkFile, on_delete=models.PROTECT, related_name="benchmarks")
    produced_by = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="policy_benchmark")
    report = models.JSONField(default=dict)  # result.json of the run
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.policy} on {self.file}"


class PolicyServing(Service):
    """A policy as a service: kept loaded for conversations (annotation.conversation)."""

    audit_name = "policy"

    policy = models.OneToOneField(Policy, on_delete=models.CASCADE, related_name="serving")
    n_tokens = models.PositiveBigIntegerField(default=0)
    # Of its server, from the next start on; null: what the model's context allows, or is usual (serving/limits.py).
    max_prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    max_response_tokens = models.PositiveIntegerField(null=True, blank=True)
    max_waiting_requests = models.PositiveIntegerField(null=True, blank=True)
    abandoned_after_seconds = models.PositiveIntegerField(null=True, blank=True)

    class Meta(Service.Meta):
        abstract = False
        constraints = [
            *Service.Meta.constraints,
            models.CheckConstraint(
                condition=~Q(max_prompt_tokens=0) & ~Q(max_response_tokens=0),
                name="policyserving_lengths_are_positive",
            ),
            models.CheckConstraint(
                condition=~Q(max_waiting_requests=0) & ~Q(abandoned_after_seconds=0),
                name="policyserving_limits_are_positive",
            ),
        ]

    @property
    def subject(self) -> Policy:
        return self.policy


class PolicyComparison(models.Model):
    """A policy beside others on the same held-out prompts: who wins by a reward model, a judge and people.

    Of `of_run` the others are checkpoints of the training that started from the policy.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="policy_comparisons")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="comparisons")
    reward_model = models.ForeignKey(RewardModel, on_delete=models.PROTECT, related_name="comparisons")
    prompt_set = models.CharField(max_length=120)  # as of an evaluation
    of_run = models.ForeignKey(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="policy_comparisons"
    )
    produced_by = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="policy_comparison")
    # Where people compare the same answers: one of each criterion.
    batches = models.ManyToManyField("annotation.Batch", related_name="policy_comparisons")
    report = models.JSONField(default=dict)  # result.json of the run
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.policy} compared on {self.prompt_set}"


class PolicySelection(models.Model):
    """Which of several policies was chosen, by which rule and from which measurements. Never changed."""

    class Rule(models.TextChoices):
        BEST_REWARD = BEST_REWARD, gettext_lazy("highest mean reward")
        REWARD_WITHIN_KL = REWARD_WITHIN_KL, gettext_lazy("highest mean reward within a KL")
        ONE_STANDARD_ERROR = (
            ONE_STANDARD_ERROR,
            gettext_lazy("lowest KL within one standard error of the best"),
        )
        BEST_WIN_RATE = BEST_WIN_RATE, gettext_lazy("highest win rate against the reference")
        LAST = LAST, gettext_lazy("the newest")

    class JudgedBy(models.TextChoices):
        REWARD_MODEL = "reward_model", gettext_lazy("the reward model")
        JUDGE = "judge", gettext_lazy("the judge")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="policy_selections")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="selections")
    rule = models.CharField(max_length=30, choices=Rule.choices)
    max_kl = models.FloatField(null=True, blank=True, help_text="Nats an answer, of reward_within_kl.")
    # Who says who wins, of best_win_rate; "" of the others.
    judged_by = models.CharField(max_length=20, choices=JudgedBy.choices, blank=True)
    # Every candidate's figures as they were, for the files that they come from may be removed (selecting/actions.py).
    report = models.JSONField(default=dict)
    chosen_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(rule=REWARD_WITHIN_KL, max_kl__isnull=False)
                | (~Q(rule=REWARD_WITHIN_KL) & Q(max_kl__isnull=True)),
                name="max_kl_belongs_to_its_rule",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy} selected"


class SelectedPolicy(models.Model):
    """The policy that a project goes on with: pinned by a manager, from a selection or by hand (`selection` null)."""

    project = models.OneToOneField(Project, on_delete=models.PROTECT, related_name="selected_policy")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="+")
    selection = models.ForeignKey(
        PolicySelection, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    pinned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    pinned_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.policy} pinned"
