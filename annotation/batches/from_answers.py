"""A batch made of answers that are there already: from files, sampled earlier, or sent by programs.

Prompts and answers are read a page at a time and held by their keys: texts of a million prompts fit in no process.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import Q

from annotation.batches.actions import NewTask, add_tasks_in_chunks, create_batch, open_batch
from annotation.errors import InvalidBatch
from annotation.models import Batch, Prompt, PromptSet, Response, Source, Task
from learning.interface.messages import answer_key, stored_answer
from workspace.models import Criterion, Project, User

MAX_ANSWERS = 9
CHUNK_PROMPTS = 500
CHUNK_TEXTS = 20  # responses whose texts are in memory at once
PREVIEW_PROMPTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Which answers: to the prompts of the set (its first `prompts`), of these sources (none named: of all), at most
    so many a task. With `most` 1 every different answer is a task of its own, to be rated.

    `skip_asked` leaves out prompts that a batch of the criterion asks about already: one of ratings where ratings are
    asked for, else one of comparisons.
    """

    project: Project
    prompt_set: PromptSet
    sources: Collection[Source] = ()
    prompts: int | None = None
    most: int = 2
    skip_asked: bool = True


@dataclass(kw_only=True)
class Found:
    tasks: int = 0
    answers: int = 0
    largest: int = 0  # answers of one task
    too_few: int = 0  # prompts with fewer than two different answers; of ratings, without any
    asked: int = 0  # prompts left out because they are asked about already
    has_more: bool = False  # prompts that were not looked at


FoundKeys = tuple[int, Sequence[int]]  # a prompt's, and those of the responses of its task, in their order


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
    """A draft batch with a task for each prompt that has two different answers or more; with `answers.most` 1, for each
    answer. Raises InvalidBatch.
    """
    project = answers.project
    instances: tuple[Any, ...] = (criterion, answers.prompt_set, *answers.sources)
    for instance in instances:
        if instance.project_id != project.pk:
            raise InvalidBatch(f"“{instance}” belongs to another project.", code="wrong_project")
    if not 1 <= answers.most <= MAX_ANSWERS:
        raise InvalidBatch(
            f"A task shows 1 to {MAX_ANSWERS} answers.", fields={"most": f"1 to {MAX_ANSWERS}"}
        )
    with transaction.atomic():
        # Two that leave out what is asked already, at once, would both ask the same: the second waits for the first.
        criterion = Criterion.objects.select_for_update(no_key=True).get(pk=criterion.pk)
        found = count_tasks(answers, criterion)
        if not found.tasks:
            raise InvalidBatch(nothing_found(found, answers), code="no_answers")
        batch = create_batch(
            actor=actor,
            project=project,
            criterion=criterion,
            name=name,
            responses_per_task=found.largest,
            overlap=overlap,
            priority=priority,
        )
        chunks = (_new_tasks(keys) for keys in find_tasks(answers, criterion, Found()))
        add_tasks_in_chunks(actor=actor, batch=batch, chunks=chunks)
        return open_batch(actor=actor, batch=batch) if open_at_once else batch


def nothing_found(found: Found, answers: Answers) -> str:
    asked = f" {found.asked} are in a batch of this criterion already." if found.asked else ""
    if answers.most == 1:
        return (
            f"There is nothing to rate: {found.too_few} prompts have no answer of the kind asked for.{asked}"
        )
    return (
        f"There is nothing to compare: {found.too_few} prompts have fewer than two different answers of the kind "
        f"asked for.{asked}"
    )


def count_tasks(answers: Answers, criterion: Criterion, *, at_most: int | None = None) -> Found:
    """What there would be; with `at_most` of so many of the prompts, the first."""
    found = Found()
    for _ in find_tasks(answers, criterion, found, at_most=at_most):
        pass
    return found


def find_tasks(
    answers: Answers, criterion: Criterion, found: Found, *, at_most: int | None = None
) -> Iterator[list[FoundKeys]]:
    """The tasks in the order of the prompts, some hundreds at a time, counted in `found`; of more answers than a task
    shows, those of different sources first.
    """
    for chunk in _prompt_keys(answers, found, at_most):
        if answers.skip_asked:
            rating = Q(batch__kind=Batch.Kind.RATING)
            asks_alike = rating if answers.most == 1 else ~rating
            tasks_there = Task.objects.filter(asks_alike, prompt__in=chunk, batch__criterion=criterion)
            asked = set(tasks_there.values_list("prompt", flat=True))
            found.asked += len(asked)
            chunk = [key for key in chunk if key not in asked]
        given = {key: _Choice() for key in chunk}
        responses = Response.objects.filter(prompt__in=chunk).order_by("pk")
        if answers.sources:
            responses = responses.filter(source__in=answers.sources)
        rows = responses.values_list("pk", "prompt_id", "source_id", "text", "turns")
        for pk, prompt, source, text, turns in rows.iterator(chunk_size=CHUNK_TEXTS):
            given[prompt].add(pk, source, answer_key(stored_answer(text, turns)))
        tasks: list[FoundKeys] = []
        for key in chunk:
            chosen = given[key].first(None if answers.most == 1 else answers.most)
            if len(chosen) < min(answers.most, 2):
                found.too_few += 1
                continue
            of_prompt = [[one] for one in chosen] if answers.most == 1 else [chosen]
            tasks += [(key, shown) for shown in of_prompt]
            found.tasks += len(of_prompt)
            found.answers += len(chosen)
            found.largest = max(found.largest, *map(len, of_prompt))
        if tasks:
            yield tasks


def _prompt_keys(answers: Answers, found: Found, at_most: int | None) -> Iterator[list[int]]:
    """Those that are asked for, at most so many of them."""
    limits = [limit for limit in (answers.prompts, at_most) if limit is not None]
    left = min(limits) if limits else None
    last = 0
    while left is None or left > 0:
        keys = list(
            answers.prompt_set.prompts.filter(pk__gt=last)
            .order_by("pk")
            .values_list("pk", flat=True)[: CHUNK_PROMPTS if left is None else min(left, CHUNK_PROMPTS)]
        )
        if not keys:
            return
        yield keys
        last = keys[-1]
        left = None if left is None else left - len(keys)
    is_cut_short = at_most is not None and (answers.prompts is None or answers.prompts > at_most)
    found.has_more = is_cut_short and answers.prompt_set.prompts.filter(pk__gt=last).exists()


class _Choice:
    """Different answers of one prompt: in turns, the first of each source, then the second of each."""

    def __init__(self) -> None:
        self._turns: dict[int, int] = {}
        self._seen: set[bytes] = set()
        self._placed: list[tuple[int, int]] = []

    def add(self, pk: int, source: int, answer: str) -> None:
        """Responses in the order of their keys."""
        digest = sha256(answer.encode("utf-8", "surrogatepass")).digest()
        if digest in self._seen:
            return
        self._seen.add(digest)
        turn = self._turns.get(source, 0)
        self._turns[source] = turn + 1
        self._placed.append((turn, pk))

    def first(self, most: int | None) -> list[int]:
        return [pk for _, pk in sorted(self._placed)[:most]]


def _new_tasks(found: Sequence[FoundKeys]) -> list[NewTask]:
    """With what a new task needs of its prompt and responses, not their texts."""
    prompts = Prompt.objects.only("pk", "project_id").in_bulk([prompt for prompt, _ in found])
    keys = [response for _, chosen in found for response in chosen]
    responses = Response.objects.only("pk", "prompt_id").in_bulk(keys)
    return [
        NewTask(prompt=prompts[prompt], responses=[responses[key] for key in chosen])
        for prompt, chosen in found
    ]
