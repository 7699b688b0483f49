"""A reward model beside a dataset: the command's run is the form's, and what the trainer finds stands on its page."""

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.urls import reverse

from annotation.datasets.actions import freeze_dataset
from annotation.models import Prompt
from learning.interface.run_directory import RunDirectory
from rewardmodel.actions import evaluate_reward_model
from rewardmodel.model_card import reward_model_card
from rewardmodel.models import RewardModel, RewardModelEvaluation
from rewardmodel.run_kinds import EVALUATE
from rewardmodel.training import evaluate
from rewardmodel.training.config import EvaluateConfig
from runs.models import Artifact, Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import (  # noqa: F401
    in_process,
    policy_path,
    reward_model_path,
    tokenizer,
)
from tests.rewardmodel.test_actions import judge  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def dataset(judge, project, max_):  # noqa: F811
    for split in ("train", "validation", "validation"):
        judge(split, tie=False)
    return freeze_dataset(actor=max_, project=project, name="tea", purposes=["normal"])


@pytest.fixture
def model(dataset, project, max_, reward_model_path):  # noqa: F811
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", title="Train taste", requested_by=max_,
        config={"preset": "tiny", "batch": {"max_prompt_tokens": 40, "max_response_tokens": 20}},
    )  # fmt: skip
    artifact = Artifact.objects.create(
        project=project, kind="reward_model", path=str(reward_model_path), sha256="0" * 64, size_bytes=1
    )
    return RewardModel.objects.create(
        project=project, name="taste", artifact=artifact, dataset=dataset, produced_by=run
    )


def test_command_and_form_ask_the_same_and_the_result_stands_on_the_page(client, model, dataset, max_, ruth):
    client.force_login(max_)
    address = reverse("reward_models:evaluate", args=["kitchen"])
    run = started(
        client.post(address, shown(client, address, reward_model=model.pk) | {"dataset": dataset.pk})
    )
    call_command("evaluate_reward_model", "kitchen", "taste", "--dataset", "tea", verbosity=0)
    assert same(run, Run.objects.latest("pk"))
    assert run.config["batch"] == {"max_prompt_tokens": 40, "max_response_tokens": 20}  # as it was trained
    directory = RunDirectory.create(
        run.path, command=EVALUATE.command, config=run.config, inputs=EVALUATE.build_inputs(run)
    )
    result = in_process(evaluate, EvaluateConfig, directory)
    for _ in range(2):  # a worker may be told twice
        EVALUATE.save_result(run, result)
    evaluation = RewardModelEvaluation.objects.get()
    assert (evaluation.reward_model, evaluation.dataset, evaluation.split) == (model, dataset, "validation")
    assert evaluation.report["n"] == 2  # two judgments of two answers
    client.force_login(ruth)
    page = client.get(reverse("reward_models:reward_model", args=["kitchen", model.pk])).content.decode()
    assert f"{100 * evaluation.report['accuracy']:.1f} % of 2 held-out pairs" in page
    own_page = reverse("reward_models:evaluation", args=["kitchen", evaluation.pk])
    assert own_page in page and 'id="curves"' in page
    figures = client.get(own_page).content.decode()
    assert f"{100 * evaluation.report['accuracy']:.1f} % of 2 held-out pairs" in figures
    assert "How sure, how right" in figures and "How far apart" in figures
    assert reverse("runs:run", args=["kitchen", run.pk]) + "#samples-heading" in figures
    Run.objects.filter(pk=run.pk).update(state="done", started_at=Now(), finished_at=Now())
    assert own_page in client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert client.get(own_page.replace("kitchen", "elsewhere")).status_code == 404


def test_how_far_apart_the_pairs_are_is_drawn(client, model, ruth):
    client.force_login(ruth)
    address = reverse("reward_models:reward_model", args=["kitchen", model.pk])
    assert "How far apart" not in client.get(address).content.decode()  # trained before there were margins
    model.report = {"margins": [-1.0, 0.5, 3.0], "wrong_pairs": 1, "wrong_pairs_longer": 1.0}
    model.save()
    found = client.get(address)
    page = found.content.decode()
    assert "Differences of 3 pairs: mean 0.83, median 0.50, from -1.00 to 3.00" in page
    assert "1 pairs the other way round" in page and "in 100 % of which the model prefers the longer" in page
    assert found.context["margins"].zero_x == "25.00"


def test_a_split_without_judgments_is_refused_at_once(model, dataset):
    said = refused("evaluate_reward_model", "kitchen", "taste", "--dataset", "tea", "--split", "test")
    assert said == "The dataset “tea” has no judgment of the split test: choose another."
    assert "no reward model “x”" in refused("evaluate_reward_model", "kitchen", "x", "--dataset", "tea")
    said = refused("evaluate_reward_model", "kitchen", "taste", "--dataset", "tea", "--set", "split=[1]")
    assert said.startswith("config.split")
    assert Run.objects.count() == 1  # its training


def test_tags_of_prompts_reach_the_figures_the_page_and_the_card(client, model, dataset, project, max_, ruth):
    """One of the two held-out prompts is tagged; a prompt of another split, tagged too, is no part of it."""
    heldout = list(Prompt.objects.filter(tasks__isnull=False, split="validation").order_by("pk"))
    Prompt.objects.filter(pk=heldout[0].pk).update(tags=["tea | time"])
    Prompt.objects.filter(split="train").update(tags=["elsewhere"])
    run = evaluate_reward_model(actor=max_, project=project, reward_model=model, dataset=dataset)
    directory = RunDirectory.create(
        run.path, command=EVALUATE.command, config=run.config, inputs=EVALUATE.build_inputs(run)
    )
    result = in_process(evaluate, EvaluateConfig, directory)
    assert {tag: figures["n"] for tag, figures in result["by_tag"].items()} == {"tea | time": 1, "": 1}
    model.report = result
    model.save()
    client.force_login(ruth)
    page = client.get(reverse("reward_models:reward_model", args=["kitchen", model.pk])).content.decode()
    assert 'dir="auto">tea | time</th><td>1 <span class="badge-state">few</span>' in page
    assert r"| tea \| time | 1 (few) |" in reward_model_card(model)
