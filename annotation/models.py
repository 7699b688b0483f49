"""What people are asked, what they answered, and the datasets made of it.

A judgment is a weak order: K responses in tiers (a tie is one tier), with a strength of 0 to 3 on each step
between neighbouring tiers. Judgments are append-only; triggers hold that against every client. Rows are
changed by annotation's actions only.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from annotation.querysets import SLOT_PURPOSES, BatchQuerySet, JudgmentQuerySet, TaskQuerySet
from workspace.models import Criterion, Project


def hash_messages(messages: Sequence[Mapping[str, str]]) -> str:
    """SHA-256 of a conversation's canonical JSON: the identity of a prompt that came without an id."""
    canonical = json.dumps(
        [{"role": m["role"], "content": m["content"]} for m in messages], ensure_ascii=False, sort_keys=True
    )
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def new_external_id() -> str:
    return uuid.uuid4().hex


class Prompt(models.Model):
    class Kind(models.TextChoices):
        PLAIN = "plain", "Plain"  # a task in words
        FEW_SHOT = "few-shot", "Few-shot"  # an instruction with worked examples
        USER_BASED = "user-based", "User-based"  # written after a use that people asked for

    class Split(models.TextChoices):
        TRAIN = "train", "Train"
        VALIDATION = "validation", "Validation"
        TEST = "test", "Test"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="prompts")
    external_id = models.CharField(max_length=200, help_text="`prompt_id` in files.")
    messages = models.JSONField(help_text="A conversation that ends with a user or tool turn.")
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.PLAIN)
    tags = models.JSONField(default=list, blank=True)
    # By the hash of the first user turn; a prompt that changed sides would leak into evaluation (trigger).
    split = models.CharField(max_length=10, choices=Split.choices, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    content_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "external_id"], name="prompt_id_once_a_project"),
            models.CheckConstraint(
                condition=Q(split__in=["train", "validation", "test"]), name="prompt_split_is_known"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["plain", "few-shot", "user-based"]), name="prompt_kind_is_known"
            ),
            models.CheckConstraint(condition=~Q(external_id=""), name="prompt_has_an_id"),
        ]
        indexes = [models.Index(fields=["project", "content_hash"], name="prompt_by_content")]

    def __str__(self) -> str:
        return self.external_id


class PromptSet(models.Model):
    class Purpose(models.TextChoices):
        SFT = "sft", "Supervised fine-tuning"
        REWARD = "reward", "Reward model"
        POLICY = "policy", "Policy training"
        EVALUATION = "evaluation", "Evaluation"
        ANCHOR = "anchor", "Anchor"  # the same prompts every round, so that rounds compare

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="prompt_sets")
    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    prompts: "models.ManyToManyField[Prompt, PromptSetMember]" = models.ManyToManyField(
        Prompt, through="PromptSetMember", related_name="prompt_sets"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="prompt_set_name_once_a_project"),
            models.CheckConstraint(
                condition=Q(purpose__in=["sft", "reward", "policy", "evaluation", "anchor"]),
                name="prompt_set_purpose_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PromptSetMember(models.Model):
    prompt_set = models.ForeignKey(PromptSet, on_delete=models.CASCADE, related_name="members")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="memberships")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt_set", "prompt"], name="prompt_once_a_prompt_set")
        ]


class Source(models.Model):
    """Where a response came from. Annotators never learn it."""

    class Kind(models.TextChoices):
        POLICY = "policy", "Policy"
        PERSON = "person", "Person"
        REFERENCE = "reference", "Reference"
        IMPORT = "import", "Import"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="sources")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "kind", "name"], name="source_once_a_project"),
            models.CheckConstraint(
                condition=Q(kind__in=["policy", "person", "reference", "import"]), name="source_kind_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Response(models.Model):
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="responses")
    external_id = models.CharField(
        max_length=200, default=new_external_id, help_text="`response_id` in files."
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="responses")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="responses")
    text = models.TextField()  # NUL is refused (PostgreSQL by itself, SQLite by a trigger)
    sampling = models.JSONField(null=True, blank=True, help_text="temperature, top_p, seed, ...")
    token_ids = models.JSONField(null=True, blank=True, help_text="When sampled here.")
    logprobs = models.JSONField(null=True, blank=True, help_text="One for each token id.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "external_id"], name="response_id_once_a_project"),
            models.CheckConstraint(condition=~Q(external_id=""), name="response_has_an_id"),
        ]

    def __str__(self) -> str:
        return self.external_id


