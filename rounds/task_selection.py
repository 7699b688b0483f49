"""Which prompts a round samples, and which pairs and rankings of the responses become tasks."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from annotation.batches.actions import NewTask
from annotation.models import Prompt, PromptSet, Response, Task
from policy_training.models import Policy
from rounds.models import Round
from rounds.plans import RoundPlan
from workspace.models import Project, User


def select_prompts(project: Project, prompt_set: PromptSet, count: int) -> list[Prompt]:
    """Prompts that no earlier round sampled; when these run out, the others again.

    The order is a hash of the project's salt: stable over restarts, and not the order of the file.
    """
    prompts = list(prompt_set.prompts.all())
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


def head_to_head_count(plan: RoundPlan, prompts: int) -> int:
    return round(plan.annotation.head_to_head_share * prompts)


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
    prompts: Sequence[Prompt], responses: Sequence[Response], new: Policy, old: Policy
) -> list[NewTask]:
    """The new policy's first response against the old one's, on the same prompt."""
    first_responses: dict[tuple[int, int], Response] = {}
    for response in responses:
        first_responses.setdefault((response.prompt_id, response.source_id), response)
    tasks = []
    for prompt in prompts:
        pair = [first_responses.get((prompt.pk, policy.source_id)) for policy in (new, old)]
        present = [response for response in pair if response is not None]
        if len(present) == 2 and present[0].text.strip() != present[1].text.strip():
            tasks.append(NewTask(prompt=prompt, responses=present, purpose=Task.Purpose.HEAD_TO_HEAD))
    return tasks


def responses_of_round(round_: Round) -> list[Response]:
    """What the round's sampling brought, in the order of sampling."""
    prefix = response_id_prefix(round_)
    return list(
        Response.objects.filter(project=round_.project, external_id__startswith=prefix)
        .select_related("source")
        .order_by("pk")
    )


def response_id_prefix(round_: Round, policy: Policy | None = None) -> str:
    """Ids of responses begin with the round, so that a prompt sampled in two rounds has two sets of responses."""
    prefix = f"round{round_.number}-{round_.pk}-"
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
