"""Who works here, on which project, as what, and what they did."""

import secrets
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_lazy as _

from learning.interface import vocabulary
from workspace.asked import Asked, read_asked
from workspace.naming import require_one_script
from workspace.splits import DEFAULT_TRAIN_SHARE, DEFAULT_VALIDATION_SHARE
from workspace.time_zones import default_time_zone
from workspace.versions import VersionedQuerySet

ROLES = ["annotator", "reviewer", "reader", "manager"]
MAX_OVERLAP = 50  # people for each task
MAX_LEASE_MINUTES = 24 * 60


def new_pseudonym() -> str:
    """The name under which a person appears in exports: random, so that it says nothing of the account."""
    return "annotator-" + secrets.token_hex(5)


def random_split_salt() -> str:
    return secrets.token_hex(16)


def new_split_salt() -> str:
    # The field's default is bound when the class is made; tests replace what it calls.
    return random_split_salt()


class User(AbstractUser):
    class Kind(models.TextChoices):
        PERSON = vocabulary.PERSON, gettext_lazy("Person")
        SIMULATED = vocabulary.SIMULATED, gettext_lazy("Simulated annotator")
        AI = vocabulary.AI, gettext_lazy("AI judge")

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PERSON)
    pseudonym = models.CharField(max_length=64, unique=True, default=new_pseudonym, editable=False)
    language = models.CharField(max_length=10, blank=True)  # of the pages; empty: what the browser asks for

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=list(vocabulary.ANNOTATOR_KINDS)), name="user_kind_valid"
            ),
            # A machine's judgments are added by an action; nobody logs in as one.
            models.CheckConstraint(
                condition=Q(kind="person") | (Q(is_staff=False) & Q(is_superuser=False)),
                name="only_people_are_operators",
            ),
        ]

    def clean(self) -> None:
        super().clean()
        if self._state.adding:
            try:
                require_one_script(self.username)
            except ValidationError as error:
                raise ValidationError({"username": error}) from error


class Project(models.Model):
    name = models.CharField(max_length=120)
    slug = models.SlugField(unique=True)
    description = models.TextField(blank=True)
    overlap = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_OVERLAP)],
        help_text="How many people judge each task, unless a batch says otherwise.",
    )
    lease_minutes = models.PositiveSmallIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_LEASE_MINUTES)],
        help_text="How long a task stays reserved for the annotator who opened it.",
    )
    time_zone = models.CharField(
        max_length=64,
        default=default_time_zone,
        help_text="In which the project's pages show times and its schedules read them, for example Europe/Berlin.",
    )
    gold_share = models.FloatField(default=0.0, help_text="Share of tasks whose answer is known, 0 to 0.5.")
    repeat_share = models.FloatField(
        default=0.0, help_text="Share of tasks that a person gets a second time, 0 to 0.2."
    )
    repeat_after = models.PositiveSmallIntegerField(
        default=20, help_text="Other tasks between the first and the second time."
    )
    # Of prompts that come from now on; those that are there keep their side.
    train_share = models.FloatField(
        default=DEFAULT_TRAIN_SHARE, help_text="Share of prompts to train on, 0 to 1."
    )
    validation_share = models.FloatField(
        default=DEFAULT_VALIDATION_SHARE, help_text="Share of prompts for validation; the rest is test."
    )
    test_per_tag = models.JSONField(
        default=dict, blank=True, help_text="{tag: how many prompts of it are held out}, instead of a share."
    )
    near_duplicates_together = models.BooleanField(
        default=False, help_text="Whether prompts that are almost the same share a side."
    )
    # Raised by whoever corrects its name, description, overlap or lease: two managers at once do not overwrite
    # each other.
    version = models.PositiveIntegerField(default=1, editable=False)
    # Secret: whoever knows it could aim a prompt at a split.
    split_salt = models.CharField(max_length=64, default=new_split_salt, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(overlap__gte=1, overlap__lte=MAX_OVERLAP), name="project_overlap_1_to_50"
            ),
            models.CheckConstraint(condition=Q(lease_minutes__gte=1), name="project_lease_is_positive"),
            models.CheckConstraint(
                condition=Q(train_share__gt=0, validation_share__gte=0)
                & Q(train_share__lte=1.000001 - F("validation_share")),
                name="project_split_shares_valid",
            ),
            models.CheckConstraint(condition=~Q(time_zone=""), name="project_has_a_time_zone"),
            models.CheckConstraint(
                condition=Q(gold_share__gte=0, gold_share__lte=0.5), name="project_gold_share_0_to_half"
            ),
            models.CheckConstraint(
                condition=Q(repeat_share__gte=0, repeat_share__lte=0.2, repeat_after__gte=1),
                name="project_repeats_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Criterion(models.Model):
    """What a judgment judges: helpful, harmless, ... Every judgment answers exactly one."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="criteria")
    name = models.SlugField(max_length=40)
    question = models.CharField(max_length=300, help_text="As the annotator reads it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "criteria"
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="unique_criterion_name_per_project")
        ]

    def __str__(self) -> str:
        return self.name


def made_by() -> Any:
    """Who made a version; nobody where that is not known."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )


class QuestionSettings(models.Model):
    """How the question is asked. A change is a new version; judgments keep the version they were made under."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="question_settings")
    version = models.PositiveIntegerField()
    allow_ties = models.BooleanField(default=True)
    ask_rationale = models.BooleanField(default=False)
    questions = models.JSONField(default=dict, help_text="{name of a criterion: its question}")
    asked = models.JSONField(default=dict, help_text="What is asked beside the order; {}: the defaults.")
    created_by = made_by()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VersionedQuerySet["QuestionSettings"].as_manager()

    class Meta:
        verbose_name_plural = "question settings"
        constraints = [
            models.UniqueConstraint(
                fields=["project", "version"], name="unique_question_settings_version_per_project"
            )
        ]

    def __str__(self) -> str:
        return f"version {self.version}"

    def question_of(self, criterion: str, otherwise: str) -> str:
        """What this version asks of the criterion of that name."""
        return str(self.questions.get(criterion, otherwise))

    @property
    def asks(self) -> Asked:
        """What is asked beside the order of the answers."""
        return read_asked(self.asked)


class Guideline(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    text = models.TextField(help_text="Markdown.")
    created_by = made_by()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VersionedQuerySet["Guideline"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "version"], name="unique_guideline_version_per_project"
            )
        ]

    def __str__(self) -> str:
        return f"version {self.version}"


class Membership(models.Model):
    class Role(models.TextChoices):
        ANNOTATOR = "annotator", _("Annotator")  # judges; sees their own work only
        # Reads everything of the project, changes nothing but judgments of their own; answers annotators' questions.
        REVIEWER = "reviewer", _("Reviewer")
        READER = "reader", _("Read-only")  # reads what reviewers read, and changes nothing
        MANAGER = "manager", _("Manager")  # plans batches, runs and rounds; invites people

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    # Gets no tasks while this is set; sees and changes what they could before.
    paused_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="unique_membership_user_per_project"),
            models.CheckConstraint(condition=Q(role__in=ROLES), name="membership_role_valid"),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role} on {self.project}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def usable(self) -> Self:
        """Neither used nor withdrawn nor expired, and made by somebody who may still invite: a link is never worth more
        than who made it.
        """
        managers = Membership.objects.filter(
            project=OuterRef("project"),
            user=OuterRef("invited_by"),
            role=Membership.Role.MANAGER,
            user__is_active=True,
        )
        return self.open().filter(Exists(managers), expires_at__gt=timezone.now())

    def open(self) -> Self:
        """Neither used nor withdrawn."""
        return self.filter(accepted_at__isnull=True, withdrawn_at__isnull=True)


class Invitation(models.Model):
    """A link that makes one account, once. Only the hash of its token is stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Membership.Role.choices)
    token_hash = models.CharField(max_length=64, unique=True)
    note = models.CharField(max_length=120, blank=True, help_text="Whom it is for; only managers see it.")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    accepted_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(accepted_by__isnull=True, accepted_at__isnull=True)
                | Q(accepted_by__isnull=False, accepted_at__isnull=False),
                name="invitation_accepted_by_and_at_together",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="invitation_expires_after_creation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} on {self.project}"


