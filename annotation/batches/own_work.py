"""Who wrote what a task shows is not asked to judge it: the person who led one of its whole conversations.

An assignment of its own state keeps the task from them. It blocks as any other one does, in the claim's statement and
in the counts of what is left for whom.
"""

import uuid
from collections.abc import Iterable, Sequence

from annotation.models import Assignment, Conversation, Response, Task
from annotation.models.bulk import BULK_UPDATE_SIZE
from annotation.models.conversations import RESPONSE_PREFIX
from workspace.database import database_now

# Practice is passed or not passed with all of its tasks, and a decision's is made for one reviewer.
KEPT_PURPOSES = (Task.Purpose.NORMAL, Task.Purpose.HEAD_TO_HEAD, Task.Purpose.GOLD)


def keep_from_writers(tasks: Sequence[tuple[Task, Iterable[Response]]]) -> None:
    """New tasks with the responses they show. Part of the caller's transaction."""
    shown: dict[uuid.UUID, list[Task]] = {}
    for task, responses in tasks:
        for response in responses:
            key = _conversation_of(response.external_id)
            if key is not None and task.purpose in KEPT_PURPOSES:
                shown.setdefault(key, []).append(task)
    if not shown:
        return
    keys, now = list(shown), database_now()
    kept: dict[tuple[int, int], Assignment] = {}
    for start in range(0, len(keys), BULK_UPDATE_SIZE):
        led = Conversation.objects.filter(public_id__in=keys[start : start + BULK_UPDATE_SIZE])
        for key, writer, project in led.values_list("public_id", "annotator", "live__batch__project"):
            for task in shown[key]:
                if task.prompt.project_id == project:
                    kept[task.pk, writer] = Assignment(
                        task=task,
                        annotator_id=writer,
                        state=Assignment.State.OWN,
                        leased_until=now,
                        shuffle_seed=0,
                        order_shown=[],
                        settings_version=0,
                        guideline_version=0,
                    )
    Assignment.objects.bulk_create(kept.values(), batch_size=BULK_UPDATE_SIZE)


def _conversation_of(response_id: str) -> uuid.UUID | None:
    if not response_id.startswith(RESPONSE_PREFIX):
        return None
    try:
        return uuid.UUID(response_id.removeprefix(RESPONSE_PREFIX))
    except ValueError:
        return None
