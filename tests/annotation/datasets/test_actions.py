import shutil
from pathlib import Path

import pytest

from annotation.datasets.actions import NoJudgments, freeze_dataset
from annotation.datasets.files import dataset_comparisons, dataset_judgments, dataset_manifest
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import PreferenceDataset
from tests.annotation.datasets.conftest import folder_of
from tests.annotation.exporting.conftest import ranked_rows
from workspace.accounts import create_machine_annotator
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judge(max_):
    """Judge every task of a batch as somebody: the first response first."""

    def judge(batch, annotator, tag="run-1"):
        rows = []
        for task in batch.tasks.order_by("pk"):
            keys = list(task.task_responses.values_list("response_id", flat=True))
            rows.append(
                NewJudgment(
                    task=task,
                    annotator=annotator,
                    tiers=[[key] for key in keys],
                    strengths=[1] * (len(keys) - 1),
                    idempotency_key=f"judge-{tag}-{task.pk}",
                )
            )
        return add_judgments(actor=max_, batch=batch, rows=rows)

    return judge


def test_a_dataset_is_written_once_and_does_not_see_what_comes_later(project, max_, make_batch, judge, ada):
    first = make_batch(tasks=3)
    judge(first, ada)
    dataset = freeze_dataset(actor=max_, project=project, name="one")
    rows = list(dataset_judgments(dataset))
    judge(make_batch(tasks=2), ada, "run-2")
    assert list(dataset_judgments(dataset)) == rows
    assert dataset.counts["judgments"] == 3
    assert freeze_dataset(actor=max_, project=project).counts["judgments"] == 5


def test_machines_are_left_out_unless_they_are_named(project, max_, make_batch, judge, ada):
    batch = make_batch(tasks=2, overlap=2)
    judge(batch, create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated"))
    with pytest.raises(NoJudgments, match="there are some of kind simulated: name the kind to have them"):
        freeze_dataset(actor=max_, project=project)
    judge(batch, ada)
    assert freeze_dataset(actor=max_, project=project).counts["judgments"] == 2
    both = freeze_dataset(actor=max_, project=project, annotator_kinds=("person", "simulated"))
    assert dataset_manifest(both)["judgments_by_annotator_kind"] == {"person": 2, "simulated": 2}
    # Asked for together they are in one dataset, and still never in one row.
    assert [row["n_annotators"] for row in dataset_comparisons(both, consensus=True)] == [1] * 4


def test_head_to_head_judgments_can_be_left_out(project, max_, make_batch, judge, ada):
    batch = make_batch(
        tasks=4, task_fields=lambda number: {"purpose": "head_to_head" if number % 2 else "normal"}
    )
    judge(batch, ada)
    everything = freeze_dataset(actor=max_, project=project)
    training = freeze_dataset(actor=max_, project=project, purposes=("normal",))
    assert [row["purpose"] for row in dataset_judgments(everything)] == ["normal", "head_to_head"] * 2
    assert [row["purpose"] for row in dataset_judgments(training)] == ["normal"] * 2


def test_a_dataset_of_the_same_content_is_reused_when_asked(project, max_, bring):
    bring(list(ranked_rows(10)), "ranked")
    first = freeze_dataset(actor=max_, project=project, reuse=True)
    assert freeze_dataset(actor=max_, project=project, reuse=True) == first
    assert freeze_dataset(actor=max_, project=project) != first
    assert freeze_dataset(actor=max_, project=project, purposes=("normal",), reuse=True) != first
    bring(list(ranked_rows(1, seed=5)), "ranked")
    assert freeze_dataset(actor=max_, project=project, reuse=True) != first


def test_a_damaged_dataset_is_not_used_again(project, max_, bring, settings):
    bring(list(ranked_rows(10)), "ranked")
    for remove in (
        lambda folder: shutil.rmtree(folder),
        lambda folder: next(folder.glob("*.parquet")).unlink(),
    ):
        first = freeze_dataset(actor=max_, project=project, reuse=True)
        remove(folder_of(first, settings))
        second = freeze_dataset(actor=max_, project=project, reuse=True)
        assert second != first
        assert freeze_dataset(actor=max_, project=project, reuse=True) == second


def test_a_disk_that_refuses_is_one_sentence(project, max_, bring, settings, tmp_path):
    bring(list(ranked_rows(3)), "ranked")
    settings.DATA_DIR = tmp_path
    (tmp_path / "datasets").write_text("")
    with pytest.raises(ActionError, match="The dataset cannot be written below .*datasets: "):
        freeze_dataset(actor=max_, project=project)


def test_a_name_is_used_once_and_leaves_no_folder_behind(project, max_, bring, settings):
    bring(list(ranked_rows(3)), "ranked")
    freeze_dataset(actor=max_, project=project, name="round 1")
    root = Path(settings.DATA_DIR) / "datasets"
    before = sorted(root.iterdir())
    with pytest.raises(ActionError, match="There is a dataset named “round 1” already"):
        freeze_dataset(actor=max_, project=project, name="round 1")
    assert sorted(root.iterdir()) == before


def test_an_empty_selection_makes_no_dataset(project, max_, settings):
    with pytest.raises(NoJudgments):
        freeze_dataset(actor=max_, project=project)
    assert not PreferenceDataset.objects.exists()