class AuditEvent(models.Model):
    """One row for each action: who did what to what. Append-only (triggers refuse UPDATE and DELETE)."""

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_events"
    )
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="audit_events")
    action = models.CharField(max_length=60)
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", *fields], name=f"audit_by_project{name}")
            for name, fields in {"": ["-created_at"], "_key": ["id"], "_action": ["action", "id"]}.items()
        ] + [models.Index(fields=["target_type", "target_id", "id"], name="audit_by_object")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target_type} {self.target_id}"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> Self:
        """Neither revoked nor expired, of somebody who may log in."""
        kept = self.filter(revoked_at__isnull=True, expires_at__gt=timezone.now())
        return kept.filter(user__is_active=True, user__kind=User.Kind.PERSON)


class ApiToken(models.Model):
    """What a program shows instead of a password. Only its hash is stored; it may no more than its owner then."""

    class Scope(models.TextChoices):
        READ = "read", gettext_lazy("Read")
        WRITE = "write", gettext_lazy("Read and write")
        SCORE = (
            "score",
            gettext_lazy("Only ask reward models"),
        )  # for a trainer elsewhere; it reads nothing of the project

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens")
    # None: every project of its owner, those to come among them.
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, null=True, blank=True, related_name="api_tokens"
    )
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16, help_text="How it begins, to be recognised by.")
    token_hash = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=Scope.choices)
    # The most it may do, whatever its owner may.
    role = models.CharField(max_length=10, choices=Membership.Role.choices)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scope__in=["read", "write", "score"]), name="api_token_scope_valid"
            ),
            models.CheckConstraint(
                condition=Q(role__in=ROLES),
                name="api_token_role_valid",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="api_token_expires_after_creation"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="api_token_name_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}...)"


class IdempotentRequest(models.Model):
    """What a program was answered to a request with an Idempotency-Key, so that a repetition gets the same."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=100)
    request_sha256 = models.CharField(max_length=64, help_text="Of method, address and body.")
    # Both empty while it is carried out.
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="unique_idempotency_key_per_user"),
            models.CheckConstraint(condition=~Q(key=""), name="idempotent_request_key_not_empty"),
        ]

    def __str__(self) -> str:
        return self.key
