"""Long work as the database knows it: what was asked, which worker executes it, how far it is, and what
it left on disk.
"""

import hashlib
import uuid
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length, Now
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy

from runs.states import ACTIVE, FINISHED, UNFINISHED, RunState
from workspace.database import database_now_plus


def new_directory_name() -> str:
    return uuid.uuid4().hex


class RunQuerySet(models.QuerySet["Run"]):
    def active(self) -> Self:
        return self.filter(state__in=ACTIVE)

    def unfinished(self) -> Self:
        """Active, or paused: they may still make something."""
        return self.filter(state__in=UNFINISHED)

    def finished(self) -> Self:
        return self.filter(state__in=FINISHED)

    def running(self) -> Self:
        return self.filter(state=RunState.RUNNING)

    def due(self) -> Self:
        """Queued, and not waiting for a back-off."""
        return self.filter(state=RunState.QUEUED, run_after__lte=Now())

    def abandoned(self) -> Self:
        """Running by name, but nobody has renewed the lease in time."""
        return self.filter(state=RunState.RUNNING, lease_until__lt=Now())

    def newest_first(self) -> Self:
        return self.order_by("-pk")


class Run(models.Model):
    """One piece of long work. The run directory holds what it reads and writes; this row holds who may touch it.

    `fence` grows by one with every start, whoever starts; a worker writes with `filter(pk, state, fence)` and the
    command compares it with the directory's `fence` file. `attempt` counts only the starts that count against
    `max_attempts`: a run handed back by a worker that leaves has lost nothing.
    """

    State = RunState

    project = models.ForeignKey("workspace.Project", on_delete=models.PROTECT, related_name="runs")
    kind = models.CharField(max_length=60, help_text="Name of its RunKind.")
    kind_label = models.CharField(max_length=80, blank=True, help_text="The kind's name as pages show it.")
    title = models.CharField(max_length=200)
    directory = models.CharField(
        max_length=64,
        unique=True,
        default=new_directory_name,
        editable=False,
        help_text="Folder under DATA_DIR/runs.",
    )
    config = models.JSONField(help_text="What config.json of the run directory says was asked.")
    parameters = models.JSONField(
        default=dict, blank=True, help_text="What building inputs and saving the result need to know."
    )
    processes = models.PositiveSmallIntegerField(default=1)
    threads = models.PositiveSmallIntegerField(default=1, help_text="Threads of each process.")
    time_limit_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of each start; empty: the site's (RUN_TIME_LIMIT_MINUTES)."
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    cloned_from = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="clones"
    )

    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    fence = models.PositiveIntegerField(default=0)
    run_after = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    worker_name = models.CharField(max_length=120, blank=True)
    host = models.CharField(max_length=120, blank=True, help_text="Where the command runs, or last ran.")
    pid = models.PositiveIntegerField(null=True, blank=True)
    process_identity = models.CharField(
        max_length=120, blank=True, help_text="Tells this process from a later stranger with the same pid."
    )
    progress = models.JSONField(default=dict, blank=True, help_text="The last status the worker read.")
    error = models.CharField(max_length=1000, blank=True, help_text="One sentence: what, where, what to do.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["run_after", "id"], condition=Q(state="queued"), name="run_queue"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="run_leases"),
            models.Index(fields=["project", "-id"], name="run_by_project"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="run_state_valid"),
            models.CheckConstraint(
                condition=~Q(state="running")
                | Q(lease_until__isnull=False, fence__gt=0, started_at__isnull=False),
                name="running_run_has_lease_and_fence",
            ),
            models.CheckConstraint(
                condition=Q(state="running") | Q(lease_until__isnull=True),
                name="only_a_running_run_has_a_lease",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "paused"], finished_at__isnull=True)
                | Q(state__in=["done", "failed", "user_error", "cancelled"], finished_at__isnull=False),
                name="finished_run_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(state="done", error="")
                | Q(state__in=["queued", "running", "cancelled"])
                | (Q(state__in=["failed", "user_error", "paused"]) & ~Q(error="")),
                name="run_error_says_why",
            ),
            models.CheckConstraint(
                condition=Q(attempt__lte=F("max_attempts")), name="run_attempts_are_bounded"
            ),
            models.CheckConstraint(
                condition=Q(max_attempts__gte=1, processes__gte=1, threads__gte=1),
                name="run_counts_are_positive",
            ),
            models.CheckConstraint(
                condition=~Q(directory="") & ~Q(directory__contains="/") & ~Q(directory__contains="."),
                name="run_directory_is_one_plain_name",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def path(self) -> Path:
        return settings.DATA_DIR / "runs" / self.directory

    @property
    def process_tag(self) -> str:
        """What its processes carry. Another installation on this machine, restored from a backup of this one, has runs
        of the same directory names; their processes are not ours to end.
        """
        return f"{self.directory}@{self.tag_of_installation()}"

    @staticmethod
    def tag_of_installation() -> str:
        return hashlib.sha256(str(settings.DATA_DIR).encode()).hexdigest()[:8]

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    @property
    def has_ended_badly(self) -> bool:
        """Without a result; a manager may retry it."""
        return self.is_finished and self.state != RunState.DONE


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self, seconds: float) -> Self:
        """Workers that have been heard of within `seconds`, by the database's clock."""
        return self.filter(stopped_at__isnull=True, heartbeat_at__gte=database_now_plus(-seconds))


class Worker(models.Model):
    """A process that executes runs. Says who is alive; a run's lease, not this row, says who may write."""

    name = models.CharField(max_length=120, unique=True)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    kinds = models.JSONField(help_text="Names of the kinds it takes.")
    current_run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["heartbeat_at"], name="worker_heartbeats")]
        constraints = [
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True) | Q(current_run__isnull=True),
                name="stopped_worker_has_no_run",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Artifact(models.Model):
    """A folder or file that outlives its run: a model, a set of scores. Never changed once recorded."""

    class Kind(models.TextChoices):
        POLICY = "policy", gettext_lazy("Policy")  # AutoModelForCausalLM folder, or an adapter folder
        REWARD_MODEL = (
            "reward_model",
            gettext_lazy("Reward model"),
        )  # AutoModelForSequenceClassification folder
        CRITIC = "critic", gettext_lazy("Critic")  # value model of a policy run
        RESPONSES = "responses", gettext_lazy("Responses")  # sampled answers, parquet
        SCORES = "scores", gettext_lazy("Scores")  # rewards of responses, parquet

    project = models.ForeignKey("workspace.Project", on_delete=models.PROTECT, related_name="artifacts")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    path = models.CharField(max_length=500, help_text="Relative to DATA_DIR, or absolute outside it.")
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    produced_by = models.ForeignKey(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="artifacts"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "path"], name="unique_artifact_path_per_project"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["policy", "reward_model", "critic", "responses", "scores"]),
                name="artifact_kind_valid",
            ),
            models.CheckConstraint(condition=~Q(path=""), name="artifact_has_a_path"),
            models.CheckConstraint(condition=Exact(Length("sha256"), 64), name="artifact_has_a_sha256"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.path}"

    @property
    def is_missing(self) -> bool:
        """Whether nothing lies where it should; `manage.py reconcile` also says what was changed."""
        path = self.absolute_path
        return not (path.is_file() or (path.is_dir() and any(path.iterdir())))

    @property
    def absolute_path(self) -> Path:
        return settings.DATA_DIR / self.path
