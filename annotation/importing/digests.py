"""Digests by which an import tells the same question, the same task and the same judgment."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from annotation.importing.readers.judgments import ImportedJudgment
from annotation.preferences.flags import GROUP_FLAG
from learning.interface.messages import answer_key


def task_key(judgment: ImportedJudgment) -> bytes:
    """Judgments with the same key answer the same question: same prompt, same responses (in any order)."""
    return digest_of(
        [
            judgment.task_id,
            judgment.prompt_id,
            judgment.prompt,
            sorted(map(answer_key, judgment.responses)),
            sorted(judgment.response_ids or []),
            judgment.purpose,
            group_flags(judgment),
        ]
    )


def group_flags(judgment: ImportedJudgment) -> list[str]:
    return [flag for flag in judgment.flags if flag.startswith(GROUP_FLAG)]


def question_digest(content: str, answers: Iterable[str]) -> bytes:
    """What is asked: a prompt (its hash) and the keys of its answers, in any order."""
    return digest_of([content, sorted(answers)])


def verdict_digest(
    question: bytes, ranked: Iterable[tuple[str, int]], strengths: Sequence[int | None]
) -> bytes:
    """What is said of it: (key of an answer, rank) and the strengths of the steps. No strength is as good as 0: imports
    stored it so once.
    """
    return digest_of([question.hex(), sorted(ranked), [strength or 0 for strength in strengths]])


def digest_of(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).digest()[:16]
