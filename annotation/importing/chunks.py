"""The transactions of an import: one a chunk, the import's own row in the first, and what it asked for in the last.

What a chunk stored counts only once the import is done: readers leave out demonstrations and texts of an import that is
not (`Arrived`), its batch is invisible, and its prompts get into their set in the last transaction.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Self

from django.db import transaction

from annotation.errors import PromptConflict
from annotation.importing.unfinished import keep_alive
from annotation.importing.watching import current_watch
from annotation.models import Import, PromptSet, PromptSetMember
from annotation.models.bulk import BULK_CREATE_SIZE
from workspace.bulk_insert import insert_values
from workspace.models import Project
from workspace.write_turns import Turns


class ChunkedImport:
    """`begin` makes the import's row: in the first chunk, so that what fails there leaves nothing. With `with`: what is
    one chunk is stored and made to count in one transaction, and leaves no trace where it is refused at its end.
    """

    def __init__(self, begin: Callable[[], Import], *, is_one_chunk: bool) -> None:
        self._begin = begin
        self._whole: AbstractContextManager[Any] = transaction.atomic() if is_one_chunk else nullcontext()
        self._imported: Import | None = None
        self._turns = Turns()

    def __enter__(self) -> Self:
        self._whole.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._whole.__exit__(kind, error, trace)

    @contextmanager
    def chunk(self, rows: int) -> Iterator[Import]:
        """A transaction for the next rows. Raises ImportStopped after it where the watch asks for that."""
        with self._turns.writing(), transaction.atomic():
            if self._imported is None:
                self._imported = self._begin()
            else:
                keep_alive(self._imported)
            yield self._imported
        current_watch().advance(rows)

    @contextmanager
    def last(self) -> Iterator[Import]:
        """The transaction from which on everything counts."""
        with transaction.atomic():
            if self._imported is None:
                self._imported = self._begin()
            yield self._imported


def require_purpose(project: Project, name: str, purpose: str) -> None:
    """Before anything is stored. Raises PromptConflict where the set is there and is for something else."""
    known = PromptSet.objects.filter(project=project, name=name).first()
    if known is not None and known.purpose != purpose:
        raise PromptConflict(f"The prompt set “{name}” has the purpose {known.purpose}.")


def add_members(prompt_set: PromptSet, prompts: Collection[int], imported: Import) -> None:
    """Prompts by their keys, in their order; those that are in the set already stay as they are. Call it in the last
    transaction.
    """
    # Whoever adds prompts to a set holds the project: what is in it now is all that there will be.
    Project.objects.select_for_update(no_key=True).get(pk=prompt_set.project_id)
    keys, new = list(prompts), []
    members = PromptSetMember.objects.filter(prompt_set=prompt_set)
    for start in range(0, len(keys), BULK_CREATE_SIZE):
        some = keys[start : start + BULK_CREATE_SIZE]
        there = set(members.filter(prompt__in=some).values_list("prompt", flat=True))
        new += [key for key in some if key not in there]
    rows = ((prompt_set.pk, key, imported.pk) for key in new)
    insert_values(PromptSetMember, ["prompt_set_id", "prompt_id", "from_import_id"], rows)
