"""Prompts and the sets they are gathered in."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from annotation.models.imports import NotTakenBack, import_field, source_id_field
from learning.interface import vocabulary
from learning.interface.json_text import json_encoder
from learning.interface.messages import without_nulls
from workspace.models import Project

_to_canonical_json = json_encoder(ensure_ascii=False, sort_keys=True)


def hash_messages(messages: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256 of a conversation's canonical JSON: the identity of a prompt that came without an id."""
    canonical = _to_canonical_json([without_nulls(message) for message in messages])
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def new_external_id() -> str:
    return uuid.uuid4().hex


class Prompt(models.Model):
    class Kind(models.TextChoices):
        PLAIN = vocabulary.PLAIN, gettext_lazy("Plain")  # a task in words
        FEW_SHOT = vocabulary.FEW_SHOT, gettext_lazy("Few-shot")  # an instruction with worked examples
        USER_BASED = (
            vocabulary.USER_BASED,
            gettext_lazy("User-based"),
        )  # written after a use that people asked for

    class Split(models.TextChoices):
        TRAIN = vocabulary.TRAIN, gettext_lazy("Train")
        VALIDATION = vocabulary.VALIDATION, gettext_lazy("Validation")
        TEST = vocabulary.TEST, gettext_lazy("Test")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="prompts")
    external_id = models.CharField(max_length=200, help_text="`prompt_id` in files.")
    messages = models.JSONField(help_text="A conversation that ends with a user or tool turn.")
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.PLAIN)
    tags = models.JSONField(default=list, blank=True)
    # The file's own, or by the hash of the first user turn; a prompt that changed its split would leak into
    # evaluation (trigger).
    split = models.CharField(max_length=10, choices=Split.choices, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    content_hash = models.CharField(max_length=64, editable=False)
    # Prompts that begin alike are on one side: what they are compared by.
    first_turn_hash = models.CharField(max_length=64, editable=False, default="")
    # That of the first of the prompts that are almost the same; null where the project has not asked for groups,
    # or the prompt waits for its group.
    group_hash = models.CharField(max_length=64, null=True, editable=False)
    from_import = import_field("prompts")
    taken_back = models.BooleanField(default=False, editable=False)
    source_id = source_id_field()
    metadata = models.JSONField(null=True, blank=True, help_text="Further columns of the file it came from.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = NotTakenBack()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "external_id"],
                condition=Q(taken_back=False),
                name="unique_prompt_id_per_project",
            ),
            models.CheckConstraint(condition=Q(split__in=list(vocabulary.SPLITS)), name="prompt_split_valid"),
            models.CheckConstraint(
                condition=Q(kind__in=list(vocabulary.PROMPT_KINDS)), name="prompt_kind_valid"
            ),
            models.CheckConstraint(condition=~Q(external_id=""), name="prompt_id_not_empty"),
        ]
        indexes = [
            models.Index(fields=["project", "content_hash"], name="prompt_by_content"),
            models.Index(fields=["project", "first_turn_hash"], name="prompt_by_first_turn"),
            # With the key: those that wait for a group are taken in the order of their keys.
            models.Index(fields=["project", "group_hash", "id"], name="prompt_by_group_in_order"),
        ]

    def __str__(self) -> str:
        return self.external_id


class PromptGroupKey(models.Model):
    """By which the first prompt of a group is found again: a band of its MinHash."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.BigIntegerField()
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key", "prompt"], name="unique_key_per_prompt")
        ]

    def __str__(self) -> str:
        return f"{self.key:016x}"


class PromptSet(models.Model):
    class Purpose(models.TextChoices):
        SFT = "sft", gettext_lazy("Supervised fine-tuning")
        REWARD = "reward", gettext_lazy("Reward model")
        POLICY = "policy", gettext_lazy("Policy training")
        EVALUATION = "evaluation", gettext_lazy("Evaluation")
        ANCHOR = "anchor", gettext_lazy("Anchor")  # the same prompts every round, so that rounds compare

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="prompt_sets")
    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    prompts: "models.ManyToManyField[Prompt, PromptSetMember]" = models.ManyToManyField(
        Prompt, through="PromptSetMember", related_name="prompt_sets"
    )
    from_import = import_field("prompt_sets")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="unique_prompt_set_name_per_project"),
            models.CheckConstraint(
                condition=Q(purpose__in=["sft", "reward", "policy", "evaluation", "anchor"]),
                name="prompt_set_purpose_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PromptSetMember(models.Model):
    prompt_set = models.ForeignKey(PromptSet, on_delete=models.CASCADE, related_name="members")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="memberships")
    from_import = import_field("memberships")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt_set", "prompt"], name="unique_prompt_per_prompt_set")
        ]