class Demonstration(models.Model):
    """A response a person wrote to be imitated. Its split is its prompt's."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="demonstrations")
    external_id = models.CharField(max_length=200, default=new_external_id)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="demonstrations")
    response_text = models.TextField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "external_id"], name="demonstration_id_once_a_project"
            ),
            models.CheckConstraint(condition=~Q(response_text=""), name="demonstration_is_not_empty"),
        ]

    def __str__(self) -> str:
        return self.external_id


class Batch(models.Model):
    class Kind(models.TextChoices):
        PAIRWISE = "pairwise", "Pairwise"
        RANKING = "ranking", "Ranking"
        RATING = "rating", "Rating"  # one response, marks only

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"  # tasks are being added; nobody is asked
        OPEN = "open", "Open"  # tasks are handed out
        CLOSED = "closed", "Closed"  # no new tasks; what people had open may still come in

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="batches")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    k = models.PositiveSmallIntegerField(help_text="Responses a task; at most so many in a ranking.")
    overlap = models.PositiveSmallIntegerField(help_text="How many people judge each task.")
    quota = models.PositiveIntegerField(help_text="Counted judgments that fill the batch.", null=True)
    priority = models.IntegerField(default=0)
    round_number = models.PositiveIntegerField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    # An import is invisible until its last row is in.
    visible = models.BooleanField(default=True)
    # Raised when priorities change: cursors of an older epoch start again from the top.
    cursor_epoch = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="batch_name_once_a_project"),
            models.CheckConstraint(
                condition=Q(kind="pairwise", k=2)
                | Q(kind="ranking", k__gte=3, k__lte=9)
                | Q(kind="rating", k=1),
                name="batch_k_fits_its_kind",
            ),
            models.CheckConstraint(
                condition=Q(overlap__gte=1, overlap__lte=50), name="batch_overlap_1_to_50"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "open", "closed"]), name="batch_state_is_known"
            ),
        ]
        indexes = [models.Index(fields=["project", "state", "-priority", "id"], name="batch_by_urgency")]

    def __str__(self) -> str:
        return self.name


class Task(models.Model):
    class Purpose(models.TextChoices):
        NORMAL = "normal", "Normal"
        GOLD = "gold", "Gold"  # the answer is known; annotators cannot tell
        REPEAT = "repeat", "Repeat"  # the same annotator again
        TRAINING = "training", "Training"  # with feedback
        ADJUDICATION = "adjudication", "Adjudication"  # a reviewer decides
        HEAD_TO_HEAD = (
            "head_to_head",
            "Head to head",
        )  # one policy against another; never trains a reward model

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="tasks")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="tasks")
    purpose = models.CharField(max_length=14, choices=Purpose.choices, default=Purpose.NORMAL)
    reserved_for = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    priority = models.IntegerField(default=0)
    # needed = open_slots + done + live leases. The room left is a column of the row a claim locks,
    # never a count.
    needed = models.PositiveSmallIntegerField()
    open_slots = models.SmallIntegerField()
    done = models.SmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(open_slots__gte=0), name="task_open_slots_not_negative"),
            models.CheckConstraint(condition=Q(done__gte=0), name="task_done_not_negative"),
            models.CheckConstraint(
                condition=Q(needed__gte=F("open_slots") + F("done")), name="task_slots_add_up"
            ),
            models.CheckConstraint(
                condition=Q(purpose__in=SLOT_PURPOSES, needed__gte=1)
                | (~Q(purpose__in=SLOT_PURPOSES) & Q(needed=0)),
                name="task_slots_fit_its_purpose",
            ),
            models.CheckConstraint(
                condition=Q(
                    purpose__in=["normal", "gold", "repeat", "training", "adjudication", "head_to_head"]
                ),
                name="task_purpose_is_known",
            ),
            # These are made for one person; without one nobody would ever get them.
            models.CheckConstraint(
                condition=~Q(purpose__in=["repeat", "adjudication"]) | Q(reserved_for__isnull=False),
                name="task_of_one_person_names_them",
            ),
        ]
        indexes = [
            models.Index(
                F("batch"),
                F("priority").desc(),
                F("id"),
                condition=Q(open_slots__gt=0),
                name="task_open_by_urgency",
            ),
            models.Index(
                fields=["reserved_for", "batch"],
                condition=Q(reserved_for__isnull=False),
                name="task_reserved",
            ),
            models.Index(fields=["batch", "id"], condition=Q(purpose="gold"), name="task_gold"),
        ]


class TaskResponse(models.Model):
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="entries")
    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="task_entries")
    # The order they were given in; what an annotator sees is shuffled for each assignment.
    position = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "response"], name="response_once_a_task"),
            models.UniqueConstraint(fields=["task", "position"], name="position_once_a_task"),
            models.CheckConstraint(condition=Q(position__lte=8), name="task_has_at_most_9_responses"),
        ]


class Assignment(models.Model):
    class State(models.TextChoices):
        LEASED = "leased", "Leased"  # holds a slot until leased_until, and on until somebody sweeps it
        SUBMITTED = "submitted", "Submitted"  # has a judgment
        SKIPPED = "skipped", "Skipped"  # gave the slot back; not offered to this annotator again
        EXPIRED = "expired", "Expired"  # gave the slot back; may be offered again, drafts are kept

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="assignments")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments"
    )
    # What the browser knows an assignment by: random, so that it tells nothing of tasks or order.
    handle = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.LEASED)
    leased_until = models.DateTimeField()
    presentation_seed = models.BigIntegerField()
    order_shown = models.JSONField(help_text="Response keys in the order shown; handles A, B, ... follow it.")
    settings_version = models.PositiveIntegerField(help_text="Of the question as it was shown.")
    guideline_version = models.PositiveIntegerField(help_text="As it was shown; 0 when there was none.")
    draft = models.JSONField(default=dict, blank=True)
    evidence = models.JSONField(
        default=dict, blank=True, help_text="How the work went: skip reason, drafts saved."
    )
    submitted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "annotator"], name="assignment_once_a_task_and_annotator"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["leased", "submitted", "skipped", "expired"]),
                name="assignment_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state="submitted", submitted_at__isnull=False)
                | (~Q(state="submitted") & Q(submitted_at__isnull=True)),
                name="assignment_submitted_at_with_state",
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


class AnnotatorCursor(models.Model):
    """Where an annotator's search in a batch goes on: a claim need not walk past all they have done."""

    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="+")
    epoch = models.PositiveIntegerField()
    priority = models.IntegerField()
    task_id = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotator", "batch"], name="cursor_once_an_annotator_and_batch")
        ]


