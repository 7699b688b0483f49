"""All resources. Written by roundtable.generation from the API's schema: do not edit."""

from roundtable.client.resources.ai_judgings import AiJudgingsResource
from roundtable.client.resources.assignments import AssignmentsResource
from roundtable.client.resources.audit import AuditResource
from roundtable.client.resources.batches import BatchesResource
from roundtable.client.resources.benchmark_files import BenchmarkFilesResource
from roundtable.client.resources.checks import ChecksResource
from roundtable.client.resources.content_opt_outs import ContentOptOutsResource
from roundtable.client.resources.criteria import CriteriaResource
from roundtable.client.resources.daily_limit import DailyLimitResource
from roundtable.client.resources.datasets import DatasetsResource
from roundtable.client.resources.decisions import DecisionsResource
from roundtable.client.resources.deliveries import DeliveriesResource
from roundtable.client.resources.demonstrations import DemonstrationsResource
from roundtable.client.resources.events import EventsResource
from roundtable.client.resources.first_steps import FirstStepsResource
from roundtable.client.resources.guidelines import GuidelinesResource
from roundtable.client.resources.imports import ImportsResource
from roundtable.client.resources.invitations import InvitationsResource
from roundtable.client.resources.judgments import JudgmentsResource
from roundtable.client.resources.known_tasks import KnownTasksResource
from roundtable.client.resources.live_batches import LiveBatchesResource
from roundtable.client.resources.members import MembersResource
from roundtable.client.resources.own_conversations import OwnConversationsResource
from roundtable.client.resources.own_texts import OwnTextsResource
from roundtable.client.resources.pay_rate import PayRateResource
from roundtable.client.resources.policies import PoliciesResource
from roundtable.client.resources.policy_comparisons import PolicyComparisonsResource
from roundtable.client.resources.policy_trainings import PolicyTrainingsResource
from roundtable.client.resources.projects import ProjectsResource
from roundtable.client.resources.prompt_sets import PromptSetsResource
from roundtable.client.resources.prompts import PromptsResource
from roundtable.client.resources.quality import QualityResource
from roundtable.client.resources.question_settings import QuestionSettingsResource
from roundtable.client.resources.questions import QuestionsResource
from roundtable.client.resources.queue import QueueResource
from roundtable.client.resources.responses import ResponsesResource
from roundtable.client.resources.returned_judgments import ReturnedJudgmentsResource
from roundtable.client.resources.reward_model_trainings import RewardModelTrainingsResource
from roundtable.client.resources.reward_models import RewardModelsResource
from roundtable.client.resources.rounds import RoundsResource
from roundtable.client.resources.runs import RunsResource
from roundtable.client.resources.schedules import SchedulesResource
from roundtable.client.resources.tasks import TasksResource
from roundtable.client.resources.trainings import TrainingsResource
from roundtable.client.resources.uploads import UploadsResource
from roundtable.client.resources.webhooks import WebhooksResource
from roundtable.client.resources.work import WorkResource
from roundtable.client.resources.writing import WritingResource
from roundtable.client.transport import Transport


class ProjectResources:
    """The resources of one project."""

    def __init__(self, transport: Transport, slug: str) -> None:
        self.ai_judgings = AiJudgingsResource(transport, slug)
        self.assignments = AssignmentsResource(transport, slug)
        self.audit = AuditResource(transport, slug)
        self.batches = BatchesResource(transport, slug)
        self.benchmark_files = BenchmarkFilesResource(transport, slug)
        self.checks = ChecksResource(transport, slug)
        self.content_opt_outs = ContentOptOutsResource(transport, slug)
        self.criteria = CriteriaResource(transport, slug)
        self.daily_limit = DailyLimitResource(transport, slug)
        self.datasets = DatasetsResource(transport, slug)
        self.decisions = DecisionsResource(transport, slug)
        self.deliveries = DeliveriesResource(transport, slug)
        self.demonstrations = DemonstrationsResource(transport, slug)
        self.events = EventsResource(transport, slug)
        self.first_steps = FirstStepsResource(transport, slug)
        self.guidelines = GuidelinesResource(transport, slug)
        self.imports = ImportsResource(transport, slug)
        self.invitations = InvitationsResource(transport, slug)
        self.judgments = JudgmentsResource(transport, slug)
        self.known_tasks = KnownTasksResource(transport, slug)
        self.live_batches = LiveBatchesResource(transport, slug)
        self.members = MembersResource(transport, slug)
        self.own_conversations = OwnConversationsResource(transport, slug)
        self.own_texts = OwnTextsResource(transport, slug)
        self.pay_rate = PayRateResource(transport, slug)
        self.policies = PoliciesResource(transport, slug)
        self.policy_comparisons = PolicyComparisonsResource(transport, slug)
        self.policy_trainings = PolicyTrainingsResource(transport, slug)
        self.prompt_sets = PromptSetsResource(transport, slug)
        self.prompts = PromptsResource(transport, slug)
        self.quality = QualityResource(transport, slug)
        self.question_settings = QuestionSettingsResource(transport, slug)
        self.questions = QuestionsResource(transport, slug)
        self.queue = QueueResource(transport, slug)
        self.responses = ResponsesResource(transport, slug)
        self.returned_judgments = ReturnedJudgmentsResource(transport, slug)
        self.reward_model_trainings = RewardModelTrainingsResource(transport, slug)
        self.reward_models = RewardModelsResource(transport, slug)
        self.rounds = RoundsResource(transport, slug)
        self.runs = RunsResource(transport, slug)
        self.schedules = SchedulesResource(transport, slug)
        self.tasks = TasksResource(transport, slug)
        self.trainings = TrainingsResource(transport, slug)
        self.uploads = UploadsResource(transport, slug)
        self.webhooks = WebhooksResource(transport, slug)
        self.work = WorkResource(transport, slug)
        self.writing = WritingResource(transport, slug)


__all__ = ["ProjectResources", "ProjectsResource"]
