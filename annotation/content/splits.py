"""Which of train, validation and test a prompt belongs to.

By prompt, never by pair: the hash of the normalised first user turn, salted by the project. Two prompts that begin with
the same question share a split, however their conversations go on, so that nothing a model was trained on is asked
again in its test. The split is frozen in the prompt's row when it is created; this file only says what it will be.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence

from learning.interface.vocabulary import TEST, TRAIN, VALIDATION

TRAIN_SHARE = 0.8
VALIDATION_SHARE = 0.1
SPLIT_RULE = (
    "sha256(salt, first user turn: NFKC, case folded, white space collapsed): "
    f"{TRAIN_SHARE:.0%} train, {VALIDATION_SHARE:.0%} validation, the rest test"
)


def split_key(messages: Sequence[Mapping[str, str]]) -> str:
    """What the split depends on. A conversation without a user turn (only tools) is taken whole."""
    text = next((message["content"] for message in messages if message["role"] == "user"), None)
    if text is None:
        text = "\n".join(message["content"] for message in messages)
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def assign_split(messages: Sequence[Mapping[str, str]], salt: str) -> str:
    """One of the splits. Deterministic in the first user turn and the salt; uniform over prompts."""
    digest = hashlib.sha256(f"{salt}\0{split_key(messages)}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < TRAIN_SHARE:
        return TRAIN
    return VALIDATION if position < TRAIN_SHARE + VALIDATION_SHARE else TEST


def salt_id(salt: str) -> str:
    """Names a salt in a manifest without giving it away."""
    return hashlib.sha256(f"salt id\0{salt}".encode()).hexdigest()[:12]