class Judgment(models.Model):
    """One answer. Never changed: a revision or a withdrawal is a new row that supersedes this one."""

    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="judgments")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="judgments")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgments"
    )
    supersedes = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    order_shown = models.JSONField()  # [response key, ...]
    tiers = models.JSONField()  # [[response key, ...], ...] best first
    strengths = models.JSONField(default=list)  # one of 0..3 for each step between tiers
    marks = models.JSONField(default=dict, blank=True)  # {"response key": {name: value}}
    rationale = models.TextField(blank=True)
    flags = models.JSONField(default=list, blank=True)
    seconds = models.FloatField(
        default=0.0, help_text="Active seconds: the page visible, the person not idle."
    )
    settings_version = models.PositiveIntegerField()
    guideline_version = models.PositiveIntegerField()
    surplus = models.BooleanField(default=False, help_text="Came when no slot was open: kept, not counted.")
    withdrawn = models.BooleanField(default=False, help_text="This row takes back the one it supersedes.")
    idempotency_key = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)

    objects = JudgmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["supersedes"], name="judgment_superseded_once"),
            models.UniqueConstraint(
                fields=["annotator", "idempotency_key"], name="judgment_key_once_an_annotator"
            ),
            # One chain for each person and task.
            models.UniqueConstraint(
                fields=["assignment"],
                condition=Q(supersedes__isnull=True),
                name="judgment_chain_has_one_start",
            ),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="judgment_seconds_not_negative"),
            models.CheckConstraint(condition=~Q(idempotency_key=""), name="judgment_has_a_key"),
            models.CheckConstraint(
                condition=Q(withdrawn=False) | Q(supersedes__isnull=False),
                name="withdrawal_supersedes_a_judgment",
            ),
        ]
        indexes = [models.Index(fields=["task", "annotator"], name="judgment_by_task")]


class CurrentJudgment(models.Model):
    """The newest link of the chain of an annotator and a task."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="current_judgments")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    judgment = models.OneToOneField(Judgment, on_delete=models.PROTECT, related_name="current_pointer")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "annotator"], name="current_judgment_once_a_task_and_annotator"
            )
        ]


class GoldAnswer(models.Model):
    """The known answer of a gold or training task. Annotators never receive it before they have answered."""

    task = models.OneToOneField(Task, on_delete=models.PROTECT, related_name="gold_answer")
    tiers = models.JSONField()
    strengths = models.JSONField(default=list)
    explanation = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)


class PreferenceDataset(models.Model):
    """Judgments frozen into Parquet files, written once. The row exists when the files are complete."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="preference_datasets")
    name = models.CharField(max_length=120)
    criterion = models.ForeignKey(
        Criterion, on_delete=models.PROTECT, null=True, blank=True, related_name="preference_datasets"
    )
    directory = models.CharField(max_length=300, help_text="Below DATA_DIR.")
    manifest_sha256 = models.CharField(max_length=64)
    filters: Any = models.JSONField(default=dict)
    counts: Any = models.JSONField(default=dict)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="preference_dataset_name_once_a_project")
        ]

    def __str__(self) -> str:
        return self.name
