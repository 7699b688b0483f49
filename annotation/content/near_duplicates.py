"""Prompts whose first turns are almost the same: one group, which is on one side where the project asks for it.

Alike are texts whose sets of letter 5-grams (case, punctuation and white space aside) have a Jaccard similarity of at
least 0.8, the threshold of Lee et al. 2022 (https://arxiv.org/abs/2107.06499) for documents. MinHash finds the
candidates, in 8 bands of 4: it finds 98.5 % of those that lie at 0.8 and 99.98 % at 0.9. What it finds is compared
exactly, so that nothing is called alike that is not.

A group is known by its first prompt, and a new prompt is compared with that one alone: no chain of small changes makes
two texts one group that have nothing in common, and nobody's group changes when others come.

Whatever the texts, work and memory are bounded: the first MAX_COMPARED_CHARACTERS of a text are compared, with the
MAX_CANDIDATES oldest groups that share a band. Prompts get their groups in the order of their keys; while older ones
wait (`waiting_groups.py`), a new prompt may join a group that is there, but begins none: that would depend on who came
first to be grouped. So the groups are the same whatever is grouped at once.
"""

import hashlib
import re
import struct
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from rensa import RMinHash

from annotation.content.splits import split_key
from annotation.models import Prompt, PromptGroupKey
from learning.interface.messages import Messages
from workspace.bulk_insert import insert_objects, new_object
from workspace.models import Project

Key = TypeVar("Key")
Value = TypeVar("Value")
SIMILARITY = 0.8
LETTERS = 5
BANDS, ROWS_PER_BAND = 8, 4
SEED = 1
# Keys that are stored were made by this algorithm: with another one, or another part of a text, they have to be made
# anew.
ALGORITHM_VERSION = 2
MAX_COMPARED_CHARACTERS = 20_000
MAX_CANDIDATES = 50
KEYS_PER_QUERY = 2000
PROMPTS_PER_CHUNK = 500
TEXTS_PER_QUERY = 10  # of candidates: a conversation may have a million characters, of which few are kept
# Of texts whose 5-grams are in memory together; each takes some hundred bytes.
CHARACTERS_AT_ONCE = 200_000
RULE = (
    f"MinHash (rensa, algorithm {ALGORITHM_VERSION}, {BANDS} bands of {ROWS_PER_BAND}), then Jaccard similarity of the "
    f"first turn's letter {LETTERS}-grams to that of its group's first prompt >= {SIMILARITY}; of the first "
    f"{MAX_COMPARED_CHARACTERS:,} characters, with the {MAX_CANDIDATES} oldest groups that share a band"
)


class FirstTurn(Protocol):
    @property
    def messages(self) -> Messages: ...
    @property
    def first_turn_hash(self) -> str: ...


