"""Prompts whose first turns are almost the same: one group, which is on one side where the project asks for it.

Alike are texts whose sets of letter 5-grams (case, punctuation and white space aside) have a Jaccard similarity of at
least 0.8, the threshold of Lee et al. 2022 (https://arxiv.org/abs/2107.06499) for documents. MinHash finds the
candidates, in 8 bands of 4: it finds 98.5 % of those that lie at 0.8 and 99.98 % at 0.9. What it finds is compared
exactly, so that nothing is called alike that is not.

A group is known by its first prompt, and a new prompt is compared with that one alone: no chain of small changes makes
two texts one group that have nothing in common, and nobody's group changes when others come.
"""

import hashlib
import re
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from rensa import RMinHash

from annotation.content.splits import split_key
from annotation.models import Prompt, PromptGroupKey
from learning.interface.messages import Messages
from workspace.bulk_insert import insert_objects, new_object
from workspace.models import Project

SIMILARITY = 0.8
LETTERS = 5
BANDS, ROWS_PER_BAND = 8, 4
SEED = 1
# Keys that are stored were made by this algorithm: with another one they have to be made anew.
ALGORITHM_VERSION = 2
KEYS_PER_QUERY = 2000
PROMPTS_PER_CHUNK = 500
RULE = (
    f"MinHash (rensa, algorithm {ALGORITHM_VERSION}, {BANDS} bands of {ROWS_PER_BAND}), then Jaccard similarity of the "
    f"first turn's letter {LETTERS}-grams to that of its group's first prompt >= {SIMILARITY}"
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
        self._texts: dict[str, str] = {}  # of each group's first prompt
        self._new_keys: dict[str, list[int]] = {}  # of groups that begin here
        self._began_here: dict[int, list[str]] = defaultdict(list)  # key -> groups

    def groups_of(self, rows: Sequence[FirstTurn]) -> Mapping[str, str]:
        """The group of every row, by the hash of its first turn."""
        new = {row.first_turn_hash: row for row in rows if row.first_turn_hash not in self._groups}
        self._groups |= _stored_groups(self._project, new)
        texts = {turn: comparable_text(row.messages) for turn, row in new.items() if turn not in self._groups}
        keys = dict(zip(texts, keys_of_texts(list(texts.values())), strict=True))
        holders = self._holders({key for of_text in keys.values() for key in of_text})
        for turn, text in texts.items():
            group = self._find(text, keys[turn], holders)
            if group is None:
                group = turn
                self._texts[turn], self._new_keys[turn] = text, keys[turn]
                for key in keys[turn]:
                    self._began_here[key].append(turn)
            self._groups[turn] = group
        return self._groups

    def save(self, prompts: Sequence[Prompt]) -> None:
        """The keys of groups that begin with one of these prompts, which are stored by now."""
        insert_objects(
            [
                new_object(PromptGroupKey, project=self._project, key=key, prompt=prompt)
                for prompt in prompts
                for key in self._new_keys.pop(prompt.first_turn_hash, ())
            ]
        )

    def group_earlier_prompts(self) -> None:
        """Those that came before the project asked for groups. Their sides stay."""
        earlier = Prompt.objects.filter(project=self._project, group_hash=None).order_by("pk")
        while chunk := list(earlier[:PROMPTS_PER_CHUNK]):
            groups = self.groups_of(chunk)
            for prompt in chunk:
                prompt.group_hash = groups[prompt.first_turn_hash]
            Prompt.objects.bulk_update(chunk, ["group_hash"])
            self.save(chunk)

    def _find(
        self, text: str, keys: Sequence[int], holders: Mapping[int, list[tuple[int, str]]]
    ) -> str | None:
        """The oldest group that is alike."""
        stored = sorted({holder for key in keys for holder in holders.get(key, ())})
        candidates = [group for _, group in stored]
        candidates += [group for key in keys for group in self._began_here.get(key, ())]
        for group in dict.fromkeys(candidates):
            if similarity(text, self._texts[group]) >= SIMILARITY:
                return group
        return None

    def _holders(self, keys: Collection[int]) -> dict[int, list[tuple[int, str]]]:
        """key -> the stored groups that have it: the number of their first prompt, and their hash."""
        holders: dict[int, list[tuple[int, str]]] = defaultdict(list)
        ordered = sorted(keys)
        unread: dict[int, str] = {}
        for start in range(0, len(ordered), KEYS_PER_QUERY):
            found = PromptGroupKey.objects.filter(
                project=self._project, key__in=ordered[start : start + KEYS_PER_QUERY]
            ).values_list("key", "prompt_id", "prompt__first_turn_hash")
            for key, prompt, group in found:
                holders[key].append((prompt, group))
                if group not in self._texts:
                    unread[prompt] = group
        numbers = sorted(unread)
        for start in range(0, len(numbers), PROMPTS_PER_CHUNK):
            # One whose import was taken back still says what its group is like.
            prompts = Prompt._base_manager.filter(pk__in=numbers[start : start + PROMPTS_PER_CHUNK])
            for prompt, messages in prompts.values_list("pk", "messages"):
                self._texts[unread[prompt]] = comparable_text(messages)
        return holders


def _stored_groups(project: Project, turns: Collection[str]) -> dict[str, str]:
    groups: dict[str, str] = {}
    ordered = sorted(turns)
    for start in range(0, len(ordered), PROMPTS_PER_CHUNK):
        stored = Prompt.objects.filter(
            project=project, first_turn_hash__in=ordered[start : start + PROMPTS_PER_CHUNK]
        )
        groups |= dict(stored.exclude(group_hash=None).values_list("first_turn_hash", "group_hash"))
    return groups


def comparable_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The first user turn without case, punctuation and superfluous white space; if nothing else is in it, as it is."""
    text = split_key(messages)
    return " ".join(re.findall(r"\w+", text)) or text


@lru_cache(maxsize=4096)
def letter_grams(text: str) -> frozenset[str]:
    return frozenset(_grams(text))


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the two texts' sets of letter 5-grams, 0 to 1."""
    ours, theirs = letter_grams(one), letter_grams(other)
    shared = len(ours & theirs)
    return shared / (len(ours) + len(theirs) - shared)


def keys_of_texts(texts: Sequence[str]) -> Iterator[list[int]]:
    """BANDS signed 64-bit numbers of each text; texts that share one are candidates."""
    digests = RMinHash.digests_from_token_sets(
        [_grams(text) for text in texts], num_perm=BANDS * ROWS_PER_BAND, seed=SEED
    )
    for digest in digests:
        keys = []
        for band in range(BANDS):
            values = digest[band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND]
            packed = struct.pack(f"<B{ROWS_PER_BAND}I", band, *values)
            keys.append(int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "big", signed=True))
        yield keys


def _grams(text: str) -> list[str]:
    return [text[place : place + LETTERS] for place in range(max(1, len(text) - LETTERS + 1))]
