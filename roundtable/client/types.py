"""The types of what the API takes and answers. Written by roundtable.generation from its schema: do not edit."""

# ruff: noqa: I001
from roundtable.client.resources.shared import (
    Artifact, Asked, Decision, Mark, Named, NewAudienceRequest, NewPushRequest, OneBatch, OneChainedTraining,
    OneRun, OwnText, OwnTextRow, OwnVersion, PatchedModelDescriptionRequest, Preset, Presets, Progress,
    Returned, Run, Runs, SaidOfVersion, ShareOfSetRequest, StepValuesRequest,
)  # fmt: skip
from roundtable.client.resources.ai_judgings import (
    AIJudging, AIJudgingBodyRequest, ListAiJudgingsQuery,
)  # fmt: skip
from roundtable.client.resources.assignments import (
    AssignedTask, Assignment, ClaimRequest, Claimed, MyProgress, NewQuestionRequest, OwnJudgment, OwnQuestion,
    ShownResponse, SkippedRequest, StoredJudgment, Submitted, SubmittedJudgmentRequest, TrainingTold,
    ListAssignmentsQuery, ListAssignmentsPublicIdQuestionsQuery,
)  # fmt: skip
from roundtable.client.resources.audit import (
    AuditEvent, ListAuditQuery,
)  # fmt: skip
from roundtable.client.resources.batches import (
    AddedTasks, AnswerRowRequest, Audience, Batch, BatchFromAnswersRequest, Cost, NewBatchRequest,
    NewTasksRequest, PatchedChangedAudienceRequest, PatchedChangedBatchRequest, RequiredTrainingRequest, Skip,
    TaskRowRequest, Throughput, ListBatchesQuery, ListBatchesIdSkipsQuery,
)  # fmt: skip
from roundtable.client.resources.benchmark_files import (
    BenchmarkFile, BenchmarkFileBodyRequest, ListBenchmarkFilesQuery,
)  # fmt: skip
from roundtable.client.resources.chained_trainings import (
    ChainedTraining, ListPolicyTrainingsChainedQuery,
)  # fmt: skip
from roundtable.client.resources.checks import (
    Checks, PatchedChangedChecksRequest,
)  # fmt: skip
from roundtable.client.resources.content_opt_outs import (
    NewOptOutsRequest, OptOuts,
)  # fmt: skip
from roundtable.client.resources.criteria import (
    Criterion, NewCriterionRequest, ListCriteriaQuery,
)  # fmt: skip
from roundtable.client.resources.daily_limit import (
    DailyLimit, NewDailyLimitRequest,
)  # fmt: skip
from roundtable.client.resources.datasets import (
    Dataset, DatasetFile, DatasetFiles, NewDatasetPushRequest, NewDatasetRequest,
    PatchedDatasetDescriptionRequest, ListDatasetsQuery, GetDatasetsIdArchiveQuery, GetDatasetsIdRowsQuery,
)  # fmt: skip
from roundtable.client.resources.decisions import (
    ListDecisionsQuery,
)  # fmt: skip
from roundtable.client.resources.deliveries import (
    Delivery, ListDeliveriesQuery,
)  # fmt: skip
from roundtable.client.resources.demonstrations import (
    AddedDemonstrations, Demonstration, NewDemonstrationRowRequest, NewDemonstrationsRequest,
    ListDemonstrationsQuery,
)  # fmt: skip
from roundtable.client.resources.events import (
    Event, Feed, GetEventsQuery,
)  # fmt: skip
from roundtable.client.resources.first_steps import (
    FirstStep, FirstSteps,
)  # fmt: skip
from roundtable.client.resources.guidelines import (
    Confirmed, Guideline, NewGuidelineRequest, Reader, ToConfirm, VersionToConfirmRequest,
    ListGuidelinesQuery,
)  # fmt: skip
from roundtable.client.resources.imports import (
    Import, TakenBack, ListImportsQuery,
)  # fmt: skip
from roundtable.client.resources.invitations import (
    Invitation, NewInvitation, NewInvitationRequest, ListInvitationsQuery,
)  # fmt: skip
from roundtable.client.resources.judgments import (
    Judgment, RemarkRequest, ListJudgmentsQuery, GetJudgmentsRowsQuery,
)  # fmt: skip
from roundtable.client.resources.known_tasks import (
    KnownOrder, KnownOrderRequest, KnownTask, Made, NewKnownAnswerRequest, NewKnownTasksRequest,
)  # fmt: skip
from roundtable.client.resources.live_batches import (
    BatchFromConversationsRequest, Conversation, LiveBatch, NewLiveBatchRequest, NewSideRequest,
    OneConversation, ReadAnswer, ReadTurn, Side, ListLiveBatchesQuery, ListLiveBatchesIdConversationsQuery,
)  # fmt: skip
from roundtable.client.resources.members import (
    Member, MemberWork, PatchedChangedMemberRequest, PatchedChangedMemberWorkRequest, ListMembersQuery,
)  # fmt: skip
from roundtable.client.resources.own_conversations import (
    NewConversationRequest, OpenLiveBatch, OpenTurn, OwnConversation, OwnConversationRow, SaidTurn,
    SentMessageRequest, ToTalk, WrittenAnswer, ListOwnConversationsQuery,
)  # fmt: skip
from roundtable.client.resources.own_texts import (
    DraftNumber, SentText, SentTextRequest, WhyGivenBackRequest, WrittenDraftRequest, ListOwnTextsQuery,
)  # fmt: skip
from roundtable.client.resources.pay_rate import (
    NewPayRateRequest, PayRate,
)  # fmt: skip
from roundtable.client.resources.policies import (
    FineTuneBodyRequest, ImportBodyRequest, OnePolicy, Policy, PretrainBodyRequest, SampleBodyRequest,
    ListPoliciesQuery,
)  # fmt: skip
from roundtable.client.resources.policy_benchmarks import (
    BenchmarkBodyRequest, PolicyBenchmark, ListPoliciesIdBenchmarksQuery,
)  # fmt: skip
from roundtable.client.resources.policy_comparisons import (
    AlongBodyRequest, CompareBodyRequest, OneComparison, PolicyComparison, TagShares, Verdicts,
    ListPolicyComparisonsQuery,
)  # fmt: skip
from roundtable.client.resources.policy_evaluations import (
    EvaluatePolicyBodyRequest, PolicyEvaluation, ListPoliciesIdEvaluationsQuery,
)  # fmt: skip
from roundtable.client.resources.policy_selections import (
    PolicySelection, SelectBodyRequest, ListPolicySelectionsQuery,
)  # fmt: skip
from roundtable.client.resources.policy_serving import (
    PolicyServing, StartBodyRequest,
)  # fmt: skip
from roundtable.client.resources.policy_trainings import (
    AdoptBodyRequest, BestOfNBodyRequest, DPOBodyRequest, MergeBodyRequest, PPOBodyRequest,
    PolicyGradientBodyRequest,
)  # fmt: skip
from roundtable.client.resources.projects import (
    Me, MyProject, NewProjectRequest, PatchedChangedProjectRequest, Project, Token, ListProjectsQuery,
)  # fmt: skip
from roundtable.client.resources.prompt_sets import (
    PromptSet, ListPromptSetsQuery,
)  # fmt: skip
from roundtable.client.resources.prompts import (
    AddedPrompts, NamedPromptSetRequest, NewPromptRowRequest, NewPromptsRequest, Prompt, ListPromptsQuery,
)  # fmt: skip
from roundtable.client.resources.quality import (
    Agreement, AnnotatorQuality, Leaderboard, Machine, MorePeopleAsked, MorePeopleRequest,
    NewOneMoreRuleRequest, OneMoreRule, Quality, Source, TaskQuality, ListQualityAnnotatorsQuery,
    GetQualityLeaderboardQuery, ListQualityTasksQuery,
)  # fmt: skip
from roundtable.client.resources.question_settings import (
    AskedBodyRequest, MarkBodyRequest, NamedBodyRequest, NewQuestionSettingsRequest, QuestionSettings,
    ListQuestionSettingsQuery,
)  # fmt: skip
from roundtable.client.resources.questions import (
    NewAnswerRequest, Question, ListQuestionsQuery,
)  # fmt: skip
from roundtable.client.resources.queue import (
    Lease, StuckTask, ListQueueLeasesQuery, ListQueueStuckTasksQuery,
)  # fmt: skip
from roundtable.client.resources.responses import (
    AddedResponses, NewResponseRowRequest, NewResponsesRequest, Response, ListResponsesQuery,
)  # fmt: skip
from roundtable.client.resources.returned_judgments import (
    OwnReturned, ReasonRequest, ListReturnedJudgmentsQuery, ListReturnedJudgmentsOwnQuery,
)  # fmt: skip
from roundtable.client.resources.reward_model_trainings import (
    AdoptRewardBodyRequest,
)  # fmt: skip
from roundtable.client.resources.reward_models import (
    EvaluateRewardModelBodyRequest, OneRewardModel, PromptToScoreRequest, RemoteRewards, RewardModel,
    RewardModelEvaluation, Rewards, ScoringModel, Serving, TextsInTemplateRequest, TextsToScoreRequest,
    TrainBodyRequest, ListRewardModelsQuery, ListRewardModelsIdEvaluationsQuery,
)  # fmt: skip
from roundtable.client.resources.rounds import (
    OneRound, ReopenedAnnotationRequest, Round, RoundRun, RoundValuesRequest, StageEntry, ListRoundsQuery,
)  # fmt: skip
from roundtable.client.resources.runs import (
    Metrics, PatchedChangedRunRequest, Result, ListRunsQuery, GetRunsIdMetricsQuery,
)  # fmt: skip
from roundtable.client.resources.schedules import (
    Firing, NewScheduleRequest, OneSchedule, Schedule, ListSchedulesQuery,
)  # fmt: skip
from roundtable.client.resources.selected_policy import (
    PinBodyRequest, SelectedPolicy,
)  # fmt: skip
from roundtable.client.resources.tasks import (
    NewDecisionRequest, OneMoreRequest, OneTaskQuality, PairConsensus, PatchedChangedTaskRequest, Said, Task,
    TaskToDecide, ListTasksQuery,
)  # fmt: skip
from roundtable.client.resources.trainings import (
    NewTrainingRequest, OwnStanding, PatchedChangedTrainingRequest, Qualification, StandingRequest, Training,
    ListTrainingsQuery, ListTrainingsIdQualificationsQuery,
)  # fmt: skip
from roundtable.client.resources.uploads import (
    HubDatasetRequest, NewUploadRequest, Upload, UploadSettingsRequest, ListUploadsQuery,
    PutUploadsPublicIdPiecesQuery,
)  # fmt: skip
from roundtable.client.resources.webhooks import (
    NewWebhook, NewWebhookRequest, PatchedChangedWebhookRequest, Webhook, ListWebhooksQuery,
)  # fmt: skip
from roundtable.client.resources.work import (
    PersonWork, Work, GetWorkQuery,
)  # fmt: skip
from roundtable.client.resources.writing import (
    ClaimedText, GivenBack, NewWritingWorkRequest, OneText, OneWritingWork, SaidOfTextRequest, Text,
    TextCounts, TextReview, TextVersion, WorkToWrite, WriterCounts, WritingWork, ListWritingQuery,
    ListWritingTextsQuery, ListWritingToWriteQuery,
)  # fmt: skip

