"""A judgment of a file as the row of the staging file that it becomes."""

import hashlib
import json
from typing import Any

from annotation.content.splits import hash_first_turn
from annotation.importing.digests import (
    answer_digest,
    digest_of,
    group_flags,
    question_digest,
    task_key,
    verdict_digest,
)
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair
from annotation.models import Task, hash_messages
from learning.interface.json_text import json_encoder
from learning.interface.messages import Answer, answer_key

INSERT_JUDGMENT = """
INSERT INTO judgment
  (line, task_key, annotator, annotator_kind, first_turn, content, question, verdict, joins, prompt_id, response_ids,
   n_responses, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_to_json = json_encoder(ensure_ascii=False)


INSERT_PAIR = "INSERT INTO pair (line, group_key, payload) VALUES (?, ?, ?)"


def pair_row(line: int, pair: ImportedPair) -> tuple[Any, ...]:
    """As INSERT_PAIR takes it."""
    return line, digest_of([pair.group, pair.annotator]), _to_json(pair.as_json())


def response_digest(prompt_id: str | None, prompt: str, response: Answer) -> str:
    """What a response's id stands for. The prompt's id is part of it: two prompts may have the same text, and
    a response answers one of them. `prompt`: its hash.
    """
    return hashlib.sha256(f"{prompt_id or ''}\0{prompt}\0{answer_key(response)}".encode()).hexdigest()


def judgment_row(line: int, judgment: ImportedJudgment) -> tuple[Any, ...]:
    """As INSERT_JUDGMENT takes it."""
    content = hash_messages(judgment.prompt)
    answers = [answer_digest(response) for response in judgment.responses]
    question = question_digest(content, answers)
    return (
        line,
        task_key(question, judgment),
        judgment.annotator or "",
        judgment.annotator_kind,
        hash_first_turn(judgment.prompt),
        content,
        question,
        verdict_digest(
            question, zip(answers, judgment.ranks, strict=True), judgment.strengths, judgment.marks or ()
        ),
        judgment.purpose == Task.Purpose.NORMAL and not group_flags(judgment),
        judgment.prompt_id,
        None if judgment.response_ids is None else json.dumps(judgment.response_ids),
        len(judgment.responses),
        _to_json(judgment.as_json()),
    )
