"""Which answers that are there already make which tasks: answers from files, sampled earlier, or sent by programs.

Prompts and answers are read a page at a time and held by their keys: texts of a million prompts fit in no process.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from django.db.models import Q

from annotation.models import Batch, PromptSet, Response, Source, Task
from learning.interface.messages import answer_key, stored_answer
from workspace.models import Criterion, Project

MAX_ANSWERS = 9
PAGE_PROMPTS = 500
CHUNK_TEXTS = 20  # responses whose texts are in memory at once


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
    prompts: int = 0  # that were looked at
    read: int = 0  # answers whose texts were read


FoundKeys = tuple[int, Sequence[int]]  # a prompt's, and those of the responses of its task, in their order


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


def count_tasks(
    answers: Answers,
    criterion: Criterion,
    *,
    at_most: int | None = None,
    at_most_answers: int | None = None,
    watch: Callable[[int], None] = lambda prompts: None,
) -> Found:
    """What there would be; with `at_most` of so many of the prompts, the first, and of fewer where these have more
    answers than `at_most_answers`. `watch` is told of every page how many prompts it had.
    """
    found = Found()
    for page in prompt_pages(answers, at_most=at_most):
        if at_most_answers is not None and found.read > at_most_answers:
            found.has_more = True
            return found
        find_tasks(answers, criterion, page, found)
        watch(len(page))
    if at_most is not None and (answers.prompts is None or answers.prompts > at_most):
        found.has_more = answers.prompt_set.prompts.order_by("pk")[at_most : at_most + 1].exists()
    return found


def find_tasks(answers: Answers, criterion: Criterion, page: Sequence[int], found: Found) -> list[FoundKeys]:
    """The tasks of a page of prompts, in their order, counted in `found`; of more answers than a task shows, those of
    different sources first.
    """
    found.prompts += len(page)
    keys = list(page)
    if answers.skip_asked:
        rating = Q(batch__kind=Batch.Kind.RATING)
        asks_alike = rating if answers.most == 1 else ~rating
        tasks_there = Task.objects.filter(asks_alike, prompt__in=keys, batch__criterion=criterion)
        asked = set(tasks_there.values_list("prompt", flat=True))
        found.asked += len(asked)
        keys = [key for key in keys if key not in asked]
    given = {key: _Choice() for key in keys}
    responses = Response.objects.filter(prompt__in=keys).order_by("pk")
    if answers.sources:
        responses = responses.filter(source__in=answers.sources)
    rows = responses.values_list("pk", "prompt_id", "source_id", "text", "turns")
    for pk, prompt, source, text, turns in rows.iterator(chunk_size=CHUNK_TEXTS):
        found.read += 1
        given[prompt].add(pk, source, answer_key(stored_answer(text, turns)))
    tasks: list[FoundKeys] = []
    for key in keys:
        chosen = given[key].first(None if answers.most == 1 else answers.most)
        if len(chosen) < min(answers.most, 2):
            found.too_few += 1
            continue
        of_prompt = [[one] for one in chosen] if answers.most == 1 else [chosen]
        tasks += [(key, shown) for shown in of_prompt]
        found.tasks += len(of_prompt)
        found.answers += len(chosen)
        found.largest = max(found.largest, *map(len, of_prompt))
    return tasks


def prompt_pages(answers: Answers, *, at_most: int | None = None, after: int = 0) -> Iterator[list[int]]:
    """The keys of the prompts that are asked for, at most so many of them, some hundreds at a time, behind `after`."""
    limits = [limit for limit in (answers.prompts, at_most) if limit is not None]
    left = min(limits) if limits else None
    prompts = answers.prompt_set.prompts.order_by("pk").values_list("pk", flat=True)
    if left is not None and after:
        left -= prompts.filter(pk__lte=after).count()
    last = after
    while left is None or left > 0:
        page = list(prompts.filter(pk__gt=last)[: PAGE_PROMPTS if left is None else min(left, PAGE_PROMPTS)])
        if not page:
            return
        yield page
        last = page[-1]
        left = None if left is None else left - len(page)


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