__all__ = [
    "AIJudging", "AIJudgingBodyRequest", "AddedDemonstrations", "AddedPrompts", "AddedResponses",
    "AddedTasks", "AdoptBodyRequest", "AdoptRewardBodyRequest", "Agreement", "AlongBodyRequest",
    "AnnotatorQuality", "AnswerRowRequest", "Artifact", "Asked", "AskedBodyRequest", "AssignedTask",
    "Assignment", "Audience", "AuditEvent", "Batch", "BatchFromAnswersRequest",
    "BatchFromConversationsRequest", "BenchmarkBodyRequest", "BenchmarkFile", "BenchmarkFileBodyRequest",
    "BestOfNBodyRequest", "ChainedTraining", "Checks", "ClaimRequest", "Claimed", "ClaimedText",
    "CompareBodyRequest", "Confirmed", "Conversation", "Cost", "Criterion", "DPOBodyRequest", "DailyLimit",
    "Dataset", "DatasetFile", "DatasetFiles", "Decision", "Delivery", "Demonstration", "DraftNumber",
    "EvaluatePolicyBodyRequest", "EvaluateRewardModelBodyRequest", "Event", "Feed", "FineTuneBodyRequest",
    "Firing", "FirstStep", "FirstSteps", "GetDatasetsIdArchiveQuery", "GetDatasetsIdRowsQuery",
    "GetEventsQuery", "GetJudgmentsRowsQuery", "GetQualityLeaderboardQuery", "GetRunsIdMetricsQuery",
    "GetWorkQuery", "GivenBack", "Guideline", "HubDatasetRequest", "Import", "ImportBodyRequest",
    "Invitation", "Judgment", "KnownOrder", "KnownOrderRequest", "KnownTask", "Leaderboard", "Lease",
    "ListAiJudgingsQuery", "ListAssignmentsPublicIdQuestionsQuery", "ListAssignmentsQuery", "ListAuditQuery",
    "ListBatchesIdSkipsQuery", "ListBatchesQuery", "ListBenchmarkFilesQuery", "ListCriteriaQuery",
    "ListDatasetsQuery", "ListDecisionsQuery", "ListDeliveriesQuery", "ListDemonstrationsQuery",
    "ListGuidelinesQuery", "ListImportsQuery", "ListInvitationsQuery", "ListJudgmentsQuery",
    "ListLiveBatchesIdConversationsQuery", "ListLiveBatchesQuery", "ListMembersQuery",
    "ListOwnConversationsQuery", "ListOwnTextsQuery", "ListPoliciesIdBenchmarksQuery",
    "ListPoliciesIdEvaluationsQuery", "ListPoliciesQuery", "ListPolicyComparisonsQuery",
    "ListPolicySelectionsQuery", "ListPolicyTrainingsChainedQuery", "ListProjectsQuery",
    "ListPromptSetsQuery", "ListPromptsQuery", "ListQualityAnnotatorsQuery", "ListQualityTasksQuery",
    "ListQuestionSettingsQuery", "ListQuestionsQuery", "ListQueueLeasesQuery", "ListQueueStuckTasksQuery",
    "ListResponsesQuery", "ListReturnedJudgmentsOwnQuery", "ListReturnedJudgmentsQuery",
    "ListRewardModelsIdEvaluationsQuery", "ListRewardModelsQuery", "ListRoundsQuery", "ListRunsQuery",
    "ListSchedulesQuery", "ListTasksQuery", "ListTrainingsIdQualificationsQuery", "ListTrainingsQuery",
    "ListUploadsQuery", "ListWebhooksQuery", "ListWritingQuery", "ListWritingTextsQuery",
    "ListWritingToWriteQuery", "LiveBatch", "Machine", "Made", "Mark", "MarkBodyRequest", "Me", "Member",
    "MemberWork", "MergeBodyRequest", "Metrics", "MorePeopleAsked", "MorePeopleRequest", "MyProgress",
    "MyProject", "Named", "NamedBodyRequest", "NamedPromptSetRequest", "NewAnswerRequest",
    "NewAudienceRequest", "NewBatchRequest", "NewConversationRequest", "NewCriterionRequest",
    "NewDailyLimitRequest", "NewDatasetPushRequest", "NewDatasetRequest", "NewDecisionRequest",
    "NewDemonstrationRowRequest", "NewDemonstrationsRequest", "NewGuidelineRequest", "NewInvitation",
    "NewInvitationRequest", "NewKnownAnswerRequest", "NewKnownTasksRequest", "NewLiveBatchRequest",
    "NewOneMoreRuleRequest", "NewOptOutsRequest", "NewPayRateRequest", "NewProjectRequest",
    "NewPromptRowRequest", "NewPromptsRequest", "NewPushRequest", "NewQuestionRequest",
    "NewQuestionSettingsRequest", "NewResponseRowRequest", "NewResponsesRequest", "NewScheduleRequest",
    "NewSideRequest", "NewTasksRequest", "NewTrainingRequest", "NewUploadRequest", "NewWebhook",
    "NewWebhookRequest", "NewWritingWorkRequest", "OneBatch", "OneChainedTraining", "OneComparison",
    "OneConversation", "OneMoreRequest", "OneMoreRule", "OnePolicy", "OneRewardModel", "OneRound", "OneRun",
    "OneSchedule", "OneTaskQuality", "OneText", "OneWritingWork", "OpenLiveBatch", "OpenTurn", "OptOuts",
    "OwnConversation", "OwnConversationRow", "OwnJudgment", "OwnQuestion", "OwnReturned", "OwnStanding",
    "OwnText", "OwnTextRow", "OwnVersion", "PPOBodyRequest", "PairConsensus", "PatchedChangedAudienceRequest",
    "PatchedChangedBatchRequest", "PatchedChangedChecksRequest", "PatchedChangedMemberRequest",
    "PatchedChangedMemberWorkRequest", "PatchedChangedProjectRequest", "PatchedChangedRunRequest",
    "PatchedChangedTaskRequest", "PatchedChangedTrainingRequest", "PatchedChangedWebhookRequest",
    "PatchedDatasetDescriptionRequest", "PatchedModelDescriptionRequest", "PayRate", "PersonWork",
    "PinBodyRequest", "Policy", "PolicyBenchmark", "PolicyComparison", "PolicyEvaluation",
    "PolicyGradientBodyRequest", "PolicySelection", "PolicyServing", "Preset", "Presets",
    "PretrainBodyRequest", "Progress", "Project", "Prompt", "PromptSet", "PromptToScoreRequest",
    "PutUploadsPublicIdPiecesQuery", "Qualification", "Quality", "Question", "QuestionSettings", "ReadAnswer",
    "ReadTurn", "Reader", "ReasonRequest", "RemarkRequest", "RemoteRewards", "ReopenedAnnotationRequest",
    "RequiredTrainingRequest", "Response", "Result", "Returned", "RewardModel", "RewardModelEvaluation",
    "Rewards", "Round", "RoundRun", "RoundValuesRequest", "Run", "Runs", "Said", "SaidOfTextRequest",
    "SaidOfVersion", "SaidTurn", "SampleBodyRequest", "Schedule", "ScoringModel", "SelectBodyRequest",
    "SelectedPolicy", "SentMessageRequest", "SentText", "SentTextRequest", "Serving", "ShareOfSetRequest",
    "ShownResponse", "Side", "Skip", "SkippedRequest", "Source", "StageEntry", "StandingRequest",
    "StartBodyRequest", "StepValuesRequest", "StoredJudgment", "StuckTask", "Submitted",
    "SubmittedJudgmentRequest", "TagShares", "TakenBack", "Task", "TaskQuality", "TaskRowRequest",
    "TaskToDecide", "Text", "TextCounts", "TextReview", "TextVersion", "TextsInTemplateRequest",
    "TextsToScoreRequest", "Throughput", "ToConfirm", "ToTalk", "Token", "TrainBodyRequest", "Training",
    "TrainingTold", "Upload", "UploadSettingsRequest", "Verdicts", "VersionToConfirmRequest", "Webhook",
    "WhyGivenBackRequest", "Work", "WorkToWrite", "WriterCounts", "WritingWork", "WrittenAnswer",
    "WrittenDraftRequest",
]  # fmt: skip
