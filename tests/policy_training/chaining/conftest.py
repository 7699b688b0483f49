"""A project with all that the six recipes need, and a run that makes the policy they start from. Rows, no weights."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.datasets.actions import freeze_dataset
from annotation.importing.contents.actions import import_demonstrations, import_texts
from annotation.models import PromptSet
from policy_training.actions import train_sft
from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.models import Policy
from policy_training.registry import add_policy
from policy_training.rewarded.actions import ppo_config
from policy_training.supervised.options import language_model_config
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run
from runs.states import RunState
from tests.policy_training.test_forms import shown
from tests.rewardmodel.test_actions import judge  # noqa: F401

PAGES = {
    Recipe.SFT: "fine_tune",
    Recipe.PRETRAIN: "pretrain",
    Recipe.PPO: "ppo",
    Recipe.POLICY_GRADIENT: "policy_gradient",
    Recipe.BEST_OF_N: "best_of_n",
    Recipe.DPO: "dpo",
}
COMMANDS = {
    recipe: name if recipe in (Recipe.SFT, Recipe.PRETRAIN) else f"train_{name}"
    for recipe, name in PAGES.items()
}
API = {
    Recipe.SFT: "policies/fine-tune",
    Recipe.PRETRAIN: "policies/pretrain",
    Recipe.PPO: "policy-trainings/ppo",
    Recipe.POLICY_GRADIENT: "policy-trainings/policy-gradient",
    Recipe.BEST_OF_N: "policy-trainings/best-of-n",
    Recipe.DPO: "policy-trainings/dpo",
}
REWARDED = (Recipe.PPO, Recipe.POLICY_GRADIENT, Recipe.BEST_OF_N)


@pytest.fixture
def kitchen(project, max_, judge, write_rows):  # noqa: F811
    """Judgments, demonstrations, a text, a reward model and a prompt set to train on."""
    for split in ("train", "train", "validation"):
        judge(split, tie=False)
    rows = [{"prompt": f"Question about {n}?", "response": f"Answer {n}."} for n in range(6)]
    import_demonstrations(actor=max_, project=project, path=write_rows(rows, "shown.jsonl"))
    texts = write_rows([{"text": "Salt is salt.", "split": "train"}], "texts.jsonl")
    import_texts(actor=max_, project=project, path=texts, licence="CC0")
    prompt_set = PromptSet.objects.create(project=project, name="asked", purpose="policy")
    prompt_set.prompts.set(project.prompts.filter(split="train")[:5])
    artifact = Artifact.objects.create(
        project=project, kind="reward_model", path="models/taste", sha256="0" * 64, size_bytes=1
    )
    dataset = freeze_dataset(actor=max_, project=project, purposes=["normal"])
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", title="Train taste", config={}, requested_by=max_
    )
    RewardModel.objects.create(
        project=project, name="taste", artifact=artifact, dataset=dataset, produced_by=run
    )
    return project


@pytest.fixture
def first(kitchen, max_):
    """The run that makes the policy “first”."""
    config = language_model_config("tiny")
    return train_sft(actor=max_, project=kitchen, name="first", config=config)


@pytest.fixture
def ask_ppo(kitchen, max_):
    """PPO that waits for the policy of `before`, asked for as the action takes it."""

    def ask(before, name="second", **changed):
        return start_or_chain(
            Recipe.PPO,
            actor=max_,
            project=kitchen,
            name=name,
            start=before,
            reward_model=kitchen.reward_models.get(),
            prompt_set=kitchen.prompt_sets.get(name="asked"),
            config=ppo_config("tiny"),
            **changed,
        )

    return ask


def make_policy(run: Run) -> Policy:
    """As if a worker had carried the run out."""
    Run.objects.filter(pk=run.pk).update(state=RunState.DONE, error="", finished_at=timezone.now())
    artifact = Artifact.objects.create(
        project=run.project,
        produced_by=run,
        kind="policy",
        path=f"runs/{run.directory}/model",
        sha256="1" * 64,
        size_bytes=1,
    )
    return add_policy(
        actor=run.requested_by,
        project=run.project,
        name=run.parameters["name"],
        artifact=artifact,
        produced_by=run,
    )


def ask_by_page(client, project, recipe, name, start):
    address = reverse(f"policies:{PAGES[recipe]}", args=[project.slug])
    sent = shown(client, address) | {"name": name, "start": start}
    if recipe in REWARDED:
        sent |= {
            "reward_model": project.reward_models.get().pk,
            "prompt_set": project.prompt_sets.get(name="asked").pk,
        }
    return client.post(address, sent)


def ask_by_program(client, project, recipe, name, **start):
    body = {"name": name, **start}
    if recipe in REWARDED:
        body |= {
            "reward_model": project.reward_models.get().pk,
            "prompt_set": project.prompt_sets.get(name="asked").pk,
        }
    address = f"/api/v1/projects/{project.slug}/{API[recipe]}"
    return client.post(address, json.dumps(body), content_type="application/json")


def command_of(recipe, name, *start):
    rewarded = ("--reward-model", "taste", "--prompt-set", "asked") if recipe in REWARDED else ()
    return (COMMANDS[recipe], "kitchen", name, *start, *rewarded)
