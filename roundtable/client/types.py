"""The types of what the API takes and answers. Written by roundtable.generation from its schema: do not edit."""

from roundtable.client.resources.ai_judgings import AIJudging, AIJudgingBodyRequest, ListAiJudgingsQuery
from roundtable.client.resources.assignments import (
    AssignedTask,
    Assignment,
    Claimed,
    ClaimRequest,
    ListAssignmentsPublicIdQuestionsQuery,
    ListAssignmentsQuery,
    MyProgress,
    NewQuestionRequest,
    OwnJudgment,
    OwnQuestion,
    ShownResponse,
    SkippedRequest,
    StoredJudgment,
    Submitted,
    SubmittedJudgmentRequest,
    TrainingTold,
)
from roundtable.client.resources.audit import AuditEvent, ListAuditQuery
from roundtable.client.resources.batches import (
    AddedTasks,
    AnswerRowRequest,
    Audience,
    Batch,
    BatchFromAnswersRequest,
    Cost,
    ListBatchesIdSkipsQuery,
    ListBatchesQuery,
    NewBatchRequest,
    NewTasksRequest,
    PatchedChangedAudienceRequest,
    PatchedChangedBatchRequest,
    RequiredTrainingRequest,
    Skip,
    TaskRowRequest,
    Throughput,
)
from roundtable.client.resources.benchmark_files import (
    BenchmarkFile,
    BenchmarkFileBodyRequest,
    ListBenchmarkFilesQuery,
)
from roundtable.client.resources.checks import Checks, PatchedChangedChecksRequest
from roundtable.client.resources.content_opt_outs import NewOptOutsRequest, OptOuts
from roundtable.client.resources.criteria import Criterion, ListCriteriaQuery, NewCriterionRequest
from roundtable.client.resources.daily_limit import DailyLimit, NewDailyLimitRequest
from roundtable.client.resources.datasets import (
    Dataset,
    DatasetFile,
    DatasetFiles,
    GetDatasetsIdArchiveQuery,
    GetDatasetsIdRowsQuery,
    ListDatasetsQuery,
    NewDatasetPushRequest,
    NewDatasetRequest,
    PatchedDatasetDescriptionRequest,
)
from roundtable.client.resources.decisions import ListDecisionsQuery
from roundtable.client.resources.deliveries import Delivery, ListDeliveriesQuery
from roundtable.client.resources.demonstrations import (
    AddedDemonstrations,
    Demonstration,
    ListDemonstrationsQuery,
    NewDemonstrationRowRequest,
    NewDemonstrationsRequest,
)
from roundtable.client.resources.events import Event, Feed, GetEventsQuery
from roundtable.client.resources.first_steps import FirstStep, FirstSteps
from roundtable.client.resources.guidelines import (
    Confirmed,
    Guideline,
    ListGuidelinesQuery,
    NewGuidelineRequest,
    Reader,
    ToConfirm,
    VersionToConfirmRequest,
)
from roundtable.client.resources.imports import Import, ListImportsQuery, TakenBack
from roundtable.client.resources.invitations import (
    Invitation,
    ListInvitationsQuery,
    NewInvitation,
    NewInvitationRequest,
)
from roundtable.client.resources.judgments import (
    GetJudgmentsRowsQuery,
    Judgment,
    ListJudgmentsQuery,
    RemarkRequest,
)
from roundtable.client.resources.known_tasks import (
    KnownOrder,
    KnownOrderRequest,
    KnownTask,
    Made,
    NewKnownAnswerRequest,
    NewKnownTasksRequest,
)
from roundtable.client.resources.live_batches import (
    BatchFromConversationsRequest,
    Conversation,
    ListLiveBatchesIdConversationsQuery,
    ListLiveBatchesQuery,
    LiveBatch,
    NewLiveBatchRequest,
    NewSideRequest,
    OneConversation,
    ReadAnswer,
    ReadTurn,
    Side,
)
from roundtable.client.resources.members import (
    ListMembersQuery,
    Member,
    MemberWork,
    PatchedChangedMemberRequest,
    PatchedChangedMemberWorkRequest,
)
from roundtable.client.resources.own_conversations import (
    ListOwnConversationsQuery,
    NewConversationRequest,
    OpenLiveBatch,
    OpenTurn,
    OwnConversation,
    OwnConversationRow,
    SaidTurn,
    SentMessageRequest,
    ToTalk,
    WrittenAnswer,
)
from roundtable.client.resources.own_texts import (
    DraftNumber,
    ListOwnTextsQuery,
    SentText,
    SentTextRequest,
    WhyGivenBackRequest,
    WrittenDraftRequest,
)
from roundtable.client.resources.pay_rate import NewPayRateRequest, PayRate
from roundtable.client.resources.policies import (
    BenchmarkBodyRequest,
    EvaluatePolicyBodyRequest,
    FineTuneBodyRequest,
    ImportBodyRequest,
    ListPoliciesIdBenchmarksQuery,
    ListPoliciesIdEvaluationsQuery,
    ListPoliciesQuery,
    OnePolicy,
    Policy,
    PolicyBenchmark,
    PolicyEvaluation,
    PretrainBodyRequest,
    Runs,
    SampleBodyRequest,
)
from roundtable.client.resources.policy_comparisons import (
    AlongBodyRequest,
    CompareBodyRequest,
    ListPolicyComparisonsQuery,
    PolicyComparison,
)
from roundtable.client.resources.policy_trainings import (
    AdoptBodyRequest,
    BestOfNBodyRequest,
    DPOBodyRequest,
    MergeBodyRequest,
    PolicyGradientBodyRequest,
    PPOBodyRequest,
)
from roundtable.client.resources.projects import (
    ListProjectsQuery,
    Me,
    MyProject,
    NewProjectRequest,
    PatchedChangedProjectRequest,
    Project,
    Token,
)
from roundtable.client.resources.prompt_sets import ListPromptSetsQuery, PromptSet
from roundtable.client.resources.prompts import (
    AddedPrompts,
    ListPromptsQuery,
    NamedPromptSetRequest,
    NewPromptRowRequest,
    NewPromptsRequest,
    Prompt,
)
from roundtable.client.resources.quality import (
    Agreement,
    AnnotatorQuality,
    GetQualityLeaderboardQuery,
    Leaderboard,
    ListQualityAnnotatorsQuery,
    ListQualityTasksQuery,
    Machine,
    MorePeopleAsked,
    MorePeopleRequest,
    NewOneMoreRuleRequest,
    OneMoreRule,
    Quality,
    Source,
    TaskQuality,
)
from roundtable.client.resources.question_settings import (
    AskedBodyRequest,
    ListQuestionSettingsQuery,
    MarkBodyRequest,
    NamedBodyRequest,
    NewQuestionSettingsRequest,
    QuestionSettings,
)
from roundtable.client.resources.questions import ListQuestionsQuery, NewAnswerRequest, Question
from roundtable.client.resources.queue import Lease, ListQueueLeasesQuery, ListQueueStuckTasksQuery, StuckTask
from roundtable.client.resources.responses import (
    AddedResponses,
    ListResponsesQuery,
    NewResponseRowRequest,
    NewResponsesRequest,
    Response,
)
from roundtable.client.resources.returned_judgments import (
    ListReturnedJudgmentsOwnQuery,
    ListReturnedJudgmentsQuery,
    OwnReturned,
    ReasonRequest,
)
from roundtable.client.resources.reward_models import (
    EvaluateRewardModelBodyRequest,
    ListRewardModelsIdEvaluationsQuery,
    ListRewardModelsQuery,
    OneRewardModel,
    PromptToScoreRequest,
    RemoteRewards,
    RewardModel,
    RewardModelEvaluation,
    Rewards,
    ScoringModel,
    Serving,
    TextsInTemplateRequest,
    TextsToScoreRequest,
    TrainBodyRequest,
)
from roundtable.client.resources.rounds import (
    ListRoundsQuery,
    OneRound,
    ReopenedAnnotationRequest,
    Round,
    RoundRun,
    RoundValuesRequest,
    StageEntry,
)
from roundtable.client.resources.runs import (
    GetRunsIdMetricsQuery,
    ListRunsQuery,
    Metrics,
    PatchedChangedRunRequest,
    Result,
)
from roundtable.client.resources.schedules import (
    Firing,
    ListSchedulesQuery,
    NewScheduleRequest,
    OneSchedule,
    Schedule,
)
from roundtable.client.resources.shared import (
    Artifact,
    Asked,
    Decision,
    Mark,
    Named,
    NewAudienceRequest,
    NewPushRequest,
    OneBatch,
    OneRun,
    OwnText,
    OwnTextRow,
    OwnVersion,
    PatchedModelDescriptionRequest,
    Preset,
    Presets,
    Progress,
    Returned,
    Run,
    SaidOfVersion,
    StepValuesRequest,
)
from roundtable.client.resources.tasks import (
    ListTasksQuery,
    NewDecisionRequest,
    OneMoreRequest,
    OneTaskQuality,
    PairConsensus,
    PatchedChangedTaskRequest,
    Said,
    Task,
    TaskToDecide,
)
from roundtable.client.resources.trainings import (
    ListTrainingsIdQualificationsQuery,
    ListTrainingsQuery,
    NewTrainingRequest,
    OwnStanding,
    PatchedChangedTrainingRequest,
    Qualification,
    StandingRequest,
    Training,
)
from roundtable.client.resources.uploads import (
    HubDatasetRequest,
    ListUploadsQuery,
    NewUploadRequest,
    PutUploadsPublicIdPiecesQuery,
    Upload,
    UploadSettingsRequest,
)
from roundtable.client.resources.webhooks import (
    ListWebhooksQuery,
    NewWebhook,
    NewWebhookRequest,
    PatchedChangedWebhookRequest,
    Webhook,
)
from roundtable.client.resources.work import GetWorkQuery, PersonWork, Work
from roundtable.client.resources.writing import (
    ClaimedText,
    GivenBack,
    ListWritingQuery,
    ListWritingTextsQuery,
    ListWritingToWriteQuery,
    NewWritingWorkRequest,
    OneText,
    OneWritingWork,
    SaidOfTextRequest,
    Text,
    TextCounts,
    TextReview,
    TextVersion,
    WorkToWrite,
    WriterCounts,
    WritingWork,
)

