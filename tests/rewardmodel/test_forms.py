"""The form that trains a reward model stores what the command stores."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.datasets.actions import freeze_dataset
from annotation.models import PreferenceDataset, Task
from policy_training.models import Policy
from runs.models import Artifact, Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.rewardmodel.test_actions import judge  # noqa: F401
from workspace.actions import add_criterion

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def base(project):
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="models/base", sha256="0" * 64, size_bytes=1
    )
    source = project.sources.get(name="base")
    return Policy.objects.create(project=project, name="base", artifact=artifact, source=source)


@pytest.fixture
def judged(judge, base):  # noqa: F811
    for split in ("train", "train", "train", "validation", "test"):
        judge(split, tie=False)
    return base


@pytest.fixture
def address(project):
    return reverse("reward_models:train", args=[project.slug])


@pytest.mark.parametrize("preset", ["tiny", "llama2", "secrets"])
def test_judgments_of_now_by_a_preset_are_what_the_command_stores(client, judged, max_, address, preset):
    client.force_login(max_)
    sent = shown(client, address, preset=preset) | {"name": "taste", "start": judged.artifact_id}
    run = started(client.post(address, sent))
    call_command("train_reward_model", "kitchen", "taste", "--start", "base", "--preset", preset, verbosity=0)
    assert same(run, Run.objects.latest("pk"))
    assert PreferenceDataset.objects.count() == 1  # the same judgments are frozen once


def test_a_choice_of_judgments_and_changed_values_are_what_the_command_stores(client, judged, max_, address):
    client.force_login(max_)
    batch = judged.project.batches.get()
    changed = {
        "name": "taste", "start": judged.artifact_id, "batches": [batch.pk], "consensus": "on", "processes": 2,
        "annotator_kinds": ["person", "ai"], "data.epochs": "2", "objective.margin": "large",
        "objective.strength_weighted": "true",
    }  # fmt: skip
    run = started(client.post(address, shown(client, address) | changed))
    call_command(
        "train_reward_model", "kitchen", "taste", "--start", "base", "--batch", batch.name, "--consensus",
        "--processes", "2", "--annotator-kinds", "person", "ai", "--set", "data.epochs=2", "objective.margin=large",
        "objective.strength_weighted=true", verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))


def test_a_frozen_dataset_is_what_the_command_stores(client, judged, project, max_, address):
    dataset = freeze_dataset(actor=max_, project=project, name="tea")
    client.force_login(max_)
    sent = {"name": "taste", "start": judged.artifact_id, "dataset": dataset.pk}
    run = started(client.post(address, shown(client, address) | sent))
    call_command("train_reward_model", "kitchen", "taste", "--start", "base", "--dataset", "tea", verbosity=0)
    assert same(run, Run.objects.latest("pk"))
    assert run.parameters["dataset"] == dataset.pk
    said = refused(
        "train_reward_model", "kitchen", "x", "--start", "base", "--dataset", "tea", "--batch", "a"
    )
    assert "leave --criterion, --batch" in said


def test_judgments_that_measure_a_policy_are_no_training_data(client, judged, project, max_, address, judge):  # noqa: F811
    Task.objects.filter(pk=Task.objects.earliest("pk").pk).update(purpose="head_to_head")
    freeze_dataset(actor=max_, project=project, name="mixed")
    said = refused("train_reward_model", "kitchen", "x", "--start", "base", "--dataset", "mixed")
    assert said.startswith("The dataset “mixed” has 1 judgment of tasks that measure")
    assert not Run.objects.exists()


def test_what_is_read_is_said_before(client, judged, project, max_, address):
    client.force_login(max_)
    sent = shown(client, address) | {"name": "taste", "start": judged.artifact_id, "part": "preview"}
    asked = {name: value for name, value in sent.items() if value != ""}
    facts = dict(client.get(address, asked).context["preview"]["facts"])
    assert facts["Judgments that count"] == 5
    assert (facts["Tasks to learn from"], facts["Held out, to measure accuracy"]) == (3, 1)
    assert facts["Optimizer steps, about"] == 3  # three epochs of one step
    dataset = freeze_dataset(actor=max_, project=project, name="tea")
    again = client.get(address, asked | {"dataset": dataset.pk}).context["preview"]["facts"]
    assert dict(again) == facts


def test_wrong_values_freeze_nothing(client, judged, project, max_, address):
    client.force_login(max_)
    sent = shown(client, address) | {"name": "taste", "start": judged.artifact_id}
    answer = client.post(address, sent | {"data.steps": "3"})
    assert answer.status_code == 422
    assert "give exactly one of epochs and steps" in answer.context["form"].non_field_errors()[0]
    assert not PreferenceDataset.objects.exists() and not Run.objects.exists()
    add_criterion(actor=max_, project=project, name="harmless", question="Which harms less?")
    answer = client.post(address, sent)
    assert answer.context["form"].errors["criteria"] == ["Choose what the judgments are about."]
