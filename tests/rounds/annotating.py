"""Brings a round to its annotation, and judgments for it."""

from django.db import transaction

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import (
    NewResponse,
    add_responses,
)
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.queue.actions import claim_task
from rounds.models import Stage
from rounds.stages.transitions import enter_stage


def at_annotation(round_, criterion, max_, *, pairs=1, overlap=None, **fields):
    batch = create_batch(
        actor=max_,
        project=round_.project,
        criterion=criterion,
        name=f"Round {round_.number}",
        round_number=round_.number,
        overlap=overlap,
    )
    prompts = round_.prompt_set.prompts.filter(split="train")[:pairs]
    rows = [
        NewResponse(prompt=prompt, source=round_.start_policy.source, text=text)
        for prompt in prompts
        for text in ("a", "b")
    ]
    responses = add_responses(actor=max_, project=round_.project, rows=rows)
    add_tasks(
        actor=max_,
        batch=batch,
        tasks=[NewTask(prompt=p, responses=responses[2 * n : 2 * n + 2]) for n, p in enumerate(prompts)],
    )
    open_batch(actor=max_, batch=batch)
    with transaction.atomic():
        enter_stage(round_, Stage.ANNOTATING, "ready", batch=batch, **fields)
    return batch


def judge_elsewhere(round_, criterion, manager, annotator, count=2, name="Earlier"):
    """Judgments from elsewhere (an import, an earlier round) on prompts of the train side."""
    batch = create_batch(actor=manager, project=round_.project, criterion=criterion, name=name)
    prompts = round_.prompt_set.prompts.filter(split="train")[:count]
    rows = [
        NewResponse(prompt=prompt, source=round_.start_policy.source, text=text)
        for prompt in prompts
        for text in (f"better, {name}", f"worse, {name}")
    ]
    responses = add_responses(actor=manager, project=round_.project, rows=rows)
    tasks = add_tasks(
        actor=manager,
        batch=batch,
        tasks=[
            NewTask(prompt=prompt, responses=responses[2 * n : 2 * n + 2]) for n, prompt in enumerate(prompts)
        ],
    )
    add_judgments(
        actor=manager,
        batch=batch,
        rows=[
            NewJudgment(
                task=task,
                annotator=annotator,
                tiers=[[responses[2 * n].pk], [responses[2 * n + 1].pk]],
                strengths=[2],
                idempotency_key=f"elsewhere-{name}-{n}",
            )
            for n, task in enumerate(tasks)
        ],
    )


def judge_next(actor, project, *, tie=False):
    assignment = claim_task(actor=actor, project=project)
    tiers, strengths = ([["A", "B"]], []) if tie else ([["A"], ["B"]], [2])
    return submit_judgment(
        actor=actor,
        assignment=assignment,
        content=JudgmentInput(tiers=tiers, strengths=strengths, seconds=3.0),
        idempotency_key=f"answer-{assignment.pk}",
    )
