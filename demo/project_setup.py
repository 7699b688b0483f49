"""The demo's project: people, prompts, demonstrations, pairs to judge before any policy exists."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.models import PromptSet, Source
from demo import constants, grammar
from policy_training.models import Policy
from rounds.actions import cancel_round
from rounds.models import Round
from runs.actions import cancel_run
from runs.models import Run
from workspace.accounts import create_machine_annotator, create_or_reset_account
from workspace.actions import create_project
from workspace.members import set_role
from workspace.models import Project, User
from workspace.naming import unique_name

NAME = "Kitchen helper"
QUESTION = "Which answer would you rather read?"
GUIDELINE = """\
You read a question about cooking and several answers to it.

- **On topic first.** An answer about another food than the one asked for helps nobody.
- Then **kindness**: a friendly opening is good, a rude sentence is bad.
- Then **substance**: a reason or a tip is worth more than empty phrases.
- Call it a **tie** when you would not mind which one you got.

The answers are written by small language models that were trained a minute ago on this computer.
"""


@dataclass(frozen=True)
class DemoProject:
    project: Project
    manager: User
    annotator: User
    manager_password: str
    annotator_password: str
    simulated: Sequence[User]
    policy_prompts: PromptSet
    evaluation_prompts: PromptSet


def cancel_earlier_demos() -> None:
    """What an interrupted demo left running would take this one's cores; its judgments and models stay."""
    earlier = Project.objects.filter(name__startswith=NAME)
    for round_ in Round.objects.open().filter(project__in=earlier):
        cancel_round(actor=round_.started_by, round_=round_)
    for run in Run.objects.active().filter(project__in=earlier):
        cancel_run(actor=run.requested_by, run=run)


@transaction.atomic
def create_demo_project(seed: int, size: constants.Size = constants.FULL) -> DemoProject:
    """A new project of the demo, with everything that needs no policy."""
    manager, manager_password = create_or_reset_account(username="demo-manager")
    annotator, annotator_password = create_or_reset_account(username="demo-annotator")
    name = unique_name(Project.objects.all(), NAME)
    project = create_project(
        actor=manager,
        name=name,
        question=QUESTION,
        guideline=GUIDELINE,
        description="A small world of cooking questions that shows the whole circle within minutes.",
        # The same seed holds the same prompts out, so that a demo can be repeated.
        split_salt=hashlib.sha256(f"demonstration:{seed}".encode()).hexdigest(),
    )
    set_role(actor=manager, project=project, user=annotator, role="annotator")
    simulated = [
        create_machine_annotator(actor=manager, project=project, name=username, kind=User.Kind.SIMULATED)
        for username in constants.SIMULATED_ANNOTATORS
    ]
    rng = random.Random(f"demonstration:{seed}")
    _add_demonstrations(manager, project, size.demonstrations, rng)
    policy_prompts = _add_prompts(manager, project, "policy", size.policy_prompts, rng)
    evaluation_prompts = _add_prompts(manager, project, "evaluation", size.evaluation_prompts, rng)
    _add_warm_up(manager, project, annotator, rng)
    return DemoProject(
        project,
        manager,
        annotator,
        manager_password,
        annotator_password,
        simulated,
        policy_prompts,
        evaluation_prompts,
    )


def _add_demonstrations(actor: User, project: Project, count: int, rng: random.Random) -> None:
    demonstrations = grammar.sample_demonstrations(count, rng)
    prompts = add_prompts(
        actor=actor,
        project=project,
        rows=[{"messages": demonstration.prompt.messages} for demonstration in demonstrations],
    )
    rows = [
        NewDemonstration(prompt=prompt, text=demonstration.response)
        for prompt, demonstration in zip(prompts, demonstrations, strict=True)
    ]
    add_demonstrations(actor=actor, project=project, rows=rows)


def _add_prompts(
    actor: User, project: Project, purpose: grammar.Purpose, count: int, rng: random.Random
) -> PromptSet:
    purposes = {"policy": PromptSet.Purpose.POLICY, "evaluation": PromptSet.Purpose.EVALUATION}
    prompt_set = get_or_create_prompt_set(
        actor=actor, project=project, name=f"{purpose} prompts", purpose=purposes[purpose]
    )
    rows = [{"messages": prompt.messages} for prompt in grammar.sample_prompts(purpose, count, rng)]
    add_prompts(actor=actor, project=project, rows=rows, prompt_set=prompt_set)
    return prompt_set


def _add_warm_up(actor: User, project: Project, annotator: User, rng: random.Random) -> None:
    """Pairs written by the grammar, for the annotator to judge while the base policy is trained."""
    drawn = grammar.sample_prompts("reward", constants.WARM_UP_PAIRS, rng)
    prompts = add_prompts(
        actor=actor, project=project, rows=[{"messages": prompt.messages} for prompt in drawn]
    )
    source = get_or_create_source(actor=actor, project=project, kind=Source.Kind.REFERENCE, name="grammar")
    pairs = [grammar.sample_pair(prompt.topic, rng) for prompt in drawn]
    responses = add_responses(
        actor=actor,
        project=project,
        rows=[
            NewResponse(prompt=prompt, source=source, text=text)
            for prompt, pair in zip(prompts, pairs, strict=True)
            for text in pair
        ],
    )
    batch = create_batch(
        actor=actor,
        project=project,
        criterion=project.criteria.get(),
        name="Warm-up",
        responses_per_task=2,
        priority=2,
    )
    tasks = [
        NewTask(prompt=prompt, responses=responses[2 * index : 2 * index + 2], reserved_for=annotator)
        for index, prompt in enumerate(prompts)
    ]
    add_tasks(actor=actor, batch=batch, tasks=tasks)
    open_batch(actor=actor, batch=batch)


def base_policy(demo: DemoProject) -> Policy | None:
    return Policy.objects.filter(project=demo.project, parent__isnull=True).first()
