"""Digests by which an import tells the same question, the same task and the same judgment."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from annotation.importing.readers.judgments import ImportedJudgment
from annotation.preferences.flags import GROUP_FLAG
from learning.interface.json_text import json_encoder
from learning.interface.messages import Answer, answer_key

_to_json = json_encoder()


def task_key(question: bytes, judgment: ImportedJudgment) -> bytes:
    """Judgments with the same key are of one task: the same question and ids (those of responses in any order)."""
    return digest_of(
        [
            question.hex(),
            judgment.task_id,
            judgment.prompt_id,
            sorted(judgment.response_ids or []),
            judgment.purpose,
            group_flags(judgment),
        ]
    )


def group_flags(judgment: ImportedJudgment) -> list[str]:
    return [flag for flag in judgment.flags if flag.startswith(GROUP_FLAG)]


def answer_digest(answer: Answer) -> bytes:
    return hashlib.sha256(answer_key(answer).encode("utf-8", "surrogatepass")).digest()


def question_digest(content: str, answers: Iterable[bytes]) -> bytes:
    """What is asked: a prompt (its hash) and its answers (`answer_digest`), in any order."""
    return _digest(content.encode() + b"".join(sorted(answers)))


def verdict_digest(
    question: bytes,
    ranked: Iterable[tuple[bytes, int]],
    strengths: Sequence[int | None],
    marks: Iterable[Mapping[str, Any]] = (),
) -> bytes:
    """What is said of it: (digest of an answer, rank) and the strengths of the steps. No strength is as good as 0:
    imports stored it so once. Of an answer alone, whose order says nothing, also its `marks`; a truth value is the
    number that records carry.
    """
    places = sorted(ranked)
    said = b"".join(answer + bytes([rank]) for answer, rank in places)
    digest = _digest(question + said + bytes(strength or 0 for strength in strengths))
    if len(places) != 1:
        return digest
    alike = [
        {name: float(value) if isinstance(value, int | float) else value for name, value in one.items()}
        for one in marks
        if one
    ]
    return _digest(digest + json.dumps(alike, sort_keys=True, ensure_ascii=True).encode())


def digest_of(value: Any) -> bytes:
    return _digest(_to_json(value).encode())


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:16]
