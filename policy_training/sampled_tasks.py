"""A policy's samples as tasks to be judged, outside of any round, with the answers that the prompts have from files."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.errors import InvalidBatch
from annotation.models import Prompt, Response, Source
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

    Of runs that were asked for together the last to end makes it. A task has the answers from files (unless they were
    left out) and the samples, each text once; a prompt with fewer than two different answers gets no task, unless each
    answer is a task of its own, to be rated.
    `run.parameters["task_counts"]` says how many did.
    """
    asked: dict[str, Any] = run.parameters["tasks"]
    # Counted in the transaction that made them; a sample may be in no task, where another said the same.
    if "task_counts" in Run.objects.values_list("parameters", flat=True).get(pk=run.pk):
        return
    if asked.get("together"):
        others = _others_if_last(run)
        if others is None:
            return
        samples = [*others, *samples]
    # Without those whose import was taken back meanwhile.
    in_order = [prompts[prompt_id] for prompt_id in run.parameters["prompt_ids"] if prompt_id in prompts]
    answers = given_answers(in_order) if asked["with_given"] else {prompt.pk: [] for prompt in in_order}
    for response in samples:
        answers[response.prompt_id].append(response)
    tasks: list[NewTask] = []
    single = asked.get("single_answers", False)
    for prompt in in_order:
        different = {answer_key(response.answer): response for response in reversed(answers[prompt.pk])}
        # The first of equal ones, in their order.
        kept = list(reversed(different.values()))
        if single:
            tasks += [NewTask(prompt=prompt, responses=[response]) for response in kept]
        elif len(kept) >= 2:
            tasks.append(NewTask(prompt=prompt, responses=kept[:MAX_RESPONSES]))
    counts = {"tasks": len(tasks)}
    if not single:
        counts["prompts without two different answers"] = len(in_order) - len(tasks)
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
        # Where nothing is asked of an answer alone any more it waits as a draft: what was sampled is not lost for that.
        with suppress(InvalidBatch):
            open_batch(actor=run.requested_by, batch=batch)


def _others_if_last(run: Run) -> list[Response] | None:
    """What the runs that were asked for together with this one sampled; None while one of them has not ended well.

    They may end at the same moment: the lock lets one look after the other, which has committed by then. It is on a row
    that none of them holds, so that they cannot wait for each other.
    """
    asked = run.parameters["tasks"]
    Criterion.objects.select_for_update(no_key=True).get(pk=asked["criterion"])
    others = Run.objects.filter(
        project=run.project, kind=run.kind, parameters__tasks__together=asked["together"]
    ).exclude(pk=run.pk)
    done = {
        other.parameters["policy"]: other.config["id_prefix"]
        for other in others.filter(state=Run.State.DONE).order_by("pk")
    }
    if len(done) != asked["of"] - 1:
        return None
    found = []
    prompt_ids = run.parameters["prompt_ids"]
    for start in range(0, len(prompt_ids), 500):
        responses = Response.objects.filter(
            project=run.project,
            prompt__project=run.project,  # named, or no index serves
            prompt__external_id__in=prompt_ids[start : start + 500],
            source__policy__in=list(done),
        )
        found += [
            response
            for response in sorted(responses.select_related("prompt"), key=attrgetter("pk"))
            if response.external_id.startswith(tuple(done.values()))
        ]
    return found
