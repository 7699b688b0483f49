"""A task as it is handed out: the lease, and all that its screen needs, read in one statement."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from annotation.models import Assignment, Batch, Prompt, Response, Task, TaskResponse
from annotation.preferences.content_warnings import split_warnings
from annotation.preferences.scale import shuffle_responses
from annotation.queue.search import AnnotatorCounts
from learning.interface.messages import Answer, stored_answer
from workspace.database import insert_row, run_prepared
from workspace.models import Criterion, User

# The prompt comes with the first response alone. A copy warns of what its original does.
_CONTENT = f"""SELECT tr.response_id, r.text, r.turns, CASE WHEN tr.position = 0 THEN p.messages END,
        cr.name, cr.question, b.content_warnings, t.purpose, ob.content_warnings
    FROM {TaskResponse._meta.db_table} tr
    JOIN {Response._meta.db_table} r ON r.id = tr.response_id
    JOIN {Task._meta.db_table} t ON t.id = tr.task_id
    JOIN {Prompt._meta.db_table} p ON p.id = t.prompt_id
    JOIN {Batch._meta.db_table} b ON b.id = t.batch_id
    JOIN {Criterion._meta.db_table} cr ON cr.id = b.criterion_id
    LEFT JOIN {Task._meta.db_table} o ON o.id = t.copy_of_id
    LEFT JOIN {Batch._meta.db_table} ob ON ob.id = o.batch_id
    WHERE tr.task_id = %s ORDER BY tr.position"""

# An expired lease of the same person comes back as it was, in the same order: its draft speaks of the same labels.
_RENEW_EXPIRED = """ON CONFLICT (task_id, annotator_id) WHERE NOT (state = 'taken_back') DO UPDATE SET state = 'leased',
    leased_until = excluded.leased_until, settings_version = excluded.settings_version,
    guideline_version = excluded.guideline_version WHERE annotation_assignment.state = 'expired'"""


@dataclass(frozen=True)
class TaskContent:
    """What a task asks; the answers by response key, in the order they were given in.

    `question` is that in force; what a task asks is its version's (QuestionSettings.question_of).
    """

    criterion: str
    question: str
    messages: list[dict[str, Any]]
    answers: Mapping[int, Answer]
    content_warnings: Sequence[str] = ()
    purpose: str = Task.Purpose.NORMAL  # never told to who judges, but for practice


@dataclass(frozen=True)
class ClaimedTask:
    assignment: Assignment
    content: TaskContent
    counts: AnnotatorCounts


def read_content(task_id: int) -> TaskContent:
    rows, _ = run_prepared(_CONTENT, [task_id])
    return TaskContent(
        rows[0][4],
        rows[0][5],
        json.loads(rows[0][3]),
        {key: stored_answer(text, json.loads(turns) if turns else None) for key, text, turns, *_ in rows},
        sorted({*split_warnings(rows[0][6]), *split_warnings(rows[0][8])}),
        rows[0][7],
    )


def lease(
    actor: User, task_id: int, content: TaskContent, leased_until: datetime, versions: Mapping[str, int]
) -> Assignment:
    """An assignment of a task whose slot the caller has taken, new or come back from its expiry."""
    seed = secrets.randbits(62)
    assignment = Assignment(
        task_id=task_id,
        annotator=actor,
        leased_until=leased_until,
        shuffle_seed=seed,
        # Of a task that comes again: the opposite of the first time, as it was stored with it.
        order_shown=list(content.answers)
        if content.purpose == Task.Purpose.REPEAT
        else shuffle_responses(list(content.answers), seed),
        **versions,
    )
    stored = insert_row(assignment, on_conflict=_RENEW_EXPIRED, returning="public_id, order_shown, draft")
    assert stored is not None, "the search offers no task that its annotator holds"
    assignment.public_id = Assignment._meta.get_field("public_id").to_python(stored[0])
    assignment.order_shown, assignment.draft = json.loads(stored[1]), json.loads(stored[2])
    return assignment
