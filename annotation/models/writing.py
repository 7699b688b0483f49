"""Texts that people write here: ideal or corrected answers, whole dialogues, prompts; each checked by another person.

A piece of work asks for a number of items. An item is held by one writer under a lease, as a task is by an annotator.
What they send is a version, what a reviewer says of it a review; both are only ever added (triggers). What was
accepted becomes a demonstration or a prompt, and `WritingResult` says which.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy

from annotation.models.prompts import Prompt, PromptSet
from annotation.models.responses import Demonstration, Response
from workspace.models import Project


class WritingWork(models.Model):
    """What is asked for: the kind of text, how many, how long, where accepted prompts go."""

    class Kind(models.TextChoices):
        ANSWER = "answer", gettext_lazy("Ideal answers to prompts")
        EDIT = "edit", gettext_lazy("Answers to correct")  # the writer begins with an answer that is there
        DIALOGUE = "dialogue", gettext_lazy("Whole dialogues")  # one person writes both sides
        PROMPT = "prompt", gettext_lazy("Prompts")

    class State(models.TextChoices):
        OPEN = "open", gettext_lazy("Open")
        CLOSED = (
            "closed",
            gettext_lazy("Closed"),
        )  # nothing new is handed out; what was begun can be sent and checked

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="writing_works")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    instruction = models.TextField(blank=True)
    # Of prompts that are asked for; empty for the other kinds.
    prompt_kind = models.CharField(max_length=12, choices=Prompt.Kind.choices, blank=True)
    prompt_set = models.ForeignKey(
        PromptSet,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Answers: whose prompts are answered. Prompts and dialogues: where accepted prompts go.",
    )
    min_words = models.PositiveIntegerField(default=1, help_text="Of what is written, a turn of a dialogue.")
    max_words = models.PositiveIntegerField(default=2000)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="unique_writing_work_per_project"),
            models.CheckConstraint(
                condition=Q(kind__in=["answer", "edit", "dialogue", "prompt"]), name="writing_kind_valid"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "closed"]), name="writing_work_state_valid"
            ),
            models.CheckConstraint(
                condition=Q(min_words__gte=1, max_words__gte=F("min_words")), name="writing_word_limits_valid"
            ),
            models.CheckConstraint(
                condition=(Q(kind="prompt") & ~Q(prompt_kind="")) | (~Q(kind="prompt") & Q(prompt_kind="")),
                name="writing_prompt_kind_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WritingItem(models.Model):
    """One text that is asked for, from waiting to accepted."""

    class State(models.TextChoices):
        WAITING = "waiting", gettext_lazy("Waiting for a writer")
        WRITING = "writing", gettext_lazy("Being written")
        CHECKING = "checking", gettext_lazy("Waiting to be checked")
        RETURNED = "returned", gettext_lazy("Sent back")  # it stays its writer's
        ACCEPTED = "accepted", gettext_lazy("Accepted")

    work = models.ForeignKey(WritingWork, on_delete=models.CASCADE, related_name="items")
    # What the writer's browser knows it by.
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    prompt = models.ForeignKey(
        Prompt,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="writing_items",
        help_text="To be answered.",
    )
    edited_response = models.ForeignKey(
        Response,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="writing_items",
        help_text="To be corrected.",
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    writer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="writing_items",
    )
    leased_until = models.DateTimeField(null=True, blank=True)
    # What was typed and not sent; its number goes up with each change, so that two windows notice one another.
    draft = models.JSONField(null=True, blank=True)
    draft_number = models.PositiveIntegerField(default=0)
    # Somebody else was asked for the same meanwhile: what its writer has or sends is kept, beside theirs.
    is_late = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", writer__isnull=True, leased_until__isnull=True)
                | Q(state="writing", writer__isnull=False, leased_until__isnull=False)
                | Q(
                    state__in=["checking", "returned", "accepted"],
                    writer__isnull=False,
                    leased_until__isnull=True,
                ),
                name="writing_item_state_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["work", "state", "id"], name="writing_item_by_state"),
            models.Index(fields=["writer", "state"], name="writing_item_by_writer"),
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class WritingVersion(models.Model):
    """A text as it was sent, by its writer or by a reviewer who corrected it. Never changed."""

    item = models.ForeignKey(WritingItem, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveSmallIntegerField(help_text="From 1.")
    turns = models.JSONField(
        help_text="The texts in their order: one, or those of a dialogue, the user's first."
    )
    written_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # The browser's, so that a second send is the same version.
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["item", "number"], name="unique_writing_version_number"),
            models.UniqueConstraint(fields=["written_by", "key"], name="unique_writing_version_key"),
            models.CheckConstraint(condition=Q(number__gte=1), name="writing_version_number_valid"),
            models.CheckConstraint(condition=~Q(key=""), name="writing_version_key_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.item_id} version {self.number}"


class WritingReview(models.Model):
    """What a second person said of a version. Never changed."""

    class Outcome(models.TextChoices):
        ACCEPT = "accept", gettext_lazy("Accepted")
        EDIT = "edit", gettext_lazy("Corrected and accepted")
        SEND_BACK = "send_back", gettext_lazy("Sent back")

    version = models.OneToOneField(WritingVersion, on_delete=models.PROTECT, related_name="review")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    writer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=9, choices=Outcome.choices)
    remark = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reviewer=F("writer")), name="writing_checked_by_another"),
            models.CheckConstraint(
                condition=Q(outcome__in=["accept", "edit"]) | (Q(outcome="send_back") & ~Q(remark="")),
                name="writing_review_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.outcome}"


class WritingResult(models.Model):
    """What an accepted version became: the demonstrations, or the prompt."""

    version = models.ForeignKey(WritingVersion, on_delete=models.PROTECT, related_name="results")
    demonstration = models.OneToOneField(
        Demonstration, on_delete=models.PROTECT, null=True, blank=True, related_name="written"
    )
    prompt = models.OneToOneField(
        Prompt, on_delete=models.PROTECT, null=True, blank=True, related_name="written"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(demonstration__isnull=False, prompt__isnull=True)
                | Q(demonstration__isnull=True, prompt__isnull=False),
                name="writing_result_is_one",
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)


class WritingSkip(models.Model):
    """An item that somebody gave back, and why; they are not given it again."""

    item = models.ForeignKey(WritingItem, on_delete=models.CASCADE, related_name="skips")
    writer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "writer"], name="unique_writing_skip"),
            models.CheckConstraint(condition=~Q(reason=""), name="writing_skip_has_reason"),
        ]

    def __str__(self) -> str:
        return self.reason[:60]
