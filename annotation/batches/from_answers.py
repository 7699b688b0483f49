"""A batch made of answers that are there already: from files, sampled earlier, or sent by programs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.errors import InvalidBatch
from annotation.models import Batch, Prompt, PromptSet, Response, Source, Task
from learning.interface.messages import answer_key
from workspace.models import Criterion, Project, User

MAX_ANSWERS = 9
CHUNK_PROMPTS = 500


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Which answers: to the prompts of the set (its first `prompts`), of these sources (none named: of all), at most
    so many a task. `skip_asked` leaves out prompts that a batch of the criterion asks about already.
    """

    project: Project
    prompt_set: PromptSet
    sources: Collection[Source] = ()
    prompts: int | None = None
    most: int = 2
    skip_asked: bool = True


@dataclass(kw_only=True)
class FoundTasks:
    tasks: list[NewTask] = field(default_factory=list)
    too_few: int = 0  # prompts with fewer than two different answers
    asked: int = 0  # prompts left out because they are asked about already


def make_batch_from_answers(
    *,
    actor: User,
    answers: Answers,
    criterion: Criterion,
    name: str,
    overlap: int | None = None,
    priority: int = 0,
    open_at_once: bool = False,
) -> Batch:
    """A draft batch with a task for each prompt that has two different answers or more. Raises InvalidBatch."""
    project = answers.project
    instances: tuple[Any, ...] = (criterion, answers.prompt_set, *answers.sources)
    for instance in instances:
        if instance.project_id != project.pk:
            raise InvalidBatch(f"“{instance}” belongs to another project.", code="wrong_project")
    if not 2 <= answers.most <= MAX_ANSWERS:
        raise InvalidBatch(
            f"A task shows 2 to {MAX_ANSWERS} answers.", fields={"most": f"2 to {MAX_ANSWERS}"}
        )
    with transaction.atomic():
        found = find_tasks(answers, criterion)
        if not found.tasks:
            raise InvalidBatch(nothing_found(found), code="no_answers")
        batch = create_batch(
            actor=actor,
            project=project,
            criterion=criterion,
            name=name,
            responses_per_task=max(len(task.responses) for task in found.tasks),
            overlap=overlap,
            priority=priority,
        )
        add_tasks(actor=actor, batch=batch, tasks=found.tasks)
        return open_batch(actor=actor, batch=batch) if open_at_once else batch


def nothing_found(found: FoundTasks) -> str:
    asked = f" {found.asked} are in a batch of this criterion already." if found.asked else ""
    return (
        f"There is nothing to compare: {found.too_few} prompts have fewer than two different answers of the kind "
        f"asked for.{asked}"
    )


def find_tasks(answers: Answers, criterion: Criterion) -> FoundTasks:
    """The tasks in the order of the prompts; of more answers than a task shows, those of different sources first."""
    found = FoundTasks()
    keys = list(answers.prompt_set.prompts.order_by("pk").values_list("pk", flat=True)[: answers.prompts])
    for start in range(0, len(keys), CHUNK_PROMPTS):
        chunk = keys[start : start + CHUNK_PROMPTS]
        if answers.skip_asked:
            asked = set(
                Task.objects.filter(prompt__in=chunk, batch__criterion=criterion).values_list(
                    "prompt", flat=True
                )
            )
            found.asked += len(asked)
            chunk = [key for key in chunk if key not in asked]
        given: dict[int, list[Response]] = {key: [] for key in chunk}
        responses = Response.objects.filter(prompt__in=chunk).order_by("pk")
        if answers.sources:
            responses = responses.filter(source__in=answers.sources)
        for response in responses:
            given[response.prompt_id].append(response)
        prompts = Prompt.objects.in_bulk(chunk)
        for key in chunk:
            chosen = _choose(given[key], answers.most)
            if len(chosen) < 2:
                found.too_few += 1
            else:
                found.tasks.append(NewTask(prompt=prompts[key], responses=chosen))
    return found


def _choose(responses: Sequence[Response], most: int) -> list[Response]:
    """Different answers: in turns, the first of each source, then the second of each."""
    turns: dict[int, int] = {}
    seen: set[str] = set()
    placed = []
    for response in responses:
        text = answer_key(response.answer)
        if text in seen:
            continue
        seen.add(text)
        turn = turns.get(response.source_id, 0)
        turns[response.source_id] = turn + 1
        placed.append((turn, response.pk, response))
    placed.sort(key=lambda place: place[:2])
    return [response for _, _, response in placed[:most]]
