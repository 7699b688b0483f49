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


def at_annotation(round_, criterion, max_, **fields):
    batch = create_batch(
        actor=max_, project=round_.project, criterion=criterion, name="Round 1", round_number=1
    )
    prompt = round_.prompt_set.prompts.first()
    rows = [NewResponse(prompt=prompt, source=round_.start_policy.source, text=text) for text in ("a", "b")]
    pair = add_responses(actor=max_, project=round_.project, rows=rows)
    add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=prompt, responses=pair)])
    open_batch(actor=max_, batch=batch)
    with transaction.atomic():
        enter_stage(round_, Stage.ANNOTATING, "ready", batch=batch, **fields)
    return batch


def judge_elsewhere(round_, criterion, manager, annotator, count=2):
    """Judgments from elsewhere (an import, an earlier round) on prompts of the train side."""
    batch = create_batch(actor=manager, project=round_.project, criterion=criterion, name="Earlier")
    prompts = round_.prompt_set.prompts.filter(split="train")[:count]
    rows = [
        NewResponse(prompt=prompt, source=round_.start_policy.source, text=text)
        for prompt in prompts
        for text in ("better", "worse")
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
                idempotency_key=f"earlier-{n}",
            )
            for n, task in enumerate(tasks)
        ],
    )


def judge_next(actor, project):
    submit_judgment(
        actor=actor,
        assignment=claim_task(actor=actor, project=project),
        content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[2], seconds=3.0),
        idempotency_key="first-answer",
    )
