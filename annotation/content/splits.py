"""Which of train, validation and test a prompt belongs to.

By prompt, never by pair. A file's own split wins; without one it is the hash of the normalised first user turn, salted
by the project, and the project's shares, or so many held out for each tag. Two prompts that begin with the same
question share a split, however their conversations go on, so that nothing a model was trained on is asked again in its
test. The split is frozen in the prompt's row when it is created; this file only says what it will be.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from learning.interface.vocabulary import TEST, TRAIN, VALIDATION
from workspace.models import Project
from workspace.splits import DEFAULT_TRAIN_SHARE, DEFAULT_VALIDATION_SHARE, EVERY_TAG


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """Shares of train and validation, the rest test; or `test_per_tag` prompts of each tag (EVERY_TAG: of any other),
    and of the rest validation its share of train and validation together.
    """

    train_share: float = DEFAULT_TRAIN_SHARE
    validation_share: float = DEFAULT_VALIDATION_SHARE
    test_per_tag: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> str:
        """For a manifest."""
        rule = "sha256(salt, first user turn: NFKC, case folded, white space collapsed): "
        if self.test_per_tag:
            held_out = ", ".join(
                f"{number} of {'each other tag' if tag == EVERY_TAG else tag}"
                for tag, number in sorted(self.test_per_tag.items())
            )
            return f"{rule}test {held_out}; validation {self._validation_of_rest:.2%} of the rest; a file's split wins"
        return (
            f"{rule}{self.train_share:.2%} train, {self.validation_share:.2%} validation, the rest test; a file's "
            "split wins"
        )

    def split_at(self, position: float) -> str:
        """The split of a prompt whose hash lies at `position`, 0 to 1."""
        if self.test_per_tag:
            return VALIDATION if position >= 1 - self._validation_of_rest else TRAIN
        if position < self.train_share:
            return TRAIN
        return VALIDATION if position < self.train_share + self.validation_share else TEST

    @property
    def _validation_of_rest(self) -> float:
        total = self.train_share + self.validation_share
        return self.validation_share / total if total else 0.0


def rule_of(project: Project) -> SplitRule:
    return SplitRule(
        train_share=project.train_share,
        validation_share=project.validation_share,
        test_per_tag=project.test_per_tag,
    )


def split_key(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the split depends on. A conversation without a user turn (only tools) is taken whole."""
    text = next((message["content"] for message in messages if message["role"] == "user"), None)
    if text is None:
        text = "\n".join(message["content"] for message in messages)
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def hash_first_turn(messages: Sequence[Mapping[str, Any]]) -> str:
    """What prompts that begin alike share, in every project."""
    return hashlib.sha256(split_key(messages).encode()).hexdigest()


def assign_split(messages: Sequence[Mapping[str, Any]], salt: str, rule: SplitRule | None = None) -> str:
    """One of the splits. Deterministic in the first user turn, the salt and the rule; uniform over prompts."""
    return (rule or SplitRule()).split_at(_position(split_key(messages), salt))


def _position(key: str, salt: str) -> float:
    digest = hashlib.sha256(f"{salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def hold_out_per_tag(
    prompts: Sequence[tuple[str, Sequence[str]]],
    held_out: Mapping[str, int],
    rule: SplitRule,
    salt: str,
) -> set[str]:
    """Which of new prompts (hash of the first turn, tags) go to test: of each tag those that come first by their salted
    hash, until test has the rule's number. `held_out`: how many it has already. A prompt counts for its first tag;
    prompts that begin alike are one.
    """
    chosen: set[str] = set()
    number: Counter[str] = Counter(held_out)
    tag_of: dict[str, str] = {}
    for key, tags in prompts:
        tag_of.setdefault(key, tags[0] if tags else "")
    for key in sorted(tag_of, key=lambda key: _position(key, salt)):
        tag = tag_of[key]
        if number[tag] < rule.test_per_tag.get(tag, rule.test_per_tag.get(EVERY_TAG, 0)):
            number[tag] += 1
            chosen.add(key)
    return chosen


def salt_id(salt: str) -> str:
    """Names a salt in a manifest without giving it away."""
    return hashlib.sha256(f"salt id\0{salt}".encode()).hexdigest()[:12]
