"""A model that is kept loaded to answer requests, as the database knows it: an abstract row, and what kinds have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from runs.models import Artifact
from workspace.models import Project


class ServiceQuerySet(models.QuerySet[Any]):
    def kept(self) -> Self:
        """Those whose server a worker starts or watches."""
        return self.filter(state__in=[Service.State.STARTING, Service.State.READY])

    def claimable(self) -> Self:
        """What waits for a worker, and what a worker that is lost has left."""
        waiting = Q(state=Service.State.WAITING)
        abandoned = Q(state__in=[Service.State.STARTING, Service.State.READY], lease_until__lt=Now())
        return self.filter(waiting | abandoned)


class Service(models.Model):
    """Whether a server has the model loaded, where, and which worker watches over that.

    `fence` grows by one with every server that is started; a worker writes with `filter(pk, state, fence)`. The secret
    is that of one server's life, for whoever asks it. A concrete row adds what is served.
    """

    # Begins the names of its audit rows: "reward_model" gives reward_model.serving_stopped.
    audit_name = ""

    class State(models.TextChoices):
        STOPPED = "stopped", gettext_lazy("Stopped")  # nobody asked, or not for a while
        WAITING = "waiting", gettext_lazy("Waiting for a worker")
        STARTING = "starting", gettext_lazy("Loading the model")  # a worker has the lease
        READY = "ready", gettext_lazy("Ready")  # a worker has the lease, and `address` answers
        FAILED = (
            "failed",
            gettext_lazy("Failed"),
        )  # not tried again before `retry_at` unless a manager says so

    state = models.CharField(max_length=10, choices=State.choices, default=State.STOPPED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=gettext_lazy("Who started it last."),
    )
    requested_at = models.DateTimeField(db_default=Now())
    stop_requested = models.BooleanField(default=False)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker_name = models.CharField(max_length=120, blank=True)
    host = models.CharField(
        max_length=120, blank=True, help_text=gettext_lazy("The machine its scorer runs on, or last ran.")
    )
    pid = models.PositiveIntegerField(null=True, blank=True)
    process_identity = models.CharField(max_length=120, blank=True)
    address = models.CharField(max_length=260, blank=True, help_text=gettext_lazy("host:port of the scorer."))
    secret = models.CharField(max_length=64, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    n_requests = models.PositiveBigIntegerField(
        default=0, help_text=gettext_lazy("Of the scorer that runs, or last ran.")
    )
    failures = models.PositiveSmallIntegerField(default=0, help_text=gettext_lazy("In a row."))
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: Any = ServiceQuerySet.as_manager()

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["stopped", "waiting", "starting", "ready", "failed"]),
                name="%(class)s_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["starting", "ready"], lease_until__isnull=False, fence__gt=0)
                | Q(state__in=["stopped", "waiting", "failed"], lease_until__isnull=True),
                name="%(class)s_has_a_lease_while_it_is_kept",
            ),
            models.CheckConstraint(
                condition=Q(state="ready") & ~Q(address="") & ~Q(secret="")
                | ~Q(state="ready") & Q(address="", secret=""),
                name="%(class)s_has_an_address_when_ready",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(error=""), name="%(class)s_error_says_why"
            ),
        ]

    @property
    def subject(self) -> Any:
        """The model that is served."""
        raise NotImplementedError

    @property
    def project(self) -> Project:
        project: Project = self.subject.project
        return project

    @property
    def artifact(self) -> Artifact:
        artifact: Artifact = self.subject.artifact
        return artifact

    def __str__(self) -> str:
        return f"{self.subject}: {self.get_state_display()}"


@dataclass(frozen=True, kw_only=True)
class ServiceKind:
    """What differs between the services that a worker keeps."""

    name: str  # what its processes carry
    model: type[Service]
    related: tuple[str, ...]  # read with a claim
    noun: str  # in messages: "reward model"
    server_noun: str  # "scorer"
    module: str  # of its command
    folder: str  # under DATA_DIR, for the folders it is started on
    max_models: Callable[[], int]  # kept loaded together; 0: none is served
    idle_minutes: Callable[[], float]  # unused for so long it is unloaded
    config: Callable[[Any, float], dict[str, Any]]  # (service, orphaned_after_seconds) -> config.json
    threads: Callable[[Any], int]
    counts: Callable[[Mapping[str, Any]], dict[str, int]]  # its status -> columns, n_requests among them
    # Its server can be told to take nothing new (POST /drain) and says how much is `unsettled`; at none it ends.
    drains: bool = False
