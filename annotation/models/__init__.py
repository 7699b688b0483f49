"""The tables of annotation, one module an aggregate. Django looks for the models here."""

from annotation.models.adjudication import (
    Adjudication,
    DisagreementKind,
    OneMoreRule,
    ReturnedJudgment,
    standing_decisions,
)
from annotation.models.ai_judging import AIJudging
from annotation.models.assigning import (
    Acknowledgement,
    BatchAudience,
    DailyLimit,
    DayCount,
    MemberTag,
    ToAcknowledge,
)
from annotation.models.assignments import Assignment, QueueCursor
from annotation.models.conversations import Conversation, ConversationTurn, LiveBatch, TurnAnswer
from annotation.models.counts import TaskCount, TaskTrouble, WorkCount
from annotation.models.datasets import PreferenceDataset
from annotation.models.imports import Import, ImportQuerySet
from annotation.models.judgments import CurrentJudgment, GoldJudgment, Judgment, JudgmentQuerySet
from annotation.models.opt_outs import ContentOptOut
from annotation.models.pay import PayRate
from annotation.models.prompts import (
    Prompt,
    PromptGroupKey,
    PromptSet,
    PromptSetMember,
    hash_messages,
    new_external_id,
)
from annotation.models.qualification import Qualification, Training, TrainingAnswer
from annotation.models.quality import (
    QualityAgreement,
    QualityAnnotator,
    QualityAnnotatorPair,
    QualityReport,
    TaskConsensus,
)
from annotation.models.questions import TaskQuestion
from annotation.models.rendered import RenderedText
from annotation.models.responses import Demonstration, Response, Source
from annotation.models.tasks import COUNTED_PURPOSES, Batch, BatchQuerySet, Task, TaskQuerySet, TaskResponse
from annotation.models.texts import Text
from annotation.models.uploads import Upload
from annotation.models.writing import (
    WritingItem,
    WritingResult,
    WritingReview,
    WritingSkip,
    WritingVersion,
    WritingWork,
)

__all__ = [
    "AIJudging",
    "Adjudication",
    "DisagreementKind",
    "ToAcknowledge",
    "MemberTag",
    "OneMoreRule",
    "DayCount",
    "DailyLimit",
    "BatchAudience",
    "Acknowledgement",
    "QueueCursor",
    "Assignment",
    "Batch",
    "BatchQuerySet",
    "ContentOptOut",
    "Conversation",
    "ConversationTurn",
    "CurrentJudgment",
    "Demonstration",
    "GoldJudgment",
    "Import",
    "ImportQuerySet",
    "Judgment",
    "JudgmentQuerySet",
    "LiveBatch",
    "PayRate",
    "PreferenceDataset",
    "Prompt",
    "PromptGroupKey",
    "PromptSet",
    "PromptSetMember",
    "Qualification",
    "QualityAgreement",
    "QualityAnnotator",
    "QualityAnnotatorPair",
    "QualityReport",
    "RenderedText",
    "ReturnedJudgment",
    "Response",
    "COUNTED_PURPOSES",
    "Source",
    "Task",
    "TaskConsensus",
    "TaskCount",
    "TaskQuerySet",
    "TaskQuestion",
    "TaskResponse",
    "TaskTrouble",
    "Text",
    "Training",
    "TrainingAnswer",
    "TurnAnswer",
    "Upload",
    "WorkCount",
    "WritingItem",
    "WritingResult",
    "WritingReview",
    "WritingSkip",
    "WritingVersion",
    "WritingWork",
    "hash_messages",
    "standing_decisions",
    "new_external_id",
]
