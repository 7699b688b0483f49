"""Answers that a project has already and that best-of-n may learn: of policies of all rounds, of people and files."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Min, Q, QuerySet
from django.utils.translation import gettext

from annotation.importing.usage import mark_answers_used, mark_demonstrations_used
from annotation.models import Demonstration, Prompt, PromptSet, Response, Source, TaskResponse
from learning.interface.options import load_options
from learning.interface.record_rows import StoredCandidateRow
from learning.interface.vocabulary import PERSON
from policy_training.models import Policy
from policy_training.training.reward_config import RewardSourcesOptions
from rewardmodel.models import ResponseScore, RewardModel
from runs.models import Run
from workspace.errors import ActionError
from workspace.models import Project

ROWS_PER_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class StoredAnswers:
    """Whose answers compete with those that are sampled."""

    policies: tuple[int, ...] = ()  # keys
    others: bool = False  # of people, references and files, demonstrations too

    def __bool__(self) -> bool:
        return bool(self.policies or self.others)

    @property
    def record(self) -> dict[str, Any]:
        """As a run keeps it."""
        return {**asdict(self), "policies": list(self.policies)}


def stored_answers_of(run: Run) -> StoredAnswers:
    kept = run.parameters.get("stored") or {}
    return StoredAnswers(policies=tuple(kept.get("policies") or ()), others=bool(kept.get("others")))


def answers_to(prompt_set: PromptSet, wanted: StoredAnswers) -> QuerySet[Response]:
    """Single texts: what has tool calls or several turns is not learned as one."""
    whose = Q(source__policy__in=wanted.policies)
    if wanted.others:
        whose |= ~Q(source__kind=Source.Kind.POLICY)
    return Response.objects.filter(
        whose, project=prompt_set.project, prompt__memberships__prompt_set=prompt_set, turns__isnull=True
    )


def demonstrations_of(prompt_set: PromptSet, wanted: StoredAnswers) -> QuerySet[Demonstration]:
    if not wanted.others:
        return Demonstration.objects.none()
    found = Demonstration.objects.filter(project=prompt_set.project, turns__isnull=True)
    return found.filter(prompt__memberships__prompt_set=prompt_set)


def require_stored_answers(project: Project, prompt_set: PromptSet, wanted: StoredAnswers) -> None:
    """Raises ActionError where there is none to learn, or a policy is not the project's."""
    known = Policy.objects.filter(project=project, pk__in=wanted.policies).count()
    if known != len(set(wanted.policies)) or known != len(wanted.policies):
        raise ActionError(
            gettext("Name policies of this project, each once, whose answers are taken."), code="no_policy"
        )
    to_learn = Q(prompt__split=Prompt.Split.TRAIN)
    if not (
        answers_to(prompt_set, wanted).filter(to_learn).exists()
        or demonstrations_of(prompt_set, wanted).filter(to_learn).exists()
    ):
        raise ActionError(
            gettext(
                "Nobody of those has answered a prompt of “%(name)s” that is learned: choose others, or none."
            )
            % {"name": prompt_set.name},
            code="no_responses",
        )


def stored_candidates(run: Run, prompt_set: PromptSet) -> Iterator[StoredCandidateRow]:
    """STORED_CANDIDATES rows of a run, the oldest answers first, demonstrations last; a page at a time.

    A reward is that of the run's reward model where it is all that the run's rewards are made of. Of an answer in tasks
    of several rounds it is the first round.
    """
    wanted = stored_answers_of(run)
    is_single = load_options(RewardSourcesOptions, run.config.get("rewards") or {}).is_single
    reward_model = run.parameters["reward_model"] if is_single else None
    answers = answers_to(prompt_set, wanted).select_related("prompt", "source").defer("token_ids", "logprobs")
    for page in _pages(answers):
        keys = [response.pk for response in page]
        rewards = dict(
            ResponseScore.objects.filter(reward_model=reward_model, response__in=keys).values_list(
                "response_id", "reward"
            )
        )
        rounds = dict(
            TaskResponse.objects.filter(response__in=keys)
            .order_by()
            .values_list("response_id")
            .annotate(first=Min("task__batch__round_number"))
        )
        for response in page:
            is_policy = response.source.kind == Source.Kind.POLICY
            yield {
                "response_id": response.external_id,
                "prompt_id": response.prompt.external_id,
                "text": response.text,
                "source": response.source.kind,
                "policy": response.source.name if is_policy else None,
                "round": rounds.get(response.pk),
                "temperature": (response.sampling or {}).get("temperature"),
                "ended": response.ended,
                "reward": rewards.get(response.pk),
            }
    for page in _pages(demonstrations_of(prompt_set, wanted).select_related("prompt")):
        for demonstration in page:
            yield {
                "response_id": f"demonstration {demonstration.external_id}",
                "prompt_id": demonstration.prompt.external_id,
                "text": demonstration.response_text,
                "source": PERSON,
                "policy": None,
                "round": None,
                "temperature": None,
                "ended": True,
                "reward": None,
            }


def mark_used(run: Run, prompt_set: PromptSet) -> None:
    """The imports that the answers came with stay."""
    wanted, used_for = stored_answers_of(run), f"run {run.pk}"
    if wanted.others:
        mark_answers_used(answers_to(prompt_set, wanted), used_for)
        mark_demonstrations_used(run.project, used_for)


def count_stored(prompt_set: PromptSet, wanted: StoredAnswers, reward_model: RewardModel) -> tuple[int, int]:
    """(answers to the prompts that are learned, those of them that the reward model has scored)"""
    answers = answers_to(prompt_set, wanted).filter(prompt__split=Prompt.Split.TRAIN)
    demonstrations = demonstrations_of(prompt_set, wanted).filter(prompt__split=Prompt.Split.TRAIN)
    return answers.count() + demonstrations.count(), answers.filter(scores__reward_model=reward_model).count()


def _pages(rows: QuerySet[Any]) -> Iterator[Sequence[Any]]:
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk")[:ROWS_PER_PAGE]):
        yield page
        last = page[-1].pk
