"""Live conversations: a person writes, two answers come, the judgment decides which one it goes on with.

What was judged is a Task with two Responses and a Judgment like any other; these rows hold what lies between tasks: the
settings of the batch, the conversation so far, and answers that are still being written.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from annotation.models.responses import Response, Source
from annotation.models.tasks import Batch, Task

RESPONSE_PREFIX = "conversation-"  # of the id of a response that is a whole conversation


class LiveBatch(models.Model):
    """How the conversations of a batch are led. Its two sides are two policies, or one at two temperatures."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, related_name="live")
    system_prompt = models.TextField(
        blank=True, help_text="What both policies are told before the conversation."
    )
    instruction = models.TextField(blank=True, help_text="What the annotator is asked to talk about.")
    openers = models.JSONField(default=list, blank=True, help_text="First messages to choose from.")
    first_source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+")
    first_temperature = models.FloatField(default=1.0)
    second_source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+")
    second_temperature = models.FloatField(default=1.0)
    top_p = models.FloatField(default=1.0)
    max_turns = models.PositiveSmallIntegerField(default=10)
    max_response_tokens = models.PositiveIntegerField(default=256)
    max_message_characters = models.PositiveIntegerField(default=4000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(first_temperature__gt=0, second_temperature__gt=0),
                name="live_batch_temperatures_positive",
            ),
            models.CheckConstraint(condition=Q(top_p__gt=0, top_p__lte=1), name="live_batch_top_p_valid"),
            models.CheckConstraint(
                condition=Q(max_turns__gte=1, max_response_tokens__gte=1, max_message_characters__gte=1),
                name="live_batch_limits_positive",
            ),
        ]

    def __str__(self) -> str:
        return str(self.batch)

    @property
    def sides(self) -> list[tuple[Source, float]]:
        return [
            (self.first_source, self.first_temperature),
            (self.second_source, self.second_temperature),
        ]


class Conversation(models.Model):
    live = models.ForeignKey(LiveBatch, on_delete=models.CASCADE, related_name="conversations")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="conversations"
    )
    # What the browser knows it by.
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # One at a time: a second window opens the one that is there.
            models.UniqueConstraint(
                fields=["live", "annotator"],
                condition=Q(ended_at__isnull=True),
                name="unique_open_conversation_per_person_and_batch",
            )
        ]

    def __str__(self) -> str:
        return str(self.public_id)

    @property
    def response_id(self) -> str:
        """Of the response that it is when it is compared whole."""
        return f"{RESPONSE_PREFIX}{self.public_id.hex}"


class ConversationTurn(models.Model):
    """A message of the person and what became of its two answers."""

    class Outcome(models.TextChoices):
        OPEN = "open", gettext_lazy("Open")  # answers are being written, or wait for their judgment
        JUDGED = "judged", gettext_lazy("Judged")
        SKIPPED = "skipped", gettext_lazy("Not judged")  # the person could not judge; one was drawn
        ONE_ANSWER = (
            "one_answer",
            gettext_lazy("One answer"),
        )  # the other could not be written: nothing was compared

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    number = models.PositiveSmallIntegerField(help_text="From 1.")
    message = models.TextField()
    # Which side stands first on the screen, drawn when the message was sent.
    shown_first = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.OPEN)
    task = models.OneToOneField(
        Task, on_delete=models.PROTECT, null=True, blank=True, related_name="conversation_turn"
    )
    # What the conversation goes on with.
    chosen = models.ForeignKey(Response, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    chosen_at_random = models.BooleanField(default=False, help_text="After a tie, or without a judgment.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "number"], name="unique_turn_number_per_conversation"
            ),
            models.CheckConstraint(
                condition=Q(outcome="open", chosen__isnull=True)
                | Q(outcome__in=["judged", "skipped", "one_answer"], chosen__isnull=False),
                name="conversation_turn_chosen_when_over",
            ),
            models.CheckConstraint(condition=Q(shown_first__lte=1), name="conversation_turn_side_valid"),
        ]


class TurnAnswer(models.Model):
    """One side's answer to a turn, from the asking to the stored response."""

    class State(models.TextChoices):
        WRITING = "writing", gettext_lazy("Being written")
        DONE = "done", gettext_lazy("Done")
        FAILED = "failed", gettext_lazy("Failed")

    turn = models.ForeignKey(ConversationTurn, on_delete=models.CASCADE, related_name="answers")
    side = models.PositiveSmallIntegerField(help_text="0 or 1: the first or second source of the batch.")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+")
    temperature = models.FloatField()
    seed = models.CharField(max_length=40)
    attempt = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WRITING)
    text = models.TextField(blank=True)
    error = models.CharField(max_length=1000, blank=True)
    token_ids = models.JSONField(null=True, blank=True)
    logprobs = models.JSONField(null=True, blank=True)
    ended = models.BooleanField(null=True, blank=True)
    max_tokens = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="How many it could have: less than the batch asks for in a small model.",
    )
    prompt_cut = models.BooleanField(
        null=True, blank=True, help_text="The beginning of the conversation did not fit the model."
    )
    response = models.OneToOneField(
        Response, on_delete=models.PROTECT, null=True, blank=True, related_name="turn_answer"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["side"]
        constraints = [
            models.UniqueConstraint(fields=["turn", "side"], name="unique_answer_per_turn_and_side"),
            models.CheckConstraint(condition=Q(side__lte=1), name="turn_answer_side_valid"),
            models.CheckConstraint(
                condition=Q(state__in=["writing", "done", "failed"]), name="turn_answer_state_valid"
            ),
        ]

    @property
    def request_id(self) -> str:
        return f"{self.turn_id}-{self.side}-{self.attempt}"
