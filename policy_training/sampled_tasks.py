"""A policy's samples as tasks to be judged, outside of any round, with the answers that the prompts have from files."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.models import Prompt, Response, Source, Task
from learning.interface.messages import answer_key
from runs.models import Run
from workspace.models import Criterion
from workspace.naming import unique_name

MAX_RESPONSES = 9


def given_answers(prompts: Sequence[Prompt]) -> dict[int, list[Response]]:
    """Prompt key -> its answers that came from files and people: what the samples are compared with."""
    given: dict[int, list[Response]] = {prompt.pk: [] for prompt in prompts}
    keys = list(given)
    for start in range(0, len(keys), 500):
        responses = Response.objects.filter(prompt__in=keys[start : start + 500])
        for response in responses.exclude(source__kind=Source.Kind.POLICY).order_by("pk"):
            given[response.prompt_id].append(response)
    return given


def save_sampled_tasks(run: Run, prompts: Mapping[str, Prompt], samples: Sequence[Response]) -> None:
    """The batch that the run was asked for; does nothing when it was made already.

    A task has the answers from files (unless they were left out) and the samples, each text once; a prompt with fewer
    than two different answers gets no task. `run.parameters["tasks"]` says how many did.
    """
    asked: dict[str, Any] = run.parameters["tasks"]
    if Task.objects.filter(task_responses__response__in=[response.pk for response in samples[:1]]).exists():
        return
    in_order = [prompts[prompt_id] for prompt_id in run.parameters["prompt_ids"]]
    answers = given_answers(in_order) if asked["with_given"] else {prompt.pk: [] for prompt in in_order}
    for response in samples:
        answers[response.prompt_id].append(response)
    tasks = []
    for prompt in in_order:
        different = {answer_key(response.answer): response for response in reversed(answers[prompt.pk])}
        # The first of equal ones, in their order.
        kept = list(reversed(different.values()))[:MAX_RESPONSES]
        if len(kept) >= 2:
            tasks.append(NewTask(prompt=prompt, responses=kept))
    counts = {"tasks": len(tasks), "prompts without two different answers": len(in_order) - len(tasks)}
    Run.objects.filter(pk=run.pk).update(parameters=run.parameters | {"task_counts": counts})
    if not tasks:
        return
    batch = create_batch(
        actor=run.requested_by,
        project=run.project,
        criterion=Criterion.objects.get(pk=asked["criterion"], project=run.project),
        name=unique_name(run.project.batches.all(), asked["batch_name"]),
        responses_per_task=max(len(task.responses) for task in tasks),
        overlap=asked["overlap"],
    )
    add_tasks(actor=run.requested_by, batch=batch, tasks=tasks)
    if asked["open"]:
        open_batch(actor=run.requested_by, batch=batch)
