"""What goes out comes back: the same comparisons, after another import."""

import pytest

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import dataset_comparisons
from annotation.exporting.actions import export_preferences
from tests.annotation.exporting.conftest import SETS, ranked_rows
from tests.annotation.exporting.folders import meaning, rows_of
from workspace.actions import create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def import_again(max_, bring):
    """Import the folder of an export into a new project; returns its dataset."""

    def import_again(out, format):
        other = create_project(actor=max_, name="Other")
        for path in sorted((out / "data").iterdir()):
            bring(path, format, into=other)
        return freeze_dataset(actor=max_, project=other)

    return import_again


# The real files take their time: they go with the slow tests.
ROUND_TRIPS = [
    pytest.param(name, files, id=f"{name}-{files}", marks=[] if "generated" in name else pytest.mark.slow)
    for name in SETS
    for files in ("parquet", "jsonl")
    if "generated" in name or files == "parquet"
]


@pytest.mark.parametrize(("name", "files"), ROUND_TRIPS)
def test_what_goes_out_as_trl_comes_back_as_the_same_comparisons(
    project, max_, bring, import_again, tmp_path, name, files
):
    source, format, import_options = SETS[name]
    bring(source, format, **import_options)
    dataset = freeze_dataset(actor=max_, project=project)
    before = meaning(dataset_comparisons(dataset))
    out = tmp_path / "out"
    manifest = export_preferences(
        actor=max_, dataset=dataset, out=out, format="trl", ties="soft", files=files
    )
    again = import_again(out, "trl")
    after = meaning(dataset_comparisons(again))
    assert after == before
    assert manifest["counts"]["rows"] == sum(1 for _ in rows_of(out))


@pytest.mark.parametrize("format", ["records", "judgments"])
@pytest.mark.parametrize("files", ["parquet", "jsonl"])
@pytest.mark.parametrize("name", ["generated rankings", "generated pair labels"])
def test_our_own_records_come_back_as_the_same_comparisons(
    project, max_, bring, import_again, tmp_path, name, format, files
):
    source, import_format, import_options = SETS[name]
    bring(source, import_format, **import_options)
    dataset = freeze_dataset(actor=max_, project=project)
    export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format=format, files=files)
    again = import_again(tmp_path / "out", "records")
    for consensus in (False, True) if format == "judgments" else (False,):
        assert meaning(dataset_comparisons(again, consensus=consensus)) == meaning(
            dataset_comparisons(dataset, consensus=consensus)
        )


def test_rankings_without_ties_survive_the_view_that_drops_ties(project, max_, bring, import_again, tmp_path):
    rows = [row for row in ranked_rows(80) if len(set(row["ranks"])) > 1]
    bring(rows, "ranked")
    dataset = freeze_dataset(actor=max_, project=project)
    manifest = export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format="trl")
    assert manifest["counts"]["ties_dropped"] > 0
    again = import_again(tmp_path / "out", "trl")
    assert meaning(dataset_comparisons(again)) == meaning(dataset_comparisons(dataset))


def test_pairs_that_nobody_compared_do_not_come_back_as_ties(project, max_, bring, import_again, tmp_path):
    """a over b, b over c; of a and c nobody said anything. And one question with a tie."""
    nobody = [[None, 1.0, None], [0.0, None, 1.0], [None, 0.0, None]]
    tied = [[None, 1.0, 1.0], [0.0, None, 0.5], [0.0, 0.5, None]]
    rows = [
        {
            "group_id": name * 150,
            "prompt": f"{name}?",
            "responses": ["a", "b", "c"],
            "soft_preference": shares,
        }
        for name, shares in (("n", nobody), ("t", tied))
    ]
    bring(rows, "records", batch_name="x" * 100)
    dataset = freeze_dataset(actor=max_, project=project)
    before = meaning(dataset_comparisons(dataset, consensus=True))
    manifest = export_preferences(
        actor=max_, dataset=dataset, out=tmp_path / "out", format="trl", consensus=True
    )
    assert manifest["counts"]["pairs_never_compared"] == manifest["counts"]["ties_dropped"] == 1
    again = import_again(tmp_path / "out", "trl")
    assert meaning(dataset_comparisons(again, consensus=True)) == before
