"""Batches of many answers as runs of the worker: queued, gone on with, and cleared where they were given up."""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from annotation.assigning.actions import set_batch_audience
from annotation.batches.actions import create_batch
from annotation.batches.ratings import require_something_asked
from annotation.errors import InvalidBatch
from annotation.making.actions import (
    Audience,
    Watch,
    make_batch_from_answers,
    make_batch_in_chunks,
    require_own,
)
from annotation.making.finding import Answers
from annotation.models import Batch, Response, Task
from runs.actions import queue_run
from runs.models import Run
from runs.run_kinds import Resources, RunKind
from runs.site_environment import SITE_ENVIRONMENT
from workspace.actions import record_audit
from workspace.models import Criterion, Project, User

# Made within the request: a few seconds. Of more the worker does it.
PROMPTS_AT_ONCE = 5_000
ANSWERS_AT_ONCE = 20_000
TASKS_PER_TRANSACTION = 500

MAKE_BATCH = RunKind(
    name="make_batch",
    label="Making of a batch",
    command="annotation.making.process",
    build_inputs=lambda run: {},
    # The batch is there already, in transactions of its own.
    save_result=lambda run, result: None,
    resources=Resources(threads=1),
    environment=SITE_ENVIRONMENT,
)


def make_or_queue(
    *,
    actor: User,
    answers: Answers,
    criterion: Criterion,
    name: str,
    overlap: int | None = None,
    priority: int = 0,
    open_at_once: bool = False,
    audience: Audience | None = None,
) -> Batch | Run:
    """The batch, or the run that makes it where there are more than PROMPTS_AT_ONCE prompts or ANSWERS_AT_ONCE answers
    to look at. Raises InvalidBatch, InvalidAssigning.
    """
    wanted: dict[str, Any] = {
        "name": name,
        "overlap": overlap,
        "priority": priority,
        "open_at_once": open_at_once,
        "audience": dict(audience) if audience else None,
    }
    require_own(answers, criterion)
    if not _is_large(answers):
        return make_batch_from_answers(actor=actor, answers=answers, criterion=criterion, **wanted)
    _refuse_now(actor, answers, criterion, wanted)
    prompts = answers.prompt_set.prompts.count()
    return queue_run(
        actor=actor,
        project=answers.project,
        kind=MAKE_BATCH,
        title=f"Make the batch {name}",
        config={},
        parameters={
            **wanted,
            "criterion": criterion.pk,
            "prompt_set": answers.prompt_set.pk,
            "sources": [source.pk for source in answers.sources],
            "prompts": answers.prompts,
            "most": answers.most,
            "skip_asked": answers.skip_asked,
            "prompts_to_read": prompts if answers.prompts is None else min(prompts, answers.prompts),
        },
    )


def _is_large(answers: Answers) -> bool:
    members = answers.prompt_set.prompts
    prompts = PROMPTS_AT_ONCE + 1 if answers.prompts is None else min(answers.prompts, PROMPTS_AT_ONCE + 1)
    keys = list(members.order_by("pk").values_list("pk", flat=True)[:prompts])
    if len(keys) > PROMPTS_AT_ONCE:
        return True
    found = 0
    for start in range(0, len(keys), 500):
        responses = Response.objects.filter(prompt__in=keys[start : start + 500])
        if answers.sources:
            responses = responses.filter(source__in=answers.sources)
        found += responses[: ANSWERS_AT_ONCE + 1 - found].count()
        if found > ANSWERS_AT_ONCE:
            return True
    return False


def _refuse_now(actor: User, answers: Answers, criterion: Criterion, wanted: dict[str, Any]) -> None:
    """What the run would refuse at its beginning, by beginning and undoing it. Raises ActionError."""
    with transaction.atomic():
        batch = create_batch(
            actor=actor,
            project=answers.project,
            criterion=criterion,
            name=wanted["name"],
            responses_per_task=answers.most,
            overlap=wanted["overlap"],
            priority=wanted["priority"],
        )
        if wanted["audience"]:
            set_batch_audience(actor=actor, batch=batch, **wanted["audience"])
        if wanted["open_at_once"]:
            require_something_asked(batch)
        transaction.set_rollback(True)


def make_of_run(run: Run, watch: Watch) -> Batch:
    """Raises ActionError, also where what was chosen is not there any more."""
    clear_given_up(project=run.project)
    asked = run.parameters
    project = run.project
    criterion = project.criteria.filter(pk=asked["criterion"]).first()
    prompt_set = project.prompt_sets.filter(pk=asked["prompt_set"]).first()
    sources = list(project.sources.filter(pk__in=asked["sources"]))
    if criterion is None or prompt_set is None or len(sources) < len(asked["sources"]):
        raise InvalidBatch(
            "The criterion, the prompt set or a source was removed while the batch waited to be made: choose again.",
            code="gone",
        )
    return make_batch_in_chunks(
        run=run,
        answers=Answers(
            project=project,
            prompt_set=prompt_set,
            sources=sources,
            prompts=asked["prompts"],
            most=asked["most"],
            skip_asked=asked["skip_asked"],
        ),
        criterion=criterion,
        name=asked["name"],
        overlap=asked["overlap"],
        priority=asked["priority"],
        open_at_once=asked["open_at_once"],
        audience=asked["audience"],
        watch=watch,
    )


def batch_of_run(run: Run) -> Batch | None:
    """What it made, once it is whole."""
    made: Batch | None = run.batches.filter(visible=True).first()
    return made


def being_made(project: Project) -> QuerySet[Run]:
    found: QuerySet[Run] = project.runs.active().filter(kind=MAKE_BATCH.name).order_by("-pk")
    return found


def clear_given_up(*, project: Project | None = None) -> int:
    """Deletes what runs left that were cancelled or failed, some hundred tasks at a time; how many batches went.

    A run that is started again meanwhile goes on from what is left: the last tasks go first.
    """
    left = Batch.objects.filter(visible=False, run__isnull=False).exclude(run__in=Run.objects.active())
    if project is not None:
        left = left.filter(project=project)
    keys: Collection[tuple[int, int]] = list(left.order_by("pk").values_list("pk", "run_id"))
    return sum(_clear(batch, run) for batch, run in keys)


def _clear(key: int, run_key: int) -> bool:
    while True:
        with transaction.atomic():
            run = Run.objects.select_for_update(no_key=True).get(pk=run_key)
            batch = Batch.objects.select_for_update(no_key=True).filter(pk=key, visible=False).first()
            if batch is None or not run.is_finished:
                return False
            tasks = Task.objects.filter(batch=batch).order_by("-prompt_id", "-pk")
            last = list(tasks.values_list("prompt_id", flat=True)[:TASKS_PER_TRANSACTION])
            if last:
                # Whole prompts: a run that goes on looks for the last prompt that has tasks.
                Task.objects.filter(batch=batch, prompt__gte=last[-1]).delete()
                continue
            record_audit(
                actor=run.requested_by, action="batch.clear", project=batch.project, target=batch, run=run.pk
            )
            batch.delete()
            return True
