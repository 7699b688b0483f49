"""A dataset may hold how much each annotator counts, after their ability in a quality report."""

import json

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import (
    DatasetDamaged,
    dataset_comparisons,
    dataset_manifest,
    find_dataset_faults,
    labels_in_words,
)
from annotation.datasets.frozen_weights import WEIGHTS_FILE, weight_of
from annotation.datasets.quality_labels import NoConsensus
from annotation.models import PreferenceDataset, QualityAnnotator, QualityReport
from annotation.quality.actions import measure_project
from tests.annotation.adjudication.test_actions import decide
from tests.annotation.datasets.conftest import folder_of
from tests.annotation.quality.conftest import judged  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def set_abilities(report, criterion, abilities, mean):
    """Typed in by hand."""
    summary = report.summaries[str(criterion.pk)]
    report.summaries[str(criterion.pk)] = summary | {"crowd": summary["crowd"] | {"ability": mean}}
    QualityReport.objects.filter(pk=report.pk).update(summaries=report.summaries)
    for person, ability in abilities.items():
        row = QualityAnnotator.objects.get(report=report, annotator=person, criterion=criterion)
        row.figures["ability"] = [ability, ability - 0.5, ability + 0.5]
        row.save(update_fields=["figures"])


@pytest.fixture
def measured(project, criterion, max_, judged):  # noqa: F811
    """One annotator of ability 3, one of 0.5; the crowd's mean is 2."""
    _, _, one, other = judged
    report = measure_project(actor=max_, project=project)
    set_abilities(report, criterion, {one: 3.0, other: 0.5}, 2.0)
    return report


@pytest.mark.parametrize(
    ("ability", "mean", "weight"), [(3, 2, 1.5), (0.5, 2, 0.25), (2, 2, 1), (9, 2, 2), (-1, 2, 0), (0, 2, 0)]
)
def test_a_weight_is_the_ability_in_units_of_the_crowds_mean_from_0_to_2(ability, mean, weight):
    assert weight_of(ability, mean) == weight


def test_judgments_one_by_one_have_the_weight_of_who_made_them(project, max_, judged, measured):  # noqa: F811
    _, tasks, one, other = judged
    dataset = freeze_dataset(actor=max_, project=project, annotator_weights=measured.pk)
    rows = list(dataset_comparisons(dataset, weights=True))
    assert sorted(row["weight"] for row in rows) == [0.25] * 6 + [1.5] * 6
    plain = list(dataset_comparisons(dataset))
    assert [row | {"weight": 1.0} for row in rows] == plain
    said = dataset_manifest(dataset)["annotator_weights"]
    assert (said["report"], said["judgments_measured"], said["mean_ability"]) == (
        measured.pk,
        12,
        {"helpful": 2.0},
    )
    assert (said["annotators"], said["annotators_without"]) == (2, 0)
    assert dataset.filters["annotator_weights"] == measured.pk
    assert labels_in_words(dataset, consensus=False, weights=True).endswith(f"quality report {measured.pk}")
    # Measured anew, with the report replaced, the dataset is what it was.
    measure_project(actor=max_, project=project)
    assert list(dataset_comparisons(dataset, weights=True)) == rows


def test_merged_comparisons_weigh_votes_and_count_as_their_annotators_on_average(
    project,
    max_,
    judged,  # noqa: F811
    measured,
):
    """Of the last task one says the first is better, the other the second: 1.5 / (1.5 + 0.25) and (1.5 + 0.25) / 2."""
    _, tasks, one, other = judged
    dataset = freeze_dataset(actor=max_, project=project, annotator_weights=measured.pk)
    [row] = [
        row
        for row in dataset_comparisons(dataset, consensus=True, weights=True)
        if row["group_id"] == str(tasks[5].pk)
    ]
    first = tasks[5].task_responses.order_by("position").first().response.external_id
    place = row["response_ids"].index(first)
    assert row["soft_preference"][place][1 - place] == pytest.approx(6 / 7)
    assert row["weight"] == 0.875 and row["ranks"][place] == 0


