"""Folders of exports as the library `datasets` loads them, offline."""

import json
import os
import subprocess
import sys

import pytest

from annotation.content.splits import assign_split
from annotation.datasets.actions import freeze_dataset
from tests.annotation.exporting.folders import rows_of

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def unlike_splits(project):
    """Judgments whose test split alone has policies, sampling, marks and a second annotator."""
    for number in range(120):
        prompt = [{"role": "user", "content": f"Question {number}?"}]
        in_test = assign_split(prompt, project.split_salt) == "test"
        responses = [
            {"response_id": f"r{number}{name}", "text": f"answer {name}"}
            | (
                {"source": "policy", "policy": "p", "sampling": {"top_k": 3}, "marks": {'ha"rm': 1.0}}
                if in_test
                else {}
            )
            for name in "ab"
        ]
        for who in ("w1", "w2") if in_test else ("w1",):
            yield {
                "judgment_id": f"{number}{who}", "prompt": prompt, "responses": responses, "strengths": [1],
                "tiers": [[response["response_id"]] for response in responses], "annotator": who,
            }  # fmt: skip


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
def test_splits_load_together_though_a_column_is_empty_in_one_of_them(
    project, max_, bring, export, tmp_path, files
):
    bring(list(unlike_splits(project)), "records")
    dataset = freeze_dataset(actor=max_, project=project)
    folders = [
        export(dataset, format=format, consensus=format != "judgments", files=files)[0]
        for format in ("judgments", "records", "trl")
    ]
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL, *folders],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    judgments, records, pairs = map(json.loads, done.stdout.splitlines()[-3:])
    response = judgments["test"]["responses"][0]
    assert (response["policy"], response["sampling"]["top_k"]) == ("p", 3)
    marks = response["marks"]
    assert (marks if files == "jsonl" else {mark["key"]: mark["value"] for mark in marks}) == {'ha"rm': 1.0}
    assert judgments["train"]["responses"][0]["policy"] is None
    assert judgments["test"]["created_at"].endswith("Z")
    for rows in (records, pairs):
        assert (rows["train"]["agreement"], rows["test"]["agreement"]) == (None, 1.0)


LOAD_ALL = """
import json, sys
import datasets
for folder in sys.argv[1:]:
    print(json.dumps({name: split[0] for name, split in datasets.load_dataset(folder).items()}))
"""

LOAD = """
import json, sys
import datasets
loaded = datasets.load_dataset(sys.argv[1])
first = {name: split[0] for name, split in loaded.items()}
print(json.dumps([{name: split.num_rows for name, split in loaded.items()}, sorted(first["train"]), first["train"]]))
"""


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "options",
    [
        {"format": "trl"},
        pytest.param({"format": "trl", "plain": True, "files": "jsonl"}, marks=pytest.mark.slow),
        pytest.param({"format": "records"}, marks=pytest.mark.slow),
        {"format": "judgments"},
        {"format": "judgments", "files": "jsonl"},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_datasets_loads_the_folder_offline(dataset, export, tmp_path, options):
    out, manifest = export(dataset, **options)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(out)],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts, columns, first = json.loads(done.stdout.splitlines()[-1])
    assert counts == {name: manifest["counts"][name] for name in ("train", "validation", "test")}
    expected = next(rows_of(out.parent / out.name))
    assert columns == sorted(expected)
    if options["format"] == "trl":
        assert type(first["prompt"]) is (str if options.get("plain") else list)
        assert {"prompt", "chosen", "rejected", "margin", "group_id"} <= set(columns)
