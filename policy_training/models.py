"""Policies: language models whose responses people compare, and their family tree."""

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

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
from runs.states import RunState
from workspace.cards import MAX_LICENCE_CHARACTERS
from workspace.models import AuditEvent, Project

CANCELLED_ARE_LISTED_FOR = timedelta(days=7)  # long enough to see what became of it, and to try it again


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
    """A policy beside others on the same held-out prompts: who wins by reward models, a judge and people.

    Of `of_run` the others are checkpoints of the training that started from the policy.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="policy_comparisons")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="comparisons")
    # The first; the run's parameters name further ones (comparing/presentation.py).
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


class ChainedTrainingQuerySet(models.QuerySet["ChainedTraining"]):
    def waiting(self) -> Self:
        return self.filter(state=ChainedTraining.State.WAITING)

    def due(self) -> Self:
        """They wait, and what they start from is made."""
        done = Q(after_run__state=RunState.DONE) | Q(after_training__run__state=RunState.DONE)
        return self.waiting().filter(done)

    def listed(self) -> Self:
        """What a manager may have to do with: what waits, what was refused, and what was cancelled in the last week
        or though others wait for it.
        """
        state = ChainedTraining.State
        waiting = ChainedTraining.objects.waiting().filter(after_training=OuterRef("pk"))
        lately = AuditEvent.objects.filter(
            action="training.cancel",
            target_type=ChainedTraining._meta.label_lower,
            target_id=Cast(OuterRef("pk"), models.CharField(max_length=64)),
            created_at__gte=timezone.now() - CANCELLED_ARE_LISTED_FOR,
        )
        cancelled = Q(state=state.CANCELLED) & (Exists(waiting) | Exists(lately))
        shown = self.filter(Q(state__in=(state.WAITING, state.REFUSED)) | cancelled)
        return shown.select_related("requested_by", "after_run", "after_training__run").order_by("pk")

    def following(self, run: Run) -> Self:
        """Those that start from the policy that this run makes."""
        found = self.filter(Q(after_run=run) | Q(after_training__run=run))
        return found.select_related("requested_by", "after_run", "after_training__run", "run").order_by("pk")


class ChainedTraining(models.Model):
    """A training that was asked for before the policy that it starts from was made: by a run (`after_run`), or by
    another chained training (`after_training`), which may have no run yet. policy_training/chaining/ acts on it.
    """

    class Recipe(models.TextChoices):
        SFT = "sft", gettext_lazy("Supervised fine-tuning")
        PRETRAIN = "pretrain", gettext_lazy("Pretraining")
        PPO = "ppo", "PPO"
        POLICY_GRADIENT = "policy_gradient", gettext_lazy("Policy gradient")
        BEST_OF_N = "best_of_n", gettext_lazy("Best-of-n")
        DPO = "dpo", "DPO"

    class State(models.TextChoices):
        WAITING = "waiting", gettext_lazy("Waiting")  # for what comes before; that may fail and be retried
        QUEUED = "queued", gettext_lazy("Queued")  # as `run`; final
        REFUSED = "refused", gettext_lazy("Refused")  # when it was to be queued; a manager may try it again
        CANCELLED = "cancelled", gettext_lazy("Cancelled")  # by a manager, who may try it again

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="chained_trainings")
    recipe = models.CharField(max_length=20, choices=Recipe.choices)
    name = models.CharField(max_length=120, help_text="Of the new policy.")
    title = models.CharField(max_length=200, help_text="As its run will have it.")
    arguments: Any = models.JSONField(
        help_text="Of the recipe's action, as policy_training/chaining/arguments.py."
    )
    after_run = models.ForeignKey(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="chained_trainings"
    )
    after_training = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="followers"
    )
    state = models.CharField(max_length=12, choices=State.choices, default=State.WAITING)
    error = models.CharField(max_length=1000, blank=True, help_text="Why it was refused, in one sentence.")
    run = models.OneToOneField(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="chained_training"
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ChainedTrainingQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=Q(state="waiting"), name="chained_trainings_waiting"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"],
                condition=Q(state="waiting"),
                name="unique_name_of_waiting_trainings",
            ),
            models.CheckConstraint(
                condition=Q(after_run__isnull=True) ^ Q(after_training__isnull=True),
                name="chained_training_has_one_before_it",
            ),
            models.CheckConstraint(
                condition=Q(after_training__isnull=True) | ~Q(after_training=F("id")),
                name="chained_training_does_not_follow_itself",
            ),
            models.CheckConstraint(
                condition=Q(state="queued", run__isnull=False, error="")
                | Q(state__in=["waiting", "cancelled"], run__isnull=True, error="")
                | (Q(state="refused", run__isnull=True) & ~Q(error="")),
                name="chained_training_state_says_what_became_of_it",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def awaited_run(self) -> Run | None:
        """The run that makes what it starts from; None where that waits for a run itself."""
        return self.after_run or (self.after_training.run if self.after_training else None)

    @property
    def can_cancel(self) -> bool:
        return self.state in (self.State.WAITING, self.State.REFUSED)

    @property
    def can_retry(self) -> bool:
        return self.state in (self.State.REFUSED, self.State.CANCELLED)

    @property
    def moves(self) -> bool:
        """Whether it will go on without anybody doing anything."""
        run = self.awaited_run
        if self.state != self.State.WAITING or run is None:
            return False
        return run.state != RunState.PAUSED and not run.has_ended_badly

    @property
    def situation(self) -> str:
        """What it waits for or what became of it, in words."""
        if self.state != self.State.WAITING:
            return self.error or str(self.get_state_display())
        run, before = self.awaited_run, self.after_training
        if run is not None:
            words = {"number": run.pk, "title": run.title}
            if run.state == RunState.DONE:
                return gettext("Run %(number)s is done: it is queued as soon as a worker looks.") % words
            if run.state == RunState.CANCELLED:
                return gettext("Run %(number)s was cancelled: retry that one, or cancel this one.") % words
            if run.state == RunState.PAUSED:
                return (
                    gettext("Run %(number)s is paused: have that one go on or end it, or cancel this one.")
                    % words
                )
            if run.has_ended_badly:
                return gettext("Run %(number)s failed: retry that one, or cancel this one.") % words
            return gettext("Waits for run %(number)s: %(title)s") % words
        assert before is not None
        words = {"name": before.name}
        if before.state == self.State.REFUSED:
            return gettext("“%(name)s” was refused: try that one again, or cancel this one.") % words
        if before.state == self.State.CANCELLED:
            return gettext("“%(name)s” was cancelled: try that one again, or cancel this one.") % words
        return gettext("Waits for “%(name)s”, which waits itself") % words
