"""A round: sample, annotate, train a reward model, train the policy. What each stage made is stored with it."""

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy

from annotation.models import Batch, PreferenceDataset, PromptSet
from policy_training.models import Policy
from rewardmodel.models import RewardModel
from runs.models import Run
from workspace.models import Criterion, Project


class Stage(models.TextChoices):
    SAMPLING = "sampling", gettext_lazy("Sampling")  # the policies answer the round's prompts
    ANNOTATING = (
        "annotating",
        gettext_lazy("Annotating"),
    )  # people compare; ends at the quota, at a set time or by hand
    REWARD_MODEL = "reward_model", gettext_lazy("Reward model")  # on all judgments so far
    POLICY = "policy", gettext_lazy("Policy training")  # the plan's steps, from the start policy
    SCORING = (
        "scoring",
        gettext_lazy("Scoring"),
    )  # the reward model reads this round's responses: agreement with people
    DONE = "done", gettext_lazy("Done")  # the new policy is ready; the next round can start
    FAILED = (
        "failed",
        gettext_lazy("Failed"),
    )  # a run of this round ended badly; `retry` goes on from its stage
    CANCELLED = "cancelled", gettext_lazy("Cancelled")


STAGES = Stage.values  # for the database's own rules


class RoundQuerySet(models.QuerySet["Round"]):
    def open(self) -> Self:
        """Rounds that are under way, a failed one that waits for a retry among them."""
        return self.exclude(stage__in=[Stage.DONE, Stage.CANCELLED])


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
    start_policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="rounds_as_start")
    # The policy that head-to-head pairs set against the start policy: the round before's start.
    comparison_policy = models.ForeignKey(
        Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds_as_opponent"
    )
    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="round")
    dataset = models.ForeignKey(
        PreferenceDataset, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds"
    )
    reward_model = models.ForeignKey(
        RewardModel, on_delete=models.PROTECT, null=True, blank=True, related_name="rounds"
    )
    new_policy = models.OneToOneField(
        Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="produced_in_round"
    )
    # Opponents of the start policy and the prompts of their pairs, as rounds.head_to_head.Pairing.record writes them.
    head_to_head: Any = models.JSONField(default=list)
    annotation_deadline = models.DateTimeField(null=True, blank=True)
    # Opened again by a manager, after a failure: neither the quota nor a time ends it, only a manager.
    annotation_by_hand = models.BooleanField(default=False)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RoundQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="unique_round_number_per_project"),
            models.CheckConstraint(condition=Q(number__gte=1), name="round_number_at_least_1"),
            models.UniqueConstraint(
                fields=["project"],
                condition=~Q(stage__in=["done", "cancelled"]),
                name="unique_open_round_per_project",
            ),
            models.CheckConstraint(
                condition=~Q(stage="done") | Q(new_policy__isnull=False), name="done_round_has_policy"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=STAGES) & Q(failed_stage__in=["", *STAGES]), name="round_stage_valid"
            ),
            models.CheckConstraint(
                condition=~Q(stage="annotating") | Q(batch__isnull=False),
                name="annotating_round_has_batch",
            ),
            models.CheckConstraint(
                condition=~Q(stage__in=["policy", "scoring", "done"]) | Q(reward_model__isnull=False),
                name="policy_training_has_reward_model",
            ),
            models.CheckConstraint(
                condition=(Q(stage="failed") & ~Q(failed_stage="") & ~Q(error=""))
                | (~Q(stage="failed") & (Q(stage="cancelled") | Q(failed_stage="", error=""))),
                name="failed_round_has_error",
            ),
            models.CheckConstraint(
                condition=Q(stage__in=["done", "cancelled"], finished_at__isnull=False)
                | (~Q(stage__in=["done", "cancelled"]) & Q(finished_at__isnull=True)),
                name="ended_round_has_finish_time",
            ),
        ]

    @property
    def annotation_is_over(self) -> bool:
        """The time set for the annotation has passed."""
        return self.annotation_deadline is not None and timezone.now() >= self.annotation_deadline

    def __str__(self) -> str:
        return f"Round {self.number} of {self.project}"


