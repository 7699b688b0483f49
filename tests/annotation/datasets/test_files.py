import pytest

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import DatasetDamaged, dataset_comparisons, dataset_judgments
from tests.annotation.datasets.conftest import folder_of
from tests.annotation.exporting.conftest import ranked_rows

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.mark.parametrize("damage", ["change", "remove", "manifest"])
def test_files_that_were_touched_are_refused(project, max_, bring, settings, damage):
    bring(list(ranked_rows(3)), "ranked")
    dataset = freeze_dataset(actor=max_, project=project)
    (data,) = folder_of(dataset, settings).glob("*.parquet")
    if damage == "change":
        data.write_bytes(data.read_bytes()[:-1] + b"x")
    elif damage == "remove":
        data.unlink()
    else:
        (folder_of(dataset, settings) / "manifest.json").write_text("{}")
    with pytest.raises(DatasetDamaged):
        list(dataset_judgments(dataset))


def test_reliability_is_that_of_the_whole_dataset_whatever_the_split(project, max_, bring):
    rows = [row | {"annotator": who} for row in ranked_rows(60) for who in ("w1", "w2")]
    bring(rows, "ranked")
    dataset = freeze_dataset(actor=max_, project=project)
    whole = [row for row in dataset_comparisons(dataset, consensus=True) if row["split"] == "test"]
    assert whole == list(dataset_comparisons(dataset, consensus=True, splits=("test",)))
    assert whole
