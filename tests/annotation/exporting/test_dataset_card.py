"""The card of an export: its licence, size and figures, and its columns."""

import os
import re
import subprocess
import sys
from collections import Counter

import pytest
import yaml

from annotation.datasets.actions import describe_dataset
from annotation.datasets.files import dataset_judgments
from annotation.importing.sources import open_source

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_the_card_says_licence_size_and_figures(dataset, export):
    describe_dataset(
        actor=dataset.created_by, dataset=dataset, licence="CC-BY-4.0", description="Whom we *asked*."
    )
    out, manifest = export(dataset, format="trl", split="train")
    card = (out / "README.md").read_text()
    _, head, body = card.split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["license"] == "cc-by-4.0" and said["size_categories"] == ["n<1K"]
    assert said["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
    ]
    assert "Whom we *asked*." in body
    # The snapshot's judgments, whatever split of it was exported.
    judgments = list(dataset_judgments(dataset))
    assert f"| judgments that count | {len(judgments)} |" in body
    by_split = Counter(row["split"] for row in judgments)
    assert f"| train | {by_split['train']} |" in body and f"| test | {by_split['test']} |" in body
    shown = re.findall(r"\]\((pictures/[a-z]+\.svg)\)", body)
    assert shown and {out / name for name in shown} == set((out / "pictures").iterdir())
    # An import of the folder reads the data and nothing else.
    assert {file.path for file in open_source(out).files} == set((out / "data").iterdir())


def test_the_card_says_of_the_columns_what_datasets_would(dataset, export):
    """Of every format, in both kinds of files; marks are objects in JSON Lines, and here there are none."""
    cards = [
        export(dataset, format=format, files=files)[0] / "README.md"
        for format in ("records", "judgments", "trl")
        for files in ("parquet", "jsonl")
    ]
    done = subprocess.run(
        [sys.executable, "-c", CARDS, *cards],
        env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


CARDS = """
import sys, yaml
from datasets import Features
from pyarrow import schema, field, struct, list_
from annotation.exporting.formats.records import _judgment_schema
from annotation.exporting.formats.base import ExportOptions
from annotation.exporting.formats.trl import trl_schema
from learning.interface.record_schemas import COMPARISONS
parquet = _judgment_schema()
kinds = [field(f.name, struct([])) if f.name == "marks" else f for f in parquet.field("responses").type.value_type]
jsonl = parquet.set(parquet.get_field_index("responses"), field("responses", list_(struct(kinds))))
schemas = [COMPARISONS, COMPARISONS, parquet, jsonl, trl_schema(ExportOptions()), trl_schema(ExportOptions())]
for card, columns in zip(sys.argv[1:], schemas, strict=True):
    said = yaml.safe_load(open(card).read().split("---")[1])["dataset_info"]["features"]
    assert said == Features.from_arrow_schema(columns)._to_yaml_list(), card
"""