class PromptGroups:
    """The groups of a project's prompts: those that are stored, and those that begin in this object."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._groups: dict[str, str] = {}  # of first turns: group, both by the hash of a first turn
        self._waiting: set[str] = set()  # first turns that got a group for the time being
        self._begun: dict[str, tuple[str, list[int]]] = {}  # groups that began here: text and keys of each
        self._began_at: dict[int, list[tuple[int, str]]] = defaultdict(
            list
        )  # key -> (place, group), the oldest
        self._known = _KnownTexts()

    def groups_of(self, rows: Iterable[FirstTurn], *, others_wait: bool = False) -> Mapping[str, str]:
        """The group of every row, by the hash of its first turn.

        `others_wait`: older prompts have no group yet. Then a row that is like none of the groups that are there is
        grouped among the rows alone, which decides its side; it is not among the `settled`.
        """
        new: dict[str, str] = {}
        for row in rows:
            if row.first_turn_hash not in self._groups and row.first_turn_hash not in new:
                new[row.first_turn_hash] = comparable_text(row.messages)
        return self.groups_of_texts(new, others_wait=others_wait)

    def groups_of_texts(self, texts: Mapping[str, str], *, others_wait: bool = False) -> Mapping[str, str]:
        """`texts`: of first turns by their hash, in the order of their prompts."""
        turns = iter([turn for turn in texts if turn not in self._groups])
        while chunk := list(islice(turns, PROMPTS_PER_CHUNK)):
            self._groups |= _stored_groups(self._project, chunk)
            left = {turn: texts[turn] for turn in chunk if turn not in self._groups}
            keys = dict(zip(left, keys_of_texts(list(left.values())), strict=True))
            holders = self._holders({key for of_text in keys.values() for key in of_text})
            for turn, text in left.items():
                group = self._find(text, keys[turn], holders)
                if group is None:
                    group = turn
                    self._begin(turn, text, keys[turn])
                if others_wait and group in self._begun:
                    self._waiting.add(turn)
                self._groups[turn] = group
        return self._groups

    def settled(self) -> dict[str, str]:
        """Of the groups so far those that stay, by the hash of a first turn."""
        return {turn: group for turn, group in self._groups.items() if turn not in self._waiting}

    def save(self, first: Mapping[str, int]) -> None:
        """The keys of groups that began here. `first`: first turn -> number of the first prompt that has it."""
        begun = [
            (first[turn], keys)
            for turn, (_, keys) in self._begun.items()
            if turn in first and turn not in self._waiting
        ]
        insert_objects(
            [
                new_object(PromptGroupKey, project=self._project, key=key, prompt=Prompt(pk=number))
                for number, keys in begun
                for key in keys
            ]
        )
        # From now on the database has them.
        self._begun.clear()
        self._began_at.clear()

    def _begin(self, turn: str, text: str, keys: list[int]) -> None:
        place = len(self._begun)
        self._begun[turn] = (text, keys)
        for key in keys:
            if len(self._began_at[key]) < MAX_CANDIDATES:
                self._began_at[key].append((place, turn))

    def _find(
        self, text: str, keys: Sequence[int], holders: Mapping[int, list[tuple[int, str]]]
    ) -> str | None:
        """The oldest group that is alike."""
        oldest = sorted({holder for key in keys for holder in holders.get(key, ())})[:MAX_CANDIDATES]
        # Younger than all that are stored.
        begun = sorted({entry for key in keys for entry in self._began_at.get(key, ())})
        ours = self._known.grams(text) if oldest or begun else frozenset()
        for start in range(0, len(oldest), TEXTS_PER_QUERY):
            some = oldest[start : start + TEXTS_PER_QUERY]
            texts = self._known.texts([number for number, _ in some])
            for number, group in some:
                if self._is_alike(ours, texts[number]):
                    return group
        for _, group in begun[: MAX_CANDIDATES - len(oldest)]:
            if self._is_alike(ours, self._begun[group][0]):
                return group
        return None

    def _is_alike(self, ours: frozenset[str], other: str) -> bool:
        # So few letters have too few 5-grams, whatever they are: not worth a set.
        if max(1, len(other) - LETTERS + 1) < SIMILARITY * len(ours):
            return False
        return _jaccard(ours, self._known.grams(other)) >= SIMILARITY

    def _holders(self, keys: Collection[int]) -> dict[int, list[tuple[int, str]]]:
        """key -> the oldest of the stored groups that have it: the number of their first prompt, and their hash."""
        holders: dict[int, list[tuple[int, str]]] = defaultdict(list)
        ordered = sorted(keys)
        for start in range(0, len(ordered), KEYS_PER_QUERY):
            found = (
                PromptGroupKey.objects.filter(
                    project=self._project, key__in=ordered[start : start + KEYS_PER_QUERY]
                )
                .annotate(
                    place=Window(RowNumber(), partition_by=F("key"), order_by=F("prompt_id").asc()),
                    group=F("prompt__first_turn_hash"),
                )
                .filter(place__lte=MAX_CANDIDATES)
            )
            for key, number, group in found.values_list("key", "prompt_id", "group"):
                holders[key].append((number, group))
        return holders


class _KnownTexts:
    """The texts of stored prompts and the 5-grams of any: those used last, CHARACTERS_AT_ONCE of each at most."""

    def __init__(self) -> None:
        self._texts: _Recent[int, str] = _Recent()
        self._grams: _Recent[str, frozenset[str]] = _Recent()

    def texts(self, numbers: Sequence[int]) -> dict[int, str]:
        found = {number: text for number in numbers if (text := self._texts.get(number)) is not None}
        if missing := [number for number in numbers if number not in found]:
            # One whose import was taken back still says what its group is like.
            prompts = Prompt._base_manager.filter(pk__in=missing)
            for number, messages in prompts.values_list("pk", "messages"):
                found[number] = comparable_text(messages)
                self._texts.put(number, found[number], len(found[number]))
        return found

    def grams(self, text: str) -> frozenset[str]:
        grams = self._grams.get(text)
        if grams is None:
            grams = letter_grams(text)
            self._grams.put(text, grams, len(text))
        return grams


class _Recent(Generic[Key, Value]):
    """Some values, those used last; as many as come to CHARACTERS_AT_ONCE, but for the newest."""

    def __init__(self) -> None:
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._size = 0

    def get(self, key: Key) -> Value | None:
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Key, value: Value, size: int) -> None:
        self._values[key] = (value, size)
        self._size += size
        while self._size > CHARACTERS_AT_ONCE and len(self._values) > 1:
            _, (_, gone) = self._values.popitem(last=False)
            self._size -= gone


def _stored_groups(project: Project, turns: Collection[str]) -> dict[str, str]:
    stored = Prompt.objects.filter(project=project, first_turn_hash__in=sorted(turns))
    return dict(stored.exclude(group_hash=None).values_list("first_turn_hash", "group_hash"))


def comparable_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The first user turn without case, punctuation and superfluous white space; if nothing else is in it, as it is.
    Its first MAX_COMPARED_CHARACTERS.
    """
    text = split_key(messages)
    words: list[str] = []
    length = 0
    for found in re.finditer(r"\w+", text):
        words.append(found[0])
        length += len(found[0]) + 1
        if length > MAX_COMPARED_CHARACTERS:
            break
    return (" ".join(words) or text)[:MAX_COMPARED_CHARACTERS]


