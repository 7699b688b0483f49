"""The task that holds a reviewer's decision on another one."""

from annotation.models import Task, TaskResponse
from workspace.models import User


def insert_decision_task(*, task: Task, reserved_for: User) -> Task:
    """A task of the same responses that is kept for one reviewer, in whatever state the batch is: it takes no slot and
    nobody is handed it. Part of the caller's transaction, who writes the audit row.
    """
    made = Task.objects.create(
        batch_id=task.batch_id,
        prompt_id=task.prompt_id,
        purpose=Task.Purpose.ADJUDICATION,
        reserved_for=reserved_for,
        required_judgments=0,
        open_slots=0,
    )
    shown = task.task_responses.order_by("position").values_list("response_id", "position")
    TaskResponse.objects.bulk_create(
        [TaskResponse(task=made, response_id=response, position=position) for response, position in shown]
    )
    return made
