"""Which prompts a round samples, and which pairs and rankings of the responses become tasks."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from annotation.batches.actions import NewTask
from annotation.models import Prompt, PromptSet, Response, Task
from policy_training.models import Policy
from rounds.models import Round, RoundRun
from workspace.models import Project, User


def select_prompts(
    project: Project, prompt_set: PromptSet, count: int, *, without: Collection[int] = ()
) -> list[Prompt]:
    """Prompts that no earlier round sampled; when these run out, the others again. Those `without` (keys) never.

    The order is a hash of the project's salt: stable over restarts, and not the order of the file.
    """
    prompts = [prompt for prompt in prompt_set.prompts.all() if prompt.pk not in without]
    used_pks = set(
        Task.objects.filter(batch__project=project, batch__round_number__isnull=False).values_list(
            "prompt_id", flat=True
        )
    )

    def sort_key(prompt: Prompt) -> str:
        return hashlib.sha256(f"{project.split_salt}:round:{prompt.external_id}".encode()).hexdigest()

    unused = sorted((prompt for prompt in prompts if prompt.pk not in used_pks), key=sort_key)
    used = sorted((prompt for prompt in prompts if prompt.pk in used_pks), key=sort_key)
    return (unused + used)[:count]


@dataclass(frozen=True)
class Comparisons:
    """The tasks of a round, and how many of its prompts gave fewer different answers than they were asked for."""

    tasks: list[NewTask]
    smaller: int  # tasks with fewer responses than asked: some samples repeated each other
    left_out: int  # prompts without two different answers

    @property
    def sentence(self) -> str:
        """What repeated samples cost; empty when they cost nothing."""
        parts = []
        if self.smaller:
            parts.append(
                f"{self.smaller} of them smaller than asked for, because samples repeated each other"
            )
        if self.left_out:
            were = "prompt was" if self.left_out == 1 else "prompts were"
            parts.append(f"{self.left_out} {were} left out, all of whose answers were the same")
        return "; ".join(parts)


def comparison_tasks(
    prompts: Sequence[Prompt], responses: Sequence[Response], sizes: Sequence[int]
) -> Comparisons:
    """One task per prompt with the different texts among its responses, at most `sizes` of them.

    The first answer of each source comes before the second ones, the sources in another order from prompt to prompt, so
    that what a task leaves out (samples of a round that asked for more than it shows) is never always the same source.
    """
    by_prompt: dict[int, dict[int, list[Response]]] = defaultdict(lambda: defaultdict(list))
    for response in responses:
        by_prompt[response.prompt_id][response.source_id].append(response)
    tasks, smaller, left_out = [], 0, 0
    for number, (prompt, size) in enumerate(zip(prompts, sizes, strict=True)):
        groups = [group for _, group in sorted(by_prompt[prompt.pk].items())]
        first = number % len(groups) if groups else 0
        by_text: dict[str, Response] = {}
        for response in _in_turn([*groups[first:], *groups[:first]]):
            by_text.setdefault(response.text.strip(), response)
        if len(by_text) < 2:
            left_out += 1
            continue
        smaller += len(by_text) < size
        tasks.append(NewTask(prompt=prompt, responses=list(by_text.values())[:size]))
    return Comparisons(tasks, smaller, left_out)


def _in_turn(groups: Iterable[Sequence[Response]]) -> Iterator[Response]:
    for turn in zip_longest(*groups):
        yield from (response for response in turn if response is not None)


def head_to_head_tasks(
    prompts: Sequence[Prompt], new: Sequence[Response], old: Sequence[Response]
) -> tuple[list[NewTask], int]:
    """The start policy's answer against the opponent's, on the same prompt; and on how many prompts both are the same.

    Those would be ties of no use to anybody's eyes: they are counted and not shown.
    """
    first_answers: list[dict[int, Response]] = [{}, {}]
    for answers, responses in zip(first_answers, (new, old), strict=True):
        for response in responses:
            answers.setdefault(response.prompt_id, response)
    tasks, equal = [], 0
    for prompt in prompts:
        pair = [answers[prompt.pk] for answers in first_answers if prompt.pk in answers]
        if len(pair) < 2:
            continue
        if pair[0].text.strip() == pair[1].text.strip():
            equal += 1
        else:
            tasks.append(NewTask(prompt=prompt, responses=pair, purpose=Task.Purpose.HEAD_TO_HEAD))
    return tasks, equal


def responses_of_round(
    round_: Round, *, purpose: str = RoundRun.Purpose.STAGE, policy: Policy | None = None
) -> list[Response]:
    """What the round's sampling brought for its tasks, or for head-to-head pairs, in the order of sampling."""
    responses = Response.objects.filter(
        project=round_.project, external_id__startswith=response_id_prefix(round_, policy, purpose)
    )
    if policy is None and purpose == RoundRun.Purpose.STAGE:
        others = response_id_prefix(round_, None, RoundRun.Purpose.HEAD_TO_HEAD)
        responses = responses.exclude(external_id__startswith=others)
    return list(responses.select_related("source").order_by("pk"))


def response_id_prefix(
    round_: Round, policy: Policy | None = None, purpose: str = RoundRun.Purpose.STAGE
) -> str:
    """Ids of responses begin with the round, so that a prompt sampled in two rounds has two sets of responses."""
    prefix = f"round{round_.number}-{round_.pk}-"
    if purpose == RoundRun.Purpose.HEAD_TO_HEAD:
        prefix += "head-to-head-"
    return prefix if policy is None else f"{prefix}{policy.pk}-"


def reserve_tasks(
    tasks: list[NewTask], people: Sequence[User], per_person: int
) -> tuple[list[NewTask], dict[User, list[NewTask]]]:
    """Split off `per_person` tasks for each person from the end; never more than half of those left."""
    reserved: dict[User, list[NewTask]] = {}
    for person in people:
        count = min(per_person, len(tasks) // 2)
        reserved[person] = [
            NewTask(prompt=task.prompt, responses=task.responses, purpose=task.purpose, reserved_for=person)
            for task in tasks[len(tasks) - count :]
        ]
        tasks = tasks[: len(tasks) - count]
    return tasks, reserved