class RoundRun(models.Model):
    """A run done for a stage of a round."""

    class Purpose(models.TextChoices):
        STAGE = "stage", gettext_lazy("The stage")  # what the stage is for
        HEAD_TO_HEAD = (
            "head_to_head",
            gettext_lazy("Head to head"),
        )  # sampling: answers to held-out prompts, drawn as for evaluation

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="round_runs")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="round_run")
    stage = models.CharField(max_length=12, choices=Stage.choices)
    purpose = models.CharField(max_length=12, choices=Purpose.choices, default=Purpose.STAGE)
    step = models.PositiveSmallIntegerField(default=0)  # of the plan's steps, from 0; 0 too in other stages
    # For sampling: whose responses these are.
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # A stage asks once (sampling: once a policy and purpose); a retry runs the same Run again.
            models.UniqueConstraint(
                fields=["round", "stage", "policy", "purpose"],
                condition=Q(policy__isnull=False),
                name="unique_run_per_stage_policy_and_purpose",
            ),
            models.UniqueConstraint(
                fields=["round", "stage", "step"],
                condition=Q(policy__isnull=True),
                name="unique_run_per_stage_and_step",
            ),
            models.CheckConstraint(condition=Q(stage__in=STAGES), name="round_run_stage_valid"),
            models.CheckConstraint(
                condition=Q(purpose__in=["stage", "head_to_head"]), name="round_run_purpose_valid"
            ),
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
        constraints = [models.CheckConstraint(condition=Q(stage__in=STAGES), name="stage_entry_stage_valid")]

    def __str__(self) -> str:
        return f"{self.round}: {self.stage}"


class Trigger(models.TextChoices):
    AT = "at", gettext_lazy("At a time")
    WEEKLY = "weekly", gettext_lazy("Every week")
    AFTER_ROUND = "after_round", gettext_lazy("When the round before is done")
    JUDGMENTS = "judgments", gettext_lazy("When so many new judgments are in")


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def active(self) -> Self:
        return self.filter(paused_at__isnull=True, ended_at__isnull=True)

    def takes_over(self, project: Project) -> bool:
        """Whether a schedule says how the project goes on after the present round: one that waits for it, or one that
        fell due meanwhile.
        """
        waiting = Q(trigger=Trigger.AFTER_ROUND) | Q(firings__state=ScheduleFiring.State.WAITING)
        return self.active().filter(waiting, project=project).exists()


class Schedule(models.Model):
    """When a round of a plan starts. What has fallen due is a ScheduleFiring."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="schedules")
    trigger = models.CharField(max_length=12, choices=Trigger.choices)
    at = models.DateTimeField(null=True, blank=True)  # AT: an instant, whatever becomes of the project's zone
    # WEEKLY: 0 is Monday; read in the time zone that the project has then.
    weekday = models.PositiveSmallIntegerField(null=True, blank=True)
    time_of_day = models.TimeField(null=True, blank=True)
    judgments = models.PositiveIntegerField(null=True, blank=True)  # JUDGMENTS: this many new ones
    repeats = models.BooleanField(default=False)
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="+")
    prompt_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="+")
    # None: the newest policy of the project when it starts.
    start_policy = models.ForeignKey(
        Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    plan = models.JSONField()  # RoundPlan as a mapping
    # Up to here everything has been looked at: instants, ends of rounds; and how many judgments there were.
    considered_until = models.DateTimeField()
    judgments_before = models.PositiveIntegerField(default=0)
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # it will not fall due again
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(trigger="at", at__isnull=False, repeats=False)
                | Q(
                    trigger="weekly",
                    weekday__isnull=False,
                    weekday__lte=6,
                    time_of_day__isnull=False,
                    repeats=True,
                )
                | Q(trigger="after_round")
                | Q(trigger="judgments", judgments__isnull=False, judgments__gte=1),
                name="schedule_trigger_valid",
            )
        ]

    def __str__(self) -> str:
        return f"Schedule {self.pk} of {self.project}"


class ScheduleFiring(models.Model):
    """A time at which a schedule fell due, and what became of it."""

    class State(models.TextChoices):
        WAITING = "waiting", gettext_lazy("Waiting")  # until the round under way is over
        STARTED = "started", gettext_lazy("Started")
        FAILED = "failed", gettext_lazy("Failed")  # its plan does not fit (any more); a manager may try again
        DROPPED = "dropped", gettext_lazy("Dropped")  # by a manager

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="firings")
    due_at = models.DateTimeField()
    missed = models.PositiveIntegerField(default=0)  # earlier times for which this one stands too
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    round = models.OneToOneField(
        Round, on_delete=models.PROTECT, null=True, blank=True, related_name="firing"
    )
    error = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "due_at"], name="unique_firing_per_schedule_and_time"
            ),
            models.UniqueConstraint(
                fields=["schedule"], condition=Q(state="waiting"), name="unique_waiting_firing_per_schedule"
            ),
            models.CheckConstraint(
                condition=Q(state="started", round__isnull=False, error="")
                | Q(state="failed", round__isnull=True) & ~Q(error="")
                | Q(state__in=["waiting", "dropped"], round__isnull=True),
                name="firing_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", settled_at__isnull=True)
                | (~Q(state="waiting") & Q(settled_at__isnull=False)),
                name="settled_firing_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule}, due {self.due_at}"