__all__ = [
    "AIJudging", "AIJudgingBodyRequest", "AddedDemonstrations", "AddedPrompts", "AddedResponses",
    "AddedTasks", "AdoptBodyRequest", "Agreement", "AlongBodyRequest", "AnnotatorQuality", "AnswerRowRequest",
    "Artifact", "Asked", "AskedBodyRequest", "AssignedTask", "Assignment", "Audience", "AuditEvent", "Batch",
    "BatchFromAnswersRequest", "BatchFromConversationsRequest", "BenchmarkBodyRequest", "BenchmarkFile",
    "BenchmarkFileBodyRequest", "BestOfNBodyRequest", "Checks", "ClaimRequest", "Claimed", "ClaimedText",
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
    "ListPoliciesIdEvaluationsQuery", "ListPoliciesQuery", "ListPolicyComparisonsQuery", "ListProjectsQuery",
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
    "NewWebhookRequest", "NewWritingWorkRequest", "OneBatch", "OneConversation", "OneMoreRequest",
    "OneMoreRule", "OnePolicy", "OneRewardModel", "OneRound", "OneRun", "OneSchedule", "OneTaskQuality",
    "OneText", "OneWritingWork", "OpenLiveBatch", "OpenTurn", "OptOuts", "OwnConversation",
    "OwnConversationRow", "OwnJudgment", "OwnQuestion", "OwnReturned", "OwnStanding", "OwnText", "OwnTextRow",
    "OwnVersion", "PPOBodyRequest", "PairConsensus", "PatchedChangedAudienceRequest",
    "PatchedChangedBatchRequest", "PatchedChangedChecksRequest", "PatchedChangedMemberRequest",
    "PatchedChangedMemberWorkRequest", "PatchedChangedProjectRequest", "PatchedChangedRunRequest",
    "PatchedChangedTaskRequest", "PatchedChangedTrainingRequest", "PatchedChangedWebhookRequest",
    "PatchedDatasetDescriptionRequest", "PatchedModelDescriptionRequest", "PayRate", "PersonWork", "Policy",
    "PolicyBenchmark", "PolicyComparison", "PolicyEvaluation", "PolicyGradientBodyRequest", "Preset",
    "Presets", "PretrainBodyRequest", "Progress", "Project", "Prompt", "PromptSet", "PromptToScoreRequest",
    "PutUploadsPublicIdPiecesQuery", "Qualification", "Quality", "Question", "QuestionSettings", "ReadAnswer",
    "ReadTurn", "Reader", "ReasonRequest", "RemarkRequest", "RemoteRewards", "ReopenedAnnotationRequest",
    "RequiredTrainingRequest", "Response", "Result", "Returned", "RewardModel", "RewardModelEvaluation",
    "Rewards", "Round", "RoundRun", "RoundValuesRequest", "Run", "Runs", "Said", "SaidOfTextRequest",
    "SaidOfVersion", "SaidTurn", "SampleBodyRequest", "Schedule", "ScoringModel", "SentMessageRequest",
    "SentText", "SentTextRequest", "Serving", "ShownResponse", "Side", "Skip", "SkippedRequest", "Source",
    "StageEntry", "StandingRequest", "StepValuesRequest", "StoredJudgment", "StuckTask", "Submitted",
    "SubmittedJudgmentRequest", "TakenBack", "Task", "TaskQuality", "TaskRowRequest", "TaskToDecide", "Text",
    "TextCounts", "TextReview", "TextVersion", "TextsInTemplateRequest", "TextsToScoreRequest", "Throughput",
    "ToConfirm", "ToTalk", "Token", "TrainBodyRequest", "Training", "TrainingTold", "Upload",
    "UploadSettingsRequest", "VersionToConfirmRequest", "Webhook", "WhyGivenBackRequest", "Work",
    "WorkToWrite", "WriterCounts", "WritingWork", "WrittenAnswer", "WrittenDraftRequest",
]  # fmt: skip
