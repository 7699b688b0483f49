"""Policies: language models whose responses people compare, and their family tree."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from annotation.models import PreferenceDataset, Source
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
