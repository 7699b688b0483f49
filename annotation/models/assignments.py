"""Who holds which task until when, and where the search through a queue resumes."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from annotation.models.tasks import Batch, Task


class Assignment(models.Model):
    class State(models.TextChoices):
        LEASED = (
            "leased",
            gettext_lazy("Leased"),
        )  # holds a slot until leased_until, and on until somebody sweeps it
        SUBMITTED = "submitted", gettext_lazy("Submitted")  # has a judgment
        SKIPPED = (
            "skipped",
            gettext_lazy("Skipped"),
        )  # gave the slot back; not offered to this annotator again
        EXPIRED = (
            "expired",
            gettext_lazy("Expired"),
        )  # gave the slot back; may be offered again, drafts are kept
        TAKEN_BACK = (
            "taken_back",
            gettext_lazy("Taken back"),
        )  # its judgment came with an import that was taken back
        OWN = "own", gettext_lazy("Own work")  # never handed out: the person wrote what the task shows

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="assignments")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments"
    )
    # What the browser knows an assignment by: random, so that it tells nothing of tasks or order.
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.LEASED)
    leased_until = models.DateTimeField()
    shuffle_seed = models.BigIntegerField()
    order_shown = models.JSONField(help_text="Response keys in the order shown; labels A, B, ... follow it.")
    settings_version = models.PositiveIntegerField(help_text="Of the question as it was shown.")
    guideline_version = models.PositiveIntegerField(help_text="As it was shown; 0 when there was none.")
    draft = models.JSONField(default=dict, blank=True)
    skip_reason = models.TextField(blank=True, default="")
    submitted_at = models.DateTimeField(null=True, blank=True)
    # In the project's time zone, of what was judged at the screen: DayCount counts it.
    submitted_day = models.DateField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "annotator"],
                condition=~Q(state="taken_back"),
                name="unique_assignment_per_task_and_annotator",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["leased", "submitted", "skipped", "expired", "taken_back", "own"]),
                name="assignment_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(state="submitted", submitted_at__isnull=False)
                | (~Q(state="submitted") & Q(submitted_at__isnull=True)),
                name="assignment_submitted_at_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["leased_until"], condition=Q(state="leased"), name="assignment_live_leases"),
            models.Index(
                fields=["annotator", "id"], condition=Q(state="leased"), name="assignment_own_lease"
            ),
            models.Index(
                fields=["annotator", "id"], condition=Q(state="expired"), name="assignment_own_expired"
            ),
            models.Index(fields=["annotator", "-submitted_at"], name="assignment_own_history"),
        ]


class QueueCursor(models.Model):
    """Where an annotator's search in a batch goes on: a claim need not walk past all they have done.

    Valid for the batch's `queue_version` it was taken under.
    """

    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="+")
    queue_version = models.PositiveIntegerField()
    priority = models.IntegerField()
    task_id = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["annotator", "batch"], name="unique_queue_cursor_per_annotator_and_batch"
            )
        ]
