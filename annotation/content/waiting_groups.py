"""Prompts that were there before their project asked for groups of near-duplicates: they get theirs little by little,
the oldest first; some within the request that brings new prompts, the rest by the worker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from annotation.content.near_duplicates import PromptGroups, comparable_text
from annotation.models import Prompt
from workspace.database import write_transaction
from workspace.models import Project

PROMPTS_WITHIN_A_REQUEST = 500
CHARACTERS_WITHIN_A_REQUEST = 500_000
PROMPTS_PER_TRANSACTION = 100
PROMPTS_PER_TICK = 500
ROWS_PER_QUERY = 10  # a conversation may have a million characters, of which few are compared
MAX_SAID = 10_000


@dataclass(frozen=True)
class _Waiting:
    number: int
    turn: str
    text: str


def waiting_for_groups(project: Project) -> QuerySet[Prompt]:
    """The oldest first. None where the project does not ask for groups."""
    if not project.near_duplicates_together:
        return Prompt.objects.none()
    return Prompt.objects.filter(project=project, group_hash=None).order_by("pk")


def say_waiting(project: Project) -> str:
    """For a page: how many wait, counted as far as MAX_SAID; empty where none does."""
    number = waiting_for_groups(project)[: MAX_SAID + 1].count()
    if number > MAX_SAID:
        return f"More than {MAX_SAID:,} prompts wait for their group."
    return (
        f"{number:,} prompt{' waits for its' if number == 1 else 's wait for their'} group." if number else ""
    )


def group_within_request(project: Project, groups: PromptGroups) -> bool:
    """Groups the oldest of those that wait; whether others are left. Call it in a transaction that holds the project:
    new prompts are grouped in the same one.
    """
    prompts, characters = PROMPTS_WITHIN_A_REQUEST, CHARACTERS_WITHIN_A_REQUEST
    while prompts > 0 and characters > 0:
        chunk = _read(project, min(prompts, PROMPTS_PER_TRANSACTION // 2))
        if not chunk:
            return False
        _store(groups, chunk, groups.groups_of_texts(_texts(chunk)))
        prompts -= len(chunk)
        characters -= sum(len(row.text) for row in chunk)
    return waiting_for_groups(project).exists()


def group_waiting_prompts() -> int:
    """The worker's part: some hundred prompts of each project, in transactions that are over soon. Returns how many."""
    grouped = 0
    for project in Project.objects.filter(near_duplicates_together=True).order_by("pk"):
        of_project = 0
        while of_project < PROMPTS_PER_TICK and (number := _group_some(project)):
            of_project += number
        grouped += of_project
    return grouped


def _group_some(project: Project) -> int:
    """Compares without a lock and stores under it, if the same prompts are still the oldest that wait."""
    chunk = _read(project, PROMPTS_PER_TRANSACTION)
    if not chunk:
        return 0
    groups = PromptGroups(project)
    found = groups.groups_of_texts(_texts(chunk))

    @write_transaction
    def store() -> int:
        locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        oldest = waiting_for_groups(locked).values_list("pk", flat=True)[: len(chunk)]
        # Groups begin in the order of prompts: while these wait, none has begun that they were not compared with.
        if list(oldest) != [row.number for row in chunk]:
            return 0
        _store(groups, chunk, found)
        return len(chunk)

    return store()


def _read(project: Project, at_most: int) -> list[_Waiting]:
    rows: list[_Waiting] = []
    waiting = waiting_for_groups(project).values_list("pk", "first_turn_hash", "messages")
    while len(rows) < at_most:
        after = rows[-1].number if rows else 0
        some = waiting.filter(pk__gt=after)[: min(ROWS_PER_QUERY, at_most - len(rows))]
        found = [_Waiting(number, turn, comparable_text(messages)) for number, turn, messages in some]
        if not found:
            break
        rows += found
    return rows


def _texts(chunk: Sequence[_Waiting]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for row in chunk:
        texts.setdefault(row.turn, row.text)
    return texts


def _store(groups: PromptGroups, chunk: Sequence[_Waiting], found: Mapping[str, str]) -> None:
    Prompt.objects.bulk_update(
        [Prompt(pk=row.number, group_hash=found[row.turn]) for row in chunk], ["group_hash"]
    )
    first: dict[str, int] = {}
    for row in chunk:
        first.setdefault(row.turn, row.number)
    groups.save(first)
