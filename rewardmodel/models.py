"""Reward models, where they came from, and the scores they gave."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from annotation.models import PreferenceDataset, Response
from runs.models import Artifact, Run
from workspace.cards import MAX_LICENCE_CHARACTERS
from workspace.models import Criterion, Project


class RewardModel(models.Model):
    """A folder that scores responses on its criteria, all with one number; its dataset says which judgments it
    learned from.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="reward_models")
    criteria = models.ManyToManyField(Criterion, related_name="reward_models")
    name = models.CharField(max_length=120)
    artifact = models.OneToOneField(Artifact, on_delete=models.PROTECT, related_name="reward_model")
    # What its training started from: a policy's, an earlier reward model's or an imported folder.
    base_artifact = models.ForeignKey(
        Artifact, on_delete=models.PROTECT, null=True, blank=True, related_name="reward_models_started_here"
    )
    dataset = models.ForeignKey(PreferenceDataset, on_delete=models.PROTECT, related_name="reward_models")
    produced_by = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="reward_model")
    # result.json of the run: accuracy overall and by strength with intervals, calibration, counts, hashes.
    report = models.JSONField(default=dict)
    # What others are told of it, on its card; no part of the model.
    licence = models.CharField(max_length=MAX_LICENCE_CHARACTERS, blank=True)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="unique_reward_model_name_per_project")
        ]

    def __str__(self) -> str:
        return self.name


class RewardModelEvaluation(models.Model):
    """How well a reward model agrees with the judgments of a frozen dataset, on one split of it."""

    reward_model = models.ForeignKey(RewardModel, on_delete=models.PROTECT, related_name="evaluations")
    dataset = models.ForeignKey(
        PreferenceDataset, on_delete=models.PROTECT, related_name="reward_model_evaluations"
    )
    split = models.CharField(max_length=12)
    produced_by = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="reward_model_evaluation")
    report = models.JSONField(default=dict)  # result.json of the run
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.reward_model} on {self.dataset}, {self.split}"


class ResponseScore(models.Model):
    """The reward of a response, with mean zero on demonstrations. Annotators never see these."""

    reward_model = models.ForeignKey(RewardModel, on_delete=models.CASCADE, related_name="scores")
    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="scores")
    reward = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reward_model", "response"], name="unique_score_per_reward_model_and_response"
            ),
            # NaN equals nothing on SQLite and itself on PostgreSQL, so it is refused by range.
            models.CheckConstraint(condition=Q(reward__gt=-1e30, reward__lt=1e30), name="score_finite"),
        ]

    def __str__(self) -> str:
        return f"{self.reward:.3f}"


class ServingQuerySet(models.QuerySet["Serving"]):
    def kept(self) -> Self:
        """Those whose scorer a worker starts or watches."""
        return self.filter(state__in=[Serving.State.STARTING, Serving.State.READY])

    def claimable(self) -> Self:
        """What waits for a worker, and what a worker that is lost has left."""
        waiting = Q(state=Serving.State.WAITING)
        abandoned = Q(state__in=[Serving.State.STARTING, Serving.State.READY], lease_until__lt=Now())
        return self.filter(waiting | abandoned)


class Serving(models.Model):
    """A reward model as a service: whether a scorer has it loaded, where, and which worker watches over that.

    `fence` grows by one with every scorer that is started; a worker writes with `filter(pk, state, fence)`. The secret
    is that of one scorer's life, for whoever asks it.
    """

    class State(models.TextChoices):
        STOPPED = "stopped", "Stopped"  # nobody asked, or not for a while
        WAITING = "waiting", "Waiting for a worker"
        STARTING = "starting", "Loading the model"  # a worker has the lease
        READY = "ready", "Ready"  # a worker has the lease, and `address` answers
        FAILED = "failed", "Failed"  # not tried again before `retry_at` unless a manager says so

    reward_model = models.OneToOneField(RewardModel, on_delete=models.CASCADE, related_name="serving")
    state = models.CharField(max_length=10, choices=State.choices, default=State.STOPPED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", help_text="Who started it last."
    )
    requested_at = models.DateTimeField(db_default=Now())
    stop_requested = models.BooleanField(default=False)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker_name = models.CharField(max_length=120, blank=True)
    host = models.CharField(
        max_length=120, blank=True, help_text="The machine its scorer runs on, or last ran."
    )
    pid = models.PositiveIntegerField(null=True, blank=True)
    process_identity = models.CharField(max_length=120, blank=True)
    address = models.CharField(max_length=260, blank=True, help_text="host:port of the scorer.")
    secret = models.CharField(max_length=64, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    n_requests = models.PositiveBigIntegerField(default=0, help_text="Of the scorer that runs, or last ran.")
    n_rewards = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0, help_text="In a row.")
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ServingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["stopped", "waiting", "starting", "ready", "failed"]),
                name="serving_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["starting", "ready"], lease_until__isnull=False, fence__gt=0)
                | Q(state__in=["stopped", "waiting", "failed"], lease_until__isnull=True),
                name="serving_has_a_lease_while_it_is_kept",
            ),
            models.CheckConstraint(
                condition=Q(state="ready") & ~Q(address="") & ~Q(secret="")
                | ~Q(state="ready") & Q(address="", secret=""),
                name="serving_has_an_address_when_ready",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(error=""), name="serving_error_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reward_model}: {self.get_state_display()}"
