"""The run kind of a language model that judges a batch."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext, gettext_noop

from annotation.errors import NothingToMeasure
from annotation.judging.ai import AIJudgment, add_ai_judgments, tasks_to_judge
from annotation.models import Batch, Response, TaskResponse
from annotation.quality.actions import queue_measurement
from learning.interface.model_servers import VARIABLES as MODEL_SERVER_VARIABLES
from learning.interface.record_files import read_records
from learning.interface.record_schemas import JUDGE_TASKS, JUDGED_TASKS
from policy_training.training.evaluation.config import JudgeTasksConfig
from runs.models import Run
from runs.run_kinds import RunKind
from workspace.errors import ActionError

TASKS_AT_ONCE = 500


def response_text(response: Response) -> str:
    """What a judge reads of a response: its text, or all that it said and called in several turns."""
    return response.text if response.turns is None else json.dumps(response.turns, ensure_ascii=False)


def _batch(run: Run) -> Batch:
    return Batch.objects.get(pk=run.parameters["batch"], project=run.project)


def _inputs(run: Run) -> Mapping[str, Any]:
    batch = _batch(run)
    keys = list(
        tasks_to_judge(batch, run.parameters["annotator"]).values_list("pk", flat=True)[
            : run.parameters["tasks"]
        ]
    )
    if not keys:
        raise ActionError(
            gettext("The judge has judged every task of “%(name)s” already.") % {"name": batch.name},
            code="no_tasks",
        )
    return {"tasks": (_task_rows(batch, keys), JUDGE_TASKS)}


def _task_rows(batch: Batch, keys: list[int]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(keys), TASKS_AT_ONCE):
        some = keys[start : start + TASKS_AT_ONCE]
        tasks = batch.tasks.select_related("prompt").in_bulk(some)
        shown: dict[int, list[Response]] = {key: [] for key in some}
        rows = TaskResponse.objects.filter(task__in=some).select_related("response")
        for row in rows.order_by("task", "position"):
            shown[row.task_id].append(row.response)
        for key in some:
            yield {
                "task": key,
                "prompt": tasks[key].prompt.messages,
                "response_keys": [response.pk for response in shown[key]],
                "responses": [response_text(response) for response in shown[key]],
            }


def _save(run: Run, result: Mapping[str, Any]) -> None:
    batch, parameters = _batch(run), run.parameters
    judgments = [
        AIJudgment(
            task=row["task"],
            tiers=row["tiers"],
            metadata={
                "model": result["model"],
                "template_version": result["template_version"],
                "run": run.pk,
                "comparisons": row["comparisons"],
                "not_understood": row["not_understood"],
                "prompt_tokens": row["prompt_tokens"],
                "reply_tokens": row["reply_tokens"],
                "seconds": round(row["seconds"], 3),
            },
        )
        for row in read_records(run.path / "judged.parquet", JUDGED_TASKS)
        if row["tiers"] is not None
    ]
    add_ai_judgments(
        actor=run.requested_by,
        project=run.project,
        batch=batch,
        run=run,
        annotator=parameters["annotator"],
        judgments=judgments,
        takes_slots=parameters["takes_slots"],
        report=result,
    )
    # How far it agrees with people is measured with everything else, when its judgments are there.
    transaction.on_commit(lambda: _measure(run))


def _measure(run: Run) -> None:
    try:
        queue_measurement(actor=run.requested_by, project=run.project)
    except NothingToMeasure:  # an excluded batch
        return


JUDGE = RunKind(
    name="judge.batch",
    label=gettext_noop("Judging by a model"),
    command="policy_training.training.evaluation.judge_tasks",
    build_inputs=_inputs,
    save_result=_save,
    options=JudgeTasksConfig,
    environment=MODEL_SERVER_VARIABLES,
)
