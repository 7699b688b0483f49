"""The tables of annotation, one module an aggregate. Django looks for the models here."""

from annotation.models.assignments import Assignment, QueueCursor
from annotation.models.counts import TaskCount
from annotation.models.datasets import PreferenceDataset
from annotation.models.imports import Import, ImportQuerySet
from annotation.models.judgments import CurrentJudgment, GoldJudgment, Judgment, JudgmentQuerySet
from annotation.models.prompts import Prompt, PromptSet, PromptSetMember, hash_messages, new_external_id
from annotation.models.rendered import RenderedText
from annotation.models.responses import Demonstration, Response, Source
from annotation.models.tasks import COUNTED_PURPOSES, Batch, BatchQuerySet, Task, TaskQuerySet, TaskResponse
from annotation.models.texts import Text

__all__ = [
    "QueueCursor",
    "Assignment",
    "Batch",
    "BatchQuerySet",
    "CurrentJudgment",
    "Demonstration",
    "GoldJudgment",
    "Import",
    "ImportQuerySet",
    "Judgment",
    "JudgmentQuerySet",
    "PreferenceDataset",
    "Prompt",
    "PromptSet",
    "PromptSetMember",
    "RenderedText",
    "Response",
    "COUNTED_PURPOSES",
    "Source",
    "Task",
    "TaskCount",
    "TaskQuerySet",
    "TaskResponse",
    "Text",
    "hash_messages",
    "new_external_id",
]
