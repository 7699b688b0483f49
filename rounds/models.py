"""A round: sample, annotate, train a reward model, train the policy. What each stage made is stored with it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Batch, PreferenceDataset, PromptSet
from policy_training.models import Policy
from rewardmodel.models import RewardModel
from runs.models import Run
from workspace.models import Criterion, Project


class Stage(models.TextChoices):
    SAMPLING = "sampling", "Sampling"  # the policies answer the round's prompts
    ANNOTATING = "annotating", "Annotating"  # people compare; ends at the quota, at a set time or by hand
    REWARD_MODEL = "reward_model", "Reward model"  # on all judgments so far
    POLICY = "policy", "Policy training"  # PPO from and against the start policy
    SCORING = "scoring", "Scoring"  # the reward model reads this round's responses: agreement with people
    DONE = "done", "Done"  # the new policy is ready; the next round can start
    FAILED = "failed", "Failed"  # a run of this round ended badly; `retry` goes on from its stage
    CANCELLED = "cancelled", "Cancelled"


STAGES = Stage.values  # for the database's own rules


class Round(models.Model):
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="rounds")
    number = models.PositiveIntegerField()
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="rounds")
    prompt_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="rounds")
    # RoundPlan as a mapping: what was asked, never edited afterwards.
    plan = models.JSONField()
    stage = models.CharField(max_length=12, choices=Stage.choices, default=Stage.SAMPLING)
    # The stage that failed, so that a retry knows where to go on.
    failed_stage = models.CharField(max_length=12, choices=Stage.choices, blank=True)
    error = models.TextField(blank=True)
    start_policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="rounds_started_here")
    # The policy that head-to-head pairs set against the start policy: the round before's start.
    previous_policy = models.ForeignKey(
        Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds_compared_here"
    )
    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="round")
    dataset = models.ForeignKey(
        PreferenceDataset, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds"
    )
    reward_model = models.ForeignKey(
        RewardModel, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds"
    )
    new_policy = models.OneToOneField(
        Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="made_in_round"
    )
    annotate_until = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="round_number_once_a_project"),
            models.CheckConstraint(condition=Q(number__gte=1), name="round_numbers_begin_at_1"),
            models.UniqueConstraint(
                fields=["project"],
                condition=~Q(stage__in=["done", "cancelled"]),
                name="one_open_round_a_project",
            ),
            models.CheckConstraint(
                condition=~Q(stage="done") | Q(new_policy__isnull=False), name="a_done_round_made_a_policy"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=STAGES) & Q(failed_stage__in=["", *STAGES]), name="round_stage_known"
            ),
            models.CheckConstraint(
                condition=~Q(stage="annotating") | Q(batch__isnull=False),
                name="an_annotating_round_has_a_batch",
            ),
            models.CheckConstraint(
                condition=~Q(stage__in=["policy", "scoring", "done"]) | Q(reward_model__isnull=False),
                name="policy_training_has_a_reward_model",
            ),
            models.CheckConstraint(
                condition=(Q(stage="failed") & ~Q(failed_stage="") & ~Q(error=""))
                | (~Q(stage="failed") & (Q(stage="cancelled") | Q(failed_stage="", error=""))),
                name="a_failed_round_says_where_and_why",
            ),
            models.CheckConstraint(
                condition=Q(stage__in=["done", "cancelled"], finished_at__isnull=False)
                | (~Q(stage__in=["done", "cancelled"]) & Q(finished_at__isnull=True)),
                name="a_round_that_is_over_says_when",
            ),
        ]

    @property
    def annotation_is_over(self) -> bool:
        """The time set for the annotation has passed."""
        return self.annotate_until is not None and timezone.now() >= self.annotate_until

    def __str__(self) -> str:
        return f"Round {self.number} of {self.project}"


class RoundRun(models.Model):
    """A run done for a stage of a round."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="round_runs")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="round_run")
    stage = models.CharField(max_length=12, choices=Stage.choices)
    # For sampling: whose responses these are.
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # A stage asks once (sampling: once a policy); a retry runs the same Run again.
            models.UniqueConstraint(
                fields=["round", "stage", "policy"],
                condition=Q(policy__isnull=False),
                name="one_run_a_stage_and_policy",
            ),
            models.UniqueConstraint(
                fields=["round", "stage"], condition=Q(policy__isnull=True), name="one_run_a_stage"
            ),
            models.CheckConstraint(condition=Q(stage__in=STAGES), name="round_run_stage_known"),
        ]

    def __str__(self) -> str:
        return f"{self.round}: {self.stage}"


class StageEntry(models.Model):
    """When a round entered a stage, and why: the round's timeline."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="stage_entries")
    stage = models.CharField(max_length=12, choices=Stage.choices)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "stage entries"
        ordering = ["created_at", "id"]
        constraints = [models.CheckConstraint(condition=Q(stage__in=STAGES), name="stage_entry_stage_known")]

    def __str__(self) -> str:
        return f"{self.round}: {self.stage}"
