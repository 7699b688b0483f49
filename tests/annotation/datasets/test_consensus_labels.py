"""A dataset may hold the consensus of a quality report: the soft labels of merged comparisons."""

import json
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from annotation.batches.actions import NewTask, add_tasks
from annotation.batches.exclusion import exclude_batch
from annotation.datasets.actions import freeze_dataset
from annotation.datasets.conditions import Conditions
from annotation.datasets.consensus_labels import CONSENSUS_FILE, labelled
from annotation.datasets.files import (
    DatasetDamaged,
    dataset_comparisons,
    dataset_judgments,
    dataset_manifest,
    find_dataset_faults,
    labels_in_words,
)
from annotation.datasets.quality_labels import NoConsensus
from annotation.importing.actions import import_comparisons
from annotation.models import Judgment, PreferenceDataset, QualityReport, TaskConsensus
from annotation.quality.actions import measure_project
from tests.annotation.adjudication.test_actions import decide
from tests.annotation.datasets.conftest import folder_of, judge_all
from tests.annotation.quality.conftest import SECOND, judged  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]
LABELS = [0.9, 0.2, 0.8, 0.5, 0.7, 0.35]


@pytest.fixture
def measured(project, max_, judged):  # noqa: F811
    """The report, its consensus typed in by hand: of each task the share for its first response."""
    report = measure_project(actor=max_, project=project)
    for task, label in zip(judged[1], LABELS, strict=True):
        one, other = keys_of(task)
        # As it is stored where the second one's source is the first by name.
        pairs = [[other, one, 1 - label, 0.1, 0.95]] if label == 0.2 else [[one, other, label, 0.05, 0.9]]
        TaskConsensus.objects.filter(report=report, task=task).update(pairs=pairs)
    return report


def keys_of(task):
    return list(task.task_responses.order_by("position").values_list("response_id", flat=True))


def shares(dataset, tasks, *, consensus=True, splits=None):
    """By the place of the task: the share for its first response."""
    ids = {
        str(task.pk): task.task_responses.order_by("position").first().response.external_id for task in tasks
    }
    found = {}
    for row in dataset_comparisons(dataset, consensus=consensus, splits=splits):
        if row["group_id"] in ids:
            first = row["response_ids"].index(ids[row["group_id"]])
            found[list(ids).index(row["group_id"])] = row["soft_preference"][first][1 - first]
            assert row["soft_preference"][1 - first][first] == pytest.approx(
                1 - row["soft_preference"][first][1 - first]
            )
    return found


def test_merged_comparisons_have_the_labels_of_the_report_and_judgments_stay(
    project,
    max_,
    judged,  # noqa: F811
    measured,
):
    _, tasks, *_ = judged
    plain = freeze_dataset(actor=max_, project=project)
    dataset = freeze_dataset(actor=max_, project=project, consensus=True)
    assert shares(dataset, tasks) == pytest.approx(dict(enumerate(LABELS)))
    rows = list(dataset_comparisons(dataset, consensus=True))
    by_share = {max(row["soft_preference"][0][1], row["soft_preference"][1][0]): row["ranks"] for row in rows}
    assert sorted(by_share[0.9]) == [0, 1] and by_share[0.5] == [0, 0]
    # The votes: of the last two tasks one half and three quarters, whoever weighs what.
    assert list(dataset_judgments(dataset)) == list(dataset_judgments(plain))
    assert list(dataset_comparisons(dataset)) == list(dataset_comparisons(plain))
    assert shares(plain, tasks)[2] == 1 and shares(plain, tasks)[5] == pytest.approx(0.5)
    said = dataset_manifest(dataset)["consensus"]
    assert (said["report"], said["pairs"], said["pairs_without"]) == (measured.pk, 6, 0)
    assert said["judgments_measured"] == 12 and said["file"]["name"] == CONSENSUS_FILE
    assert labels_in_words(dataset, consensus=True) == f"consensus of quality report {measured.pk}"
    assert labels_in_words(plain, consensus=True) == "votes weighed by reliability"
    # Measured anew, with the report replaced, the dataset is what it was.
    measure_project(actor=max_, project=project)
    assert not QualityReport.objects.filter(pk=measured.pk).exists()
    assert shares(dataset, tasks) == pytest.approx(dict(enumerate(LABELS)))