def test_who_answers_the_other_way_round_teaches_nothing(project, criterion, max_, judged, measured):  # noqa: F811
    _, tasks, one, other = judged
    set_abilities(measured, criterion, {one: 3.0, other: -0.5}, 2.0)
    dataset = freeze_dataset(actor=max_, project=project, annotator_weights=measured.pk)
    rows = list(dataset_comparisons(dataset, weights=True))
    none = [row for row in rows if row["weight"] == 0]
    assert len(none) == 6 and all(row["ranks"] is None for row in none)
    assert {share for row in none for line in row["soft_preference"] for share in line} == {None}
    [last] = [
        row
        for row in dataset_comparisons(dataset, consensus=True, weights=True)
        if row["group_id"] == str(tasks[5].pk)
    ]
    assert {share for line in last["soft_preference"] for share in line} == {None, 0.0, 1.0}
    assert last["weight"] == 0.75


def test_a_decision_counts_as_the_crowds_mean_where_its_reviewer_did_not_judge(
    project,
    criterion,
    max_,
    ruth,
    judged,  # noqa: F811
):
    _, tasks, one, other = judged
    made = decide(ruth, tasks[5])
    report = measure_project(actor=max_, project=project)
    dataset = freeze_dataset(actor=max_, project=project, annotator_weights=report.pk, decisions=True)
    assert dataset_manifest(dataset)["annotator_weights"]["annotators_without"] == 1
    [judgment] = made.decision_task.judgments.all()
    [row] = [row for row in dataset_comparisons(dataset, weights=True) if row["group_id"] == str(judgment.pk)]
    assert row["weight"] == 1


def test_what_has_no_weights_is_refused(project, criterion, max_, measured):
    with pytest.raises(
        NoConsensus, match=f"no quality report {measured.pk + 7} of .* {measured.pk} is the newest"
    ):
        freeze_dataset(actor=max_, project=project, annotator_weights=measured.pk + 7)
    with pytest.raises(NoConsensus, match="kind person"):
        freeze_dataset(
            actor=max_, project=project, annotator_weights=measured.pk, annotator_kinds=("person", "ai")
        )
    set_abilities(measured, criterion, {}, -0.25)
    with pytest.raises(NoConsensus, match=r"no better than chance \(mean ability -0.25"):
        freeze_dataset(actor=max_, project=project, annotator_weights=measured.pk)
    assert not PreferenceDataset.objects.exists()
    plain = freeze_dataset(actor=max_, project=project)
    with pytest.raises(NoConsensus, match="was frozen without weights"):
        dataset_comparisons(plain, weights=True)


def test_weights_that_were_changed_are_noticed(project, max_, measured, settings):
    dataset = freeze_dataset(actor=max_, project=project, annotator_weights=measured.pk)
    assert find_dataset_faults(project) == (1, [])
    path = folder_of(dataset, settings) / WEIGHTS_FILE
    assert [row["weight"] for row in pq.read_table(path).to_pylist()] in ([0.25, 1.5], [1.5, 0.25])
    path.write_bytes(b"changed")
    _, [fault] = find_dataset_faults(project)
    assert WEIGHTS_FILE in fault
    with pytest.raises(DatasetDamaged):
        dataset_comparisons(dataset, weights=True)


def test_page_command_and_api_ask_for_them(client, project, max_, judged, measured):  # noqa: F811
    number = str(measured.pk)
    call_command(
        "freeze_dataset", project.slug, "by command", "--annotator-weights", number, "--actor", max_.username
    )
    with pytest.raises(CommandError, match="is the newest"):
        call_command(
            "freeze_dataset", project.slug, "x", "--annotator-weights", "999", "--actor", max_.username
        )
    client.force_login(max_)
    address = f"/projects/{project.slug}/data/datasets/new/"
    assert f"Report {number} of" in client.get(address).content.decode()
    form = {"name": "by page", "annotator_kinds": "person", "purposes": "normal", "annotator_weights": number}
    assert client.post(address, form).status_code == 302
    answer = client.post(
        f"/api/v1/projects/{project.slug}/datasets",
        json.dumps({"name": "by api", "annotator_weights": measured.pk}),
        content_type="application/json",
        headers={"Idempotency-Key": "weights"},
    )
    assert answer.status_code == 201, answer.content
    for name in ("by command", "by page", "by api"):
        dataset = PreferenceDataset.objects.get(name=name)
        assert dataset_manifest(dataset)["annotator_weights"]["report"] == measured.pk
    files = client.get(f"/api/v1/projects/{project.slug}/datasets/{dataset.pk}/files").json()["files"]
    assert [file["name"] for file in files] == ["judgments-00000.parquet", WEIGHTS_FILE]
    page = client.get(f"/projects/{project.slug}/data/datasets/{dataset.pk}/").content.decode()
    assert f"their abilities in the quality report {number}" in page and WEIGHTS_FILE in page
