"""A batch made of answers that are there already: within the request where that is soon done, else by the worker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext

from annotation.assigning.actions import set_batch_audience
from annotation.batches.actions import (
    NewTask,
    add_tasks,
    add_tasks_in_chunks,
    create_batch,
    open_batch,
    publish_batch,
)
from annotation.batches.ratings import require_something_asked
from annotation.errors import InvalidBatch
from annotation.making.finding import (
    MAX_ANSWERS,
    Answers,
    Found,
    FoundKeys,
    count_tasks,
    find_tasks,
    nothing_found,
    prompt_pages,
)
from annotation.models import Batch, Prompt, Response
from runs.models import Run
from workspace.access import require_of_project
from workspace.models import Criterion, User
from workspace.naming import unique_name
from workspace.write_turns import Turns

Audience = Mapping[str, Any]  # the arguments of set_batch_audience that say who
Watch = Callable[[str, int], None]  # stage, prompts of it that are done


def make_batch_from_answers(
    *,
    actor: User,
    answers: Answers,
    criterion: Criterion,
    name: str,
    overlap: int | None = None,
    priority: int = 0,
    open_at_once: bool = False,
    audience: Audience | None = None,
) -> Batch:
    """A draft batch with a task for each prompt that has two different answers or more; with `answers.most` 1, for each
    answer; in one transaction. Raises InvalidBatch, InvalidAssigning.
    """
    require_own(answers, criterion)
    with transaction.atomic():
        # Two that leave out what is asked already, at once, would both ask the same: the second waits for the first.
        criterion = Criterion.objects.select_for_update(no_key=True).get(pk=criterion.pk)
        found = count_tasks(answers, criterion)
        if not found.tasks:
            raise InvalidBatch(nothing_found(found, answers), code="no_answers")
        batch = create_batch(
            actor=actor,
            project=answers.project,
            criterion=criterion,
            name=name,
            responses_per_task=found.largest,
            overlap=overlap,
            priority=priority,
        )
        if audience:
            set_batch_audience(actor=actor, batch=batch, **audience)
        add_tasks_in_chunks(actor=actor, batch=batch, chunks=_chunks(answers, criterion))
        if open_at_once:
            open_batch(actor=actor, batch=batch)
        return Batch.objects.select_related("project", "criterion").get(pk=batch.pk)


def require_own(answers: Answers, criterion: Criterion) -> None:
    """Raises InvalidBatch for what is of another project, and for a number of answers that no task can show."""
    require_of_project(answers.project, criterion, answers.prompt_set, *answers.sources, error=InvalidBatch)
    if not 1 <= answers.most <= MAX_ANSWERS:
        raise InvalidBatch(
            gettext("A task shows 1 to %(most)d answers.") % {"most": MAX_ANSWERS},
            fields={"most": f"1 to {MAX_ANSWERS}"},
        )


def make_batch_in_chunks(
    *,
    run: Run,
    answers: Answers,
    criterion: Criterion,
    name: str,
    overlap: int | None,
    priority: int,
    open_at_once: bool,
    audience: Audience | None,
    watch: Watch,
) -> Batch:
    """The same for a run, a transaction a page of prompts, in a batch that nobody sees before its last task is in.

    Called again after a kill it goes on behind the last prompt whose tasks are in. Raises InvalidBatch,
    InvalidAssigning, and whatever `watch` raises.
    """
    actor = run.requested_by
    batch = run.batches.first()
    if batch is None:
        batch = _begin(
            run=run,
            answers=answers,
            criterion=criterion,
            name=name,
            overlap=overlap,
            priority=priority,
            open_at_once=open_at_once,
            audience=audience,
            watch=watch,
        )
    if batch.visible:
        return batch
    # More answers may have come since they were counted.
    fitting = replace(answers, most=batch.responses_per_task)
    found, turns = Found(), Turns()
    after = batch.tasks.aggregate(last=Max("prompt"))["last"] or 0
    done = answers.prompt_set.prompts.filter(pk__lte=after).count() if after else 0
    watch("making tasks", done)
    for page in prompt_pages(fitting, after=after):
        with turns.writing(), transaction.atomic():
            # As above: who comes second finds the tasks of this page.
            Criterion.objects.select_for_update(no_key=True).get(pk=criterion.pk)
            if tasks := find_tasks(fitting, criterion, page, found):
                add_tasks(actor=actor, batch=batch, tasks=_new_tasks(tasks))
        done += len(page)
        watch("making tasks", done)
    if not batch.tasks.exists():
        raise InvalidBatch(nothing_found(found, fitting), code="no_answers")
    with transaction.atomic():
        batch = publish_batch(
            actor=actor, batch=batch, name=unique_name(run.project.batches.exclude(pk=batch.pk), name[:110])
        )
        return open_batch(actor=actor, batch=batch) if open_at_once else batch


def _begin(
    *,
    run: Run,
    answers: Answers,
    criterion: Criterion,
    name: str,
    overlap: int | None,
    priority: int,
    open_at_once: bool,
    audience: Audience | None,
    watch: Watch,
) -> Batch:
    counted = 0

    def count(prompts: int) -> None:
        nonlocal counted
        counted += prompts
        watch("looking for answers", counted)

    require_own(answers, criterion)
    watch("looking for answers", 0)
    found = count_tasks(answers, criterion, watch=count)
    if not found.tasks:
        raise InvalidBatch(nothing_found(found, answers), code="no_answers")
    with transaction.atomic():
        batch = create_batch(
            actor=run.requested_by,
            project=answers.project,
            criterion=criterion,
            name=f"{name[:80]} (unfinished, run {run.pk})",
            responses_per_task=found.largest,
            overlap=overlap,
            priority=priority,
            visible=False,
            run=run,
        )
        if open_at_once:
            require_something_asked(batch)
        if audience:
            set_batch_audience(actor=run.requested_by, batch=batch, **audience)
    return batch


def _chunks(answers: Answers, criterion: Criterion) -> Iterator[list[NewTask]]:
    for page in prompt_pages(answers):
        if tasks := find_tasks(answers, criterion, page, Found()):
            yield _new_tasks(tasks)


def _new_tasks(found: Sequence[FoundKeys]) -> list[NewTask]:
    """With what a new task needs of its prompt and responses, not their texts."""
    prompts = Prompt.objects.only("pk", "project_id").in_bulk([prompt for prompt, _ in found])
    keys = [response for _, chosen in found for response in chosen]
    responses = Response.objects.only("pk", "prompt_id").in_bulk(keys)
    return [
        NewTask(prompt=prompts[prompt], responses=[responses[key] for key in chosen])
        for prompt, chosen in found
    ]
