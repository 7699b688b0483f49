"""Pictures of a dataset: days of a short one stand among empty ones, and every picture is XML that says its numbers."""

from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from annotation.datasets.actions import freeze_dataset, remember_statistics
from annotation.datasets.charts import time_columns
from annotation.datasets.pictures import dataset_pictures
from tests.annotation.exporting.conftest import ranked_rows

DAY = date(2026, 11, 28)


def columns_of(**days):
    columns, unit = time_columns(
        {"days": {day.replace("_", "-")[1:]: number for day, number in days.items()}}
    )
    return [(column.label, column.value, column.height) for column in columns], unit


def test_one_day_is_the_last_of_two_weeks():
    columns, unit = columns_of(d2026_11_28=7)
    assert unit == "day"
    assert [label for label, _, _ in columns] == [str(DAY - timedelta(days=n)) for n in reversed(range(14))]
    assert [value for _, value, _ in columns] == [0] * 13 + [7]
    assert columns[-1][2] == "100.00"


def test_longer_times_begin_with_their_first_judgment():
    columns, _ = columns_of(d2026_11_01=4, d2026_11_28=2)
    assert (len(columns), columns[0], columns[-1]) == (
        28,
        ("2026-11-01", 4, "100.00"),
        ("2026-11-28", 2, "50.00"),
    )
    columns, unit = columns_of(d2026_01_31=1, d2026_06_01=3)
    assert unit == "month" and [value for _, value, _ in columns] == [1, 0, 0, 0, 0, 3]


@pytest.mark.db
@pytest.mark.django_db
def test_pictures_are_xml_and_show_what_was_counted(project, max_, bring):
    bring(list(ranked_rows(30)), "ranked")
    statistics = remember_statistics(freeze_dataset(actor=max_, project=project))
    statistics["sources"] = [
        {"policy": 'p <&"\x07' + "x" * 60, "source": "policy", "wins": 1, "ties": 1, "losses": 2, "pairs": 4}
    ]
    pictures = dataset_pictures(statistics)
    assert list(pictures) == ["time.svg", "grades.svg", "lengths.svg", "sources.svg"]
    for name, (title, picture) in pictures.items():
        root = ElementTree.fromstring(picture)
        assert root.attrib["aria-label"] == title, name
    shown = [node.text for node in ElementTree.fromstring(pictures["grades.svg"][1]).iter() if node.text]
    ties, pairs = statistics["counts"]["ties"], statistics["counts"]["pairs"]
    assert f"{ties:,} ({100 * ties / pairs:.1f} %)" in shown
    assert "25.0 % of 4" in pictures["sources.svg"][1]