def letter_grams(text: str) -> frozenset[str]:
    return frozenset(_grams(text))


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the two texts' sets of letter 5-grams, 0 to 1."""
    return _jaccard(letter_grams(one), letter_grams(other))


def _jaccard(ours: frozenset[str], theirs: frozenset[str]) -> float:
    shared = len(ours & theirs)
    return shared / (len(ours) + len(theirs) - shared)


def keys_of_texts(texts: Sequence[str]) -> Iterator[list[int]]:
    """BANDS signed 64-bit numbers of each text; texts that share one are candidates."""
    for some in _at_once(texts):
        digests = RMinHash.digests_from_token_sets(
            [_grams(text) for text in some], num_perm=BANDS * ROWS_PER_BAND, seed=SEED
        )
        for digest in digests:
            keys = []
            for band in range(BANDS):
                values = digest[band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND]
                packed = struct.pack(f"<B{ROWS_PER_BAND}I", band, *values)
                keys.append(
                    int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "big", signed=True)
                )
            yield keys


def _at_once(texts: Sequence[str]) -> Iterator[list[str]]:
    some: list[str] = []
    size = 0
    for text in texts:
        if some and size + len(text) > CHARACTERS_AT_ONCE:
            yield some
            some, size = [], 0
        some.append(text)
        size += len(text)
    if some:
        yield some


def _grams(text: str) -> list[str]:
    return [text[place : place + LETTERS] for place in range(max(1, len(text) - LETTERS + 1))]