def test_tasks_that_are_left_out_take_no_labels_of_others(project, max_, judged, measured):  # noqa: F811
    """As the rows of one split do."""
    _, tasks, *_ = judged
    dataset = freeze_dataset(actor=max_, project=project, consensus=True)
    wanted = {str(tasks[place].pk): LABELS[place] for place in (1, 2, 5)}
    rows = [row for row in dataset_judgments(dataset) if row["task_id"] in wanted]
    found = list(labelled(iter(rows), dataset, dataset_manifest(dataset)))
    assert [{**row, "consensus": None} for row in found] == [{**row, "consensus": None} for row in rows]
    for row in found:
        [((first, _), share)] = row["consensus"].items()
        label = wanted[row["task_id"]]
        task = next(task for task in tasks if str(task.pk) == row["task_id"])
        shown = task.task_responses.order_by("position").first().response.external_id
        assert share == pytest.approx(label if first == shown else 1 - label)


def test_what_is_said_head_to_head_is_no_part_of_a_usual_tasks_label(project, max_, judged, ada, ruth):  # noqa: F811
    """A reward model that learns the latter is measured on the former: the same two responses, other people, the
    opposite answer.
    """
    batch, tasks, *_ = judged
    usual = tasks[2]  # both annotators: the first by far
    responses = [row.response for row in usual.task_responses.order_by("position")]
    head_to_head = NewTask(
        prompt=usual.prompt, responses=responses, purpose="head_to_head", required_judgments=3
    )
    before = TaskConsensus.objects.get(report=measure_project(actor=max_, project=project), task=usual).pairs
    (measures,) = add_tasks(actor=max_, batch=batch, tasks=[head_to_head])
    judge_all(max_, batch, [(measures, person, SECOND, [3]) for person in (ada, ruth, max_)])
    report = measure_project(actor=max_, project=project)
    after = {row.task: row for row in TaskConsensus.objects.filter(report=report).select_related("task")}
    assert (after[usual].annotators, after[measures].annotators) == (2, 3)
    ((first, second, share, *_),) = before
    ((_, _, usual_share, *_),) = after[usual].pairs
    # The people's abilities are estimated from all that they said, so that it moves a little.
    assert usual_share == pytest.approx(share, abs=0.1)
    wanted = {usual: usual_share, measures: after[measures].pairs[0][2]}
    turned = first == responses[1].pk
    found = shares(freeze_dataset(actor=max_, project=project, consensus=True), [usual, measures])
    for place, task in enumerate((usual, measures)):
        assert found[place] == pytest.approx(1 - wanted[task] if turned else wanted[task])
    assert found[0] > 0.7 and found[1] < 0.3


def test_pairs_without_a_label_have_the_votes_and_are_counted(project, max_, judged, measured):  # noqa: F811
    _, tasks, *_ = judged
    TaskConsensus.objects.filter(task=tasks[0]).update(pairs=[])
    dataset = freeze_dataset(actor=max_, project=project, consensus=True)
    assert dataset_manifest(dataset)["consensus"]["pairs_without"] == 1
    assert shares(dataset, tasks)[0] == 1  # both votes


def test_a_decision_keeps_its_own_label_whatever_the_crowd_thinks(project, max_, ruth, judged, measured):  # noqa: F811
    """Its task has the responses that the crowd judged."""
    _, tasks, *_ = judged
    made = decide(ruth, tasks[5])  # the second response is better
    with pytest.raises(NoConsensus, match="came after"):
        freeze_dataset(actor=max_, project=project, consensus=True, decisions=True)
    report = measure_project(actor=max_, project=project)
    assert TaskConsensus.objects.filter(report=report, task=tasks[5]).exists()
    dataset = freeze_dataset(actor=max_, project=project, consensus=True, decisions=True)
    assert shares(dataset, [made.decision_task]) == {0: 0}
    said = dataset_manifest(dataset)["consensus"]
    assert (said["decided_tasks"], said["pairs"], said["pairs_without"]) == (1, 5, 0)


def test_a_pair_that_all_call_a_tie_stays_a_tie(project, max_, judged, measured):  # noqa: F811
    """The model's label of it is nearly, and never quite, even: most losses would learn its side as a preference."""
    _, tasks, *_ = judged
    one, other = keys_of(tasks[3])
    TaskConsensus.objects.filter(task=tasks[3]).update(pairs=[[one, other, 0.53, 0.2, 0.8]])
    dataset = freeze_dataset(actor=max_, project=project, consensus=True)
    assert shares(dataset, tasks) == pytest.approx(dict(enumerate(LABELS)))
    [row] = [
        row for row in dataset_comparisons(dataset, consensus=True) if row["group_id"] == str(tasks[3].pk)
    ]
    assert row["ranks"] == [0, 0]


