"""What is written a batch at a time is what is written row by row, to the byte."""

import dataclasses
import os
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.datasets import shards
from annotation.datasets.actions import freeze_dataset
from annotation.exporting.actions import export_preferences
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.exporting.raw_columns import raw_comparison_columns
from annotation.models import Judgment
from learning.interface.record_schemas import JUDGMENTS
from tests.annotation.exporting.conftest import ranked_rows
from tests.annotation.exporting.folders import bytes_of

pytestmark = [pytest.mark.db, pytest.mark.django_db]

WORDS = [
    "plain",
    'with "quotes"',
    "back\\slash",
    "100 %",
    "%(prompt)s",
    "line\nbreak",
    "\u2028\u0085",
    "👩‍🍳",
    "",
]


def all_kinds_of_rows(count):
    """Rankings of 2 to 9 answers with ties, unknown strengths, own ids, further columns and awkward texts."""
    chance = random.Random(3)
    for number, row in enumerate(ranked_rows(count, seed=2)):
        size = chance.choice([2, 2, 2, 3, 4, 9])
        ranks = [chance.randrange(size) for _ in range(size)]
        texts = [f"{place} {' '.join(chance.choices(WORDS, k=4))}" for place in range(size)]
        row |= {"responses": texts, "ranks": ranks}
        row["strengths"] = [chance.choice([None, 0, 1, 2, 3]) for _ in range(len(set(ranks)) - 1)]
        row |= {"id": f"row {number}", "colour": chance.choice(["red", "50 % blue"])} if number % 2 else {}
        yield row


@pytest.fixture
def dataset(project, max_, bring, monkeypatch):
    project.split_salt = "a salt of the tests"
    project.save()
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 7)
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 30)
    batch = bring(list(all_kinds_of_rows(90)), "ranked")
    # Of judgments that do not count nothing is written.
    task = batch.tasks.order_by("pk")[1]
    first = Judgment.objects.get(task=task)
    values = {field.attname: getattr(first, field.attname) for field in Judgment._meta.concrete_fields}
    values |= {"id": None, "supersedes_id": first.pk, "withdrawn": True, "idempotency_key": "taken back"}
    Judgment.objects.create(**values)
    return freeze_dataset(actor=max_, project=project)


@pytest.mark.parametrize("files", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    "options",
    [
        {"format": "records"},
        {"format": "trl"},
        {"format": "trl", "ties": "soft", "margin": "large", "split": "train"},
        {"format": "trl", "plain": True, "margin": "none"},
        {"format": "openrlhf", "columns": "documented"},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_columns_and_rows_give_the_same_bytes(dataset, max_, tmp_path, monkeypatch, options, files):
    at_once, by_row = tmp_path / "columns", tmp_path / "rows"
    manifest = export_preferences(actor=max_, dataset=dataset, out=at_once, files=files, **options)
    row_by_row = {name: dataclasses.replace(known, columns=None) for name, known in EXPORT_FORMATS.items()}
    monkeypatch.setattr("annotation.exporting.actions.EXPORT_FORMATS", row_by_row)
    export_preferences(actor=max_, dataset=dataset, out=by_row, files=files, **options)
    assert bytes_of(at_once) == bytes_of(by_row)
    assert len(manifest["files"]) > 1
    if "split" not in options:
        # 90 judgments, of which one was taken back.
        assert manifest["counts"]["groups"] == 89


def test_a_prompt_with_more_than_roles_and_contents_goes_row_by_row(project, max_, bring, tmp_path):
    """A named turn: JSON Lines have the name, as before."""
    row = {
        "prompt": [{"role": "user", "name": "Ada", "content": "Who am I?"}],
        "chosen": [{"role": "assistant", "content": "Ada."}],
        "rejected": [{"role": "assistant", "content": "Nobody."}],
    }
    bring([row], "trl")
    dataset = freeze_dataset(actor=max_, project=project)
    out = tmp_path / "out"
    export_preferences(actor=max_, dataset=dataset, out=out, format="trl", files="jsonl")
    [line] = [text for path in (out / "data").iterdir() for text in path.read_text().splitlines()]
    assert '"prompt":[{"role":"user","content":"Who am I?","name":"Ada"}]' in line


def test_files_of_an_earlier_version_go_row_by_row():
    """They have no column source_id, and their responses no turns."""
    earlier = JUDGMENTS.remove(JUDGMENTS.get_field_index("source_id"))
    assert raw_comparison_columns(pa.RecordBatch.from_pylist([], schema=earlier), {}) is None
    assert raw_comparison_columns(pa.RecordBatch.from_pylist([], schema=JUDGMENTS), {}) is not None


EXPORT = """
import sys
import django
django.setup()
from pathlib import Path
from annotation.datasets import shards
from annotation.exporting.actions import export_preferences
from annotation.models import PreferenceDataset
from workspace.models import User
shards.ROWS_PER_GROUP = 7
whole = shards.ShardWriter._write_groups
def tell(self, **how):
    whole(self, **how)
    print("written", flush=True)
    sys.stdin.readline()
shards.ShardWriter._write_groups = tell
export_preferences(
    actor=User.objects.get(username="max"), dataset=PreferenceDataset.objects.get(), out=Path(sys.argv[1])
)
"""


@pytest.mark.django_db(transaction=True)
def test_an_export_killed_in_the_middle_leaves_nothing_to_see_and_goes_again(
    dataset, max_, tmp_path, settings
):
    out = tmp_path / "exports" / "out"
    out.parent.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", USE_TEST_DATABASE + EXPORT, str(out)],
        env=os.environ
        | {
            "TEST_DATABASE": str(settings.DATABASES["default"]["NAME"]),
            "TEST_DATA_DIR": str(settings.DATA_DIR),
            "ROUNDTABLE_DATABASE_URL": os.environ.get("ROUNDTABLE_DATABASE_URL", ""),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "written\n"
    finally:
        child.kill()
        child.communicate()
    # A folder that no tool lists, with a part of the rows.
    [left] = out.parent.iterdir()
    assert left.name.startswith(".out.") and any((left / "data").iterdir())
    export_preferences(actor=max_, dataset=dataset, out=out)
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert sum(pq.read_metadata(path).num_rows for path in (out / "data").iterdir()) == 89


USE_TEST_DATABASE = """
import os
from pathlib import Path
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
settings.DATA_DIR = Path(os.environ["TEST_DATA_DIR"])
"""
