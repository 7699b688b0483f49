"""DPO from the page, the command and the API: the same run, and a policy that says which judgments it learned from."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.models import PreferenceDataset
from policy_training.models import Policy
from policy_training.run_kinds import DPO
from runs.models import Artifact, Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_forms import base, judged  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def address(project):
    return reverse("policies:dpo", args=[project.slug])


@pytest.mark.parametrize("preset", ["tiny", "dpo_paper", "dpo_zephyr", "dpo_llama3", "lora"])
def test_judgments_of_now_by_a_preset_are_what_the_command_stores(client, judged, max_, address, preset):  # noqa: F811
    client.force_login(max_)
    sent = shown(client, address, preset=preset) | {"name": "liked", "start": judged.pk}
    run = started(client.post(address, sent))
    call_command("train_dpo", "kitchen", "liked", "--start", "base", "--preset", preset, verbosity=0)
    assert same(run, Run.objects.latest("pk"))
    assert PreferenceDataset.objects.count() == 1  # the same judgments are frozen once
    assert run.config["reference"] == run.config["model"]["source"]


def test_a_dataset_a_reference_and_changed_values_too(client, judged, project, max_, address):  # noqa: F811
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="models/older", sha256="1" * 64, size_bytes=1
    )
    older = Policy.objects.create(
        project=project,
        name="older",
        artifact=artifact,
        source=project.sources.create(kind="policy", name="older"),
    )
    dataset = freeze_dataset(actor=max_, project=project, name="tea")
    client.force_login(max_)
    changed = {
        "name": "liked", "start": judged.pk, "reference": older.pk, "dataset": dataset.pk, "objective.beta": "0.3",
        "objective.loss": "soft_labels", "objective.sft_coefficient": "0.2", "data.epochs": "3", "consensus": "on",
    }  # fmt: skip
    run = started(client.post(address, shown(client, address) | changed))
    call_command(
        "train_dpo", "kitchen", "liked", "--start", "base", "--reference", "older", "--dataset", "tea", "--consensus",
        "--set", "objective.beta=0.3", "objective.loss=soft_labels", "objective.sft_coefficient=0.2",
        "data.epochs=3", verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    assert run.config["reference"]["path"].endswith("models/older")
    # Shown again, the values are the run's.
    assert client.get(address, {"run": run.pk}).context["form"]["objective.beta"].value() == "0.3"


def test_what_does_not_fit_is_refused_in_the_commands_words(client, judged, max_, address):  # noqa: F811
    client.force_login(max_)
    sent = {"name": "liked", "start": judged.pk, "objective.beta": "0"}
    answer = client.post(address, shown(client, address) | sent)
    sentence = "config.objective: beta must be positive, found 0"
    assert answer.status_code == 422 and answer.context["form"].errors["objective.beta"]
    said = refused("train_dpo", "kitchen", "liked", "--start", "base", "--set", "objective.beta=0")
    assert said.startswith(sentence)
    assert "no policy “nobody”" in refused("train_dpo", "kitchen", "liked", "--start", "nobody")
    assert "There is a policy named “base”" in refused("train_dpo", "kitchen", "base", "--start", "base")
    assert not Run.objects.exists() and not PreferenceDataset.objects.exists()


@pytest.mark.parametrize("command", ["train_dpo", "train_reward_model"])
def test_a_refused_training_leaves_no_dataset_behind(judge, base, max_, project, command):  # noqa: F811
    for _ in range(2):
        judge("train", tie=True)
    asked = (command, "kitchen", "liked", "--start", "base")
    assert "0 usable comparisons of 2 in the split train" in refused(*asked)
    assert not PreferenceDataset.objects.exists()
    earlier = freeze_dataset(actor=max_, project=project, purposes=TRAINING_PURPOSES)
    refused(*asked)
    assert PreferenceDataset.objects.get() == earlier


def test_the_policy_says_which_judgments_it_learned_from(client, judged, project, max_):  # noqa: F811
    call_command("train_dpo", "kitchen", "liked", "--start", "base", verbosity=0)
    run = Run.objects.get()
    inputs = DPO.build_inputs(run)
    rows = list(inputs["comparisons"][0])
    assert {row["split"] for row in rows} == {
        "train",
        "validation",
    }  # the test split is never shown to a trainer
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="runs/1/model", sha256="2" * 64, size_bytes=1, produced_by=run
    )
    report = {"steps": 4, "loss_before": 0.69, "loss_after": 0.5, "accuracy_after": 0.75}
    for _ in range(2):  # a result may be saved again after a crash
        DPO.save_result(run, report)
    policy = Policy.objects.get(name="liked")
    dataset = PreferenceDataset.objects.get()
    assert (policy.artifact, policy.parent, policy.dataset) == (artifact, judged, dataset)
    client.force_login(max_)
    page = client.get(reverse("policies:policy", args=["kitchen", policy.pk])).content.decode()
    assert "Learned from the judgments of" in page and dataset.label in page and "75 %" in page
    assert dataset.filters["content_sha256"] in page  # on its card
    page = client.get(reverse("data:dataset", args=["kitchen", dataset.pk])).content.decode()
    assert reverse("policies:policy", args=["kitchen", policy.pk]) in page
    dataset_row = client.get(reverse("policies:list", args=["kitchen"])).content.decode()
    assert dataset.name in dataset_row
