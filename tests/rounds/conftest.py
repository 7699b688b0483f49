"""A project whose policy and prompts are rows without weights: enough for everything that does not train."""

import pytest
from django.utils import timezone

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import (
    NewResponse,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.models import PreferenceDataset, Source
from policy_training.models import Policy
from rewardmodel.models import RewardModel
from rounds.actions import start_round
from rounds.models import Round, Stage
from rounds.plans import preset_plan
from rounds.stages.transitions import enter_stage
from runs.models import Artifact, Run


@pytest.fixture
def make_policy(project):
    def make(name: str, parent: Policy | None = None) -> Policy:
        artifact = Artifact.objects.create(
            project=project, kind=Artifact.Kind.POLICY, path=f"models/{name}", sha256="0" * 64, size_bytes=1
        )
        source = get_or_create_source(
            actor=project.memberships.first().user, project=project, kind=Source.Kind.POLICY, name=name
        )
        return Policy.objects.create(
            project=project, name=name, artifact=artifact, source=source, parent=parent
        )

    return make


@pytest.fixture
def policy(make_policy):
    return make_policy("base")


@pytest.fixture
def prompt_set(project, max_):
    prompt_set = get_or_create_prompt_set(actor=max_, project=project, name="questions", purpose="policy")
    rows = [{"messages": [{"role": "user", "content": f"Question number {n}?"}]} for n in range(12)]
    add_prompts(actor=max_, project=project, rows=rows, prompt_set=prompt_set)
    return prompt_set


@pytest.fixture
def annotating_round(project, criterion, policy, prompt_set, max_):
    """A round at its annotation, with four tasks."""
    round_ = start_round(
        actor=max_,
        project=project,
        criterion=criterion,
        start_policy=policy,
        prompt_set=prompt_set,
        plan=preset_plan("tiny"),
    )
    batch = create_batch(
        actor=max_,
        project=project,
        criterion=criterion,
        name="Round 1",
        responses_per_task=2,
        round_number=round_.number,
    )
    prompts = list(prompt_set.prompts.all()[:4])
    source = Source.objects.get(project=project)
    rows = [NewResponse(prompt=p, source=source, text=f"{n}") for p in prompts for n in range(2)]
    responses = add_responses(actor=max_, project=project, rows=rows)
    tasks = [NewTask(prompt=p, responses=responses[2 * n : 2 * n + 2]) for n, p in enumerate(prompts)]
    add_tasks(actor=max_, batch=batch, tasks=tasks)
    batch = open_batch(actor=max_, batch=batch)
    enter_stage(round_, Stage.ANNOTATING, "the samples are there", batch=batch)
    return round_


@pytest.fixture
def begin(project, criterion, policy, prompt_set, max_):
    def begin(**changes):
        asked = {
            "actor": max_,
            "project": project,
            "criterion": criterion,
            "start_policy": policy,
            "prompt_set": prompt_set,
            "plan": preset_plan("tiny"),
        }
        return start_round(**{**asked, **changes})

    return begin


@pytest.fixture
def finish_round(make_policy, max_):
    """Carries a round to its end, its reward model and new policy being rows without weights."""

    def finish(round_: Round) -> Round:
        project, name = round_.project, f"round {round_.number}"
        artifact = Artifact.objects.create(
            project=project, kind="reward_model", path=f"models/{name}", sha256="0" * 64, size_bytes=1
        )
        dataset = PreferenceDataset.objects.create(
            project=project, name=name, criterion=round_.criterion, directory=name, created_by=max_
        )
        round_.reward_model = RewardModel.objects.create(
            project=project,
            name=name,
            artifact=artifact,
            dataset=dataset,
            produced_by=Run.objects.create(
                project=project, kind="rewardmodel.train", title=name, config={}, requested_by=max_
            ),
        )
        round_.reward_model.criteria.add(round_.criterion)
        round_.new_policy = make_policy(name, parent=round_.start_policy)
        round_.new_policy.produced_by = Run.objects.create(
            project=project, kind="policy.ppo", title=name, config={}, requested_by=max_
        )
        round_.new_policy.save()
        round_.save()
        enter_stage(round_, Stage.DONE, "the new policy is ready", finished_at=timezone.now())
        return round_

    return finish
