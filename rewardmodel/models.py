"""Reward models, where they came from, and the scores they gave."""

from django.db import models
from django.db.models import Q

from annotation.models import PreferenceDataset, Response
from runs.models import Artifact, Run
from runs.serving.service import Service
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


class Serving(Service):
    """A reward model as a service."""

    audit_name = "reward_model"

    reward_model = models.OneToOneField(RewardModel, on_delete=models.CASCADE, related_name="serving")
    n_rewards = models.PositiveBigIntegerField(default=0)

    @property
    def subject(self) -> RewardModel:
        return self.reward_model
