"""A judgment of a file as the row of the staging file that it becomes."""

import json
from typing import Any

from annotation.content.splits import hash_first_turn
from annotation.importing.digests import (
    answer_digest,
    group_flags,
    question_digest,
    task_key,
    verdict_digest,
)
from annotation.importing.readers.judgments import ImportedJudgment
from annotation.models import Task, hash_messages

INSERT_JUDGMENT = """
INSERT INTO judgment
  (line, task_key, annotator, annotator_kind, first_turn, content, question, verdict, joins, prompt_id, response_ids,
   n_responses, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

# json.dumps makes an encoder for every call with options.
_to_json = json.JSONEncoder(ensure_ascii=False).encode


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
