"""A training counts annotators after a quality report, and may take its consensus: by action, command, page, API."""

import json
import math

import pytest
import torch
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.content.actions import get_or_create_source
from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import dataset_manifest
from annotation.datasets.quality_labels import NoConsensus
from annotation.models import PreferenceDataset
from annotation.quality.actions import measure_project
from learning.interface.record_checks import validate_row
from learning.interface.record_schemas import COMPARISONS
from policy_training.dpo.actions import dpo_config, train_dpo
from policy_training.models import Policy
from rewardmodel.forms import TrainRewardModelForm
from rewardmodel.run_kinds import TRAIN, comparison_inputs
from rewardmodel.start_training import start_training
from rewardmodel.training.comparisons import build_targets, comparison_from_row
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.losses import ranking_losses
from runs.models import Artifact, Run
from tests.annotation.conftest import make_annotators, make_batch  # noqa: F401
from tests.annotation.datasets.test_annotator_weights import set_abilities
from tests.annotation.quality.conftest import judged  # noqa: F401
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def project(project):
    """Whose prompts are all to train on."""
    project.train_share, project.validation_share = 1.0, 0.0
    project.save(update_fields=["train_share", "validation_share"])
    return project


@pytest.fixture
def measured(project, criterion, max_, judged, settings, tmp_path):  # noqa: F811
    """Six tasks of two people of abilities 3 and 0.5, the crowd's mean 2."""
    settings.DATA_DIR = tmp_path / "data"
    report = measure_project(actor=max_, project=project)
    set_abilities(report, criterion, {judged[2]: 3.0, judged[3]: 0.5}, 2.0)
    return report


@pytest.fixture
def asked(project, criterion, max_):
    base = Artifact.objects.create(project=project, kind="policy", path="base", sha256="0" * 64, size_bytes=1)
    return {"actor": max_, "project": project, "base": base, "preset": "tiny", "criteria": [criterion]}


def trained_rows(run):
    return [
        validate_row(row, COMPARISONS, lambda: "row") for row in TRAIN.build_inputs(run)["comparisons"][0]
    ]


def test_the_loss_of_a_step_is_that_of_the_formula(project, asked, judged, measured):  # noqa: F811
    """Scores 0.7 for the first answer of the last task, 0.2 for the second. The annotator of weight 1.5 prefers the
    first, the one of weight 0.25 the second: (1.5 log(1 + e^-0.5) + 0.25 log(1 + e^0.5)) / 1.75.
    """
    _, tasks, *_ = judged
    run = start_training(**asked, name="taste", annotator_weights=True)
    first = tasks[5].task_responses.order_by("position").first().response.external_id
    judgments = {str(pk) for pk in tasks[5].judgments.values_list("pk", flat=True)}
    rows = [row for row in trained_rows(run) if row["group_id"] in judgments]
    assert sorted(row["weight"] for row in rows) == [0.25, 1.5]
    scores = [0.7 if key == first else 0.2 for row in rows for key in row["response_ids"]]
    targets = build_targets([comparison_from_row(row) for row in rows])
    losses = ranking_losses(torch.tensor(scores, dtype=torch.float64), targets, ObjectiveOptions())
    step = (losses.ranking_B * targets.weight_B).sum() / targets.weight_B.sum()
    by_hand = (1.5 * math.log(1 + math.exp(-0.5)) + 0.25 * math.log(1 + math.exp(0.5))) / 1.75
    assert by_hand == pytest.approx(0.545505, abs=1e-6)
    assert float(step) == pytest.approx(by_hand, rel=1e-12)


def test_what_is_frozen_now_names_the_newest_report_and_a_dataset_has_its_own(
    project,
    max_,
    asked,
    judged,  # noqa: F811
    measured,
):
    run = start_training(**asked, name="one", annotator_weights=True)
    dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"])
    assert run.parameters["annotator_weights"] == measured.pk
    assert dataset_manifest(dataset)["annotator_weights"]["report"] == measured.pk
    # Merged: votes by weight, and the row's weight the mean of both.
    merged = start_training(**asked, name="merged", annotator_weights=True, consensus=True)
    assert merged.parameters["dataset"] == dataset.pk
    rows = trained_rows(merged)
    assert {row["weight"] for row in rows} == {0.875}
    assert any(
        6 / 7 in (pytest.approx(line[0]), pytest.approx(line[1]))
        for row in rows
        for line in row["soft_preference"]
    )
    measure_project(actor=max_, project=project)
    again = start_training(**asked, name="again", dataset=dataset, annotator_weights=True)
    assert again.parameters["annotator_weights"] == measured.pk
    plain = start_training(**asked, name="plain", dataset=dataset)
    assert "annotator_weights" not in plain.parameters
    assert {row["weight"] for row in trained_rows(plain)} == {1.0}