def test_an_import_that_ended_after_the_measurement_was_not_seen_by_it(
    project,
    max_,
    judged,  # noqa: F811
    tmp_path,
):
    """Its judgments got their keys while it came in, before the newest that was measured."""
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        json.dumps({"prompt": "Soup?", "chosen": "Hot.", "rejected": "Cold.", "annotator": "u"}) + "\n"
    )
    report = measure_project(actor=max_, project=project)
    import_comparisons(actor=max_, project=project, path=file, format="trl")
    newest = Judgment.objects.order_by("-pk").first()
    QualityReport.objects.filter(pk=report.pk).update(newest_judgment=newest.pk)
    with pytest.raises(NoConsensus, match="^1 of the selected judgments came after"):
        freeze_dataset(actor=max_, project=project, consensus=True)
    measure_project(actor=max_, project=project)
    freeze_dataset(actor=max_, project=project, consensus=True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"purposes": ("normal", "gold")}, "normal and head-to-head"),
        ({"annotator_kinds": ("person", "ai")}, "kind person"),
        ({"conditions": Conditions(until=datetime(2030, 1, 1, tzinfo=UTC))}, "up to a day"),
    ],
)
def test_what_the_report_has_no_labels_for_is_refused(project, max_, measured, asked, said):
    with pytest.raises(NoConsensus, match=said):
        freeze_dataset(actor=max_, project=project, consensus=True, **asked)
    assert not PreferenceDataset.objects.exists()


def test_a_report_that_is_missing_older_or_without_the_criterion_is_refused(
    project,
    criterion,
    max_,
    ada,
    judged,  # noqa: F811
    make_batch,
):
    def refused(what):
        with pytest.raises(NoConsensus, match=what):
            freeze_dataset(actor=max_, project=project, consensus=True)

    refused("never measured")
    report = measure_project(actor=max_, project=project)
    batch = make_batch(tasks=1)
    judge_all(max_, batch, [(batch.tasks.get(), ada, SECOND, [1])])
    refused("^1 of the selected judgments came after")
    exclude_batch(actor=max_, batch=batch)
    refused("a batch was excluded")
    report = measure_project(actor=max_, project=project)
    freeze_dataset(actor=max_, project=project, consensus=True)
    crowd = report.summaries[str(criterion.pk)]
    for summaries in ({}, {str(criterion.pk): crowd | {"crowd": None}}):
        QualityReport.objects.filter(pk=report.pk).update(summaries=summaries)
        refused(f"no consensus on {criterion.name}")


def test_labels_that_were_changed_are_noticed(project, max_, measured, settings):
    dataset = freeze_dataset(actor=max_, project=project, consensus=True)
    assert find_dataset_faults(project) == (1, [])
    (folder_of(dataset, settings) / CONSENSUS_FILE).write_bytes(b"changed")
    _, [fault] = find_dataset_faults(project)
    assert CONSENSUS_FILE in fault
    with pytest.raises(DatasetDamaged):
        list(dataset_comparisons(dataset, consensus=True))


def test_page_command_and_api_ask_for_it(client, project, max_, judged, measured):  # noqa: F811
    _, tasks, *_ = judged
    call_command("freeze_dataset", project.slug, "by command", "--consensus", "--actor", max_.username)
    client.force_login(max_)
    form = {"name": "by page", "annotator_kinds": "person", "purposes": "normal", "consensus": "on"}
    assert client.post(f"/projects/{project.slug}/data/datasets/new/", form).status_code == 302
    answer = client.post(
        f"/api/v1/projects/{project.slug}/datasets",
        json.dumps({"name": "by api", "consensus": True}),
        content_type="application/json",
        headers={"Idempotency-Key": "labels"},
    )
    assert answer.status_code == 201, answer.content
    for name in ("by command", "by page", "by api"):
        dataset = PreferenceDataset.objects.get(name=name)
        assert shares(dataset, tasks) == pytest.approx(dict(enumerate(LABELS)))
    files = client.get(f"/api/v1/projects/{project.slug}/datasets/{dataset.pk}/files").json()["files"]
    assert [file["name"] for file in files] == ["judgments-00000.parquet", CONSENSUS_FILE]
    at = f"/api/v1/projects/{project.slug}/datasets/{dataset.pk}/files/{CONSENSUS_FILE}"
    assert b"".join(client.get(at).streaming_content)[:4] == b"PAR1"
    page = client.get(f"/projects/{project.slug}/data/datasets/{dataset.pk}/").content.decode()
    assert "the consensus of a measurement of quality" in page
    refused = client.post(
        f"/projects/{project.slug}/data/datasets/new/", form | {"name": "x", "annotator_kinds": "ai"}
    )
    assert "no judgments" in refused.content.decode() or "kind person" in refused.content.decode()