def test_the_trainings_own_freeze_takes_the_consensus(project, max_, asked, judged, measured):  # noqa: F811
    run = start_training(**asked, name="taste", consensus=True, consensus_labels=True)
    dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"])
    assert dataset_manifest(dataset)["consensus"]["report"] == measured.pk
    assert run.parameters["labels"] == f"consensus of quality report {measured.pk}"
    for wrong in (
        {},
        {"dataset": dataset, "consensus": True},
        {"consensus": True, "annotator_weights": True},
    ):
        with pytest.raises(ActionError, match="label of merged comparisons"):
            start_training(**asked, name="x", consensus_labels=True, **wrong)
    weighed = freeze_dataset(actor=max_, project=project, consensus=True, annotator_weights=measured.pk)
    with pytest.raises(ActionError, match="weighs annotators already"):
        start_training(**asked, name="x", dataset=weighed, consensus=True, annotator_weights=True)
    start_training(**asked, name="y", dataset=weighed, annotator_weights=True)


def test_without_a_measurement_nothing_is_frozen(project, asked, judged, settings, tmp_path):  # noqa: F811
    settings.DATA_DIR = tmp_path / "data"
    for wanted in ({"annotator_weights": True}, {"consensus": True, "consensus_labels": True}):
        with pytest.raises(NoConsensus, match="never measured"):
            start_training(**asked, name="x", **wanted)
    plain = freeze_dataset(actor=asked["actor"], project=project)
    with pytest.raises(NoConsensus, match="frozen without weights"):
        start_training(**asked, name="x", dataset=plain, annotator_weights=True)
    assert PreferenceDataset.objects.count() == 1 and not Run.objects.exists()


def test_command_page_and_api_ask_for_the_same(project, criterion, max_, asked, judged, measured, client):  # noqa: F811
    source = get_or_create_source(actor=max_, project=project, kind="policy", name="start")
    policy = Policy.objects.create(project=project, name="start", artifact=asked["base"], source=source)
    call_command("train_reward_model", project.slug, "one", "--start", "start", "--annotator-weights")
    call_command(
        "train_reward_model", project.slug, "two", "--start", "start", "--consensus", "--consensus-labels"
    )
    with pytest.raises(CommandError, match="label of merged comparisons"):
        call_command("train_reward_model", project.slug, "x", "--start", "start", "--consensus-labels")
    client.force_login(max_)
    page = client.get(reverse("reward_models:train", args=[project.slug])).content.decode()
    assert "Weights by annotator" in page and "With the consensus of the newest measurement" in page
    url = f"/api/v1/projects/{project.slug}/reward-models/train"
    body = {"start_policy": policy.pk, "criteria": [criterion.name]}

    def post(key, **more):
        return client.post(
            url, json.dumps(body | more), content_type="application/json", headers={"Idempotency-Key": key}
        )

    assert post("a", name="three", annotator_weights=True).status_code == 201
    assert post("b", name="four", consensus=True, consensus_labels=True).status_code == 201
    refused = post("c", name="x", consensus_labels=True)
    assert refused.status_code == 400 and "consensus_labels" in refused.json()["fields"]
    weighed = Run.objects.filter(title__in=["Train one", "Train three"])
    assert [run.parameters["annotator_weights"] for run in weighed] == [measured.pk] * 2
    labelled = Run.objects.filter(title__in=["Train two", "Train four"])
    assert {run.parameters["labels"] for run in labelled} == {f"consensus of quality report {measured.pk}"}
    again = TrainRewardModelForm(project=project).values_of(weighed[0])
    assert again["annotator_weights"] is True


def test_dpo_counts_annotators_too(project, criterion, max_, asked, judged, measured):  # noqa: F811
    source = get_or_create_source(actor=max_, project=project, kind="policy", name="start")
    policy = Policy.objects.create(project=project, name="start", artifact=asked["base"], source=source)
    wanted = {
        "actor": max_,
        "project": project,
        "start": policy,
        "config": dpo_config("tiny"),
        "criteria": [criterion],
    }
    run = train_dpo(**wanted, name="weighed", annotator_weights=True)
    assert run.parameters["annotator_weights"] == measured.pk
    assert {row["weight"] for row in comparison_inputs(run)["comparisons"][0]} == {0.25, 1.5}
    run = train_dpo(**wanted, name="labelled", consensus=True, consensus_labels=True)
    assert run.parameters["labels"] == f"consensus of quality report {measured.pk}"
