import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from annotation.content.splits import assign_split
from annotation.datasets import shards
from annotation.datasets.actions import describe_dataset, freeze_dataset
from annotation.datasets.files import dataset_comparisons, dataset_judgments
from annotation.exporting.actions import export_preferences, export_selection, stream_preferences
from annotation.exporting.formats.base import ExportRefused
from annotation.importing.sources import open_source
from annotation.models import PreferenceDataset, Prompt
from tests.annotation.exporting.conftest import SETS, ranked_rows
from workspace.actions import add_criterion, create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def export(max_, tmp_path):
    numbers = itertools.count()

    def export(dataset, **options):
        out = tmp_path / f"out{next(numbers)}"
        return out, export_preferences(actor=max_, dataset=dataset, out=out, **options)

    return export


@pytest.fixture
def dataset(project, max_, bring):
    # A fixed salt: with a random one, sixty prompts miss a split now and then.
    project.split_salt = "a salt of the tests"
    project.save()
    bring(list(ranked_rows(60)), "ranked")
    return freeze_dataset(actor=max_, project=project)


def rows_of(out):
    for path in sorted((out / "data").iterdir()):
        if path.suffix == ".parquet":
            yield from pq.read_table(path).to_pylist()
        else:
            yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def bytes_of(out):
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def meaning(rows):
    """Comparisons without what an installation calls them: prompt, answers and what is said of each pair."""
    found = Counter()
    for row in rows:
        order = sorted(range(len(row["responses"])), key=lambda place, row=row: row["responses"][place])
        found[
            json.dumps(
                [
                    row["prompt"],
                    [row["responses"][i] for i in order],
                    [[row["grade"][i][j] for j in order] for i in order],
                    [[row["soft_preference"][i][j] for j in order] for i in order],
                    row["ranks"] and [row["ranks"][i] for i in order],
                ]
            )
        ] += 1
    return found


# The real files take their time: they go with the slow tests.
ROUND_TRIPS = [
    pytest.param(name, files, id=f"{name}-{files}", marks=[] if "generated" in name else pytest.mark.slow)
    for name in SETS
    for files in ("parquet", "jsonl")
    if "generated" in name or files == "parquet"
]


@pytest.mark.parametrize(("name", "files"), ROUND_TRIPS)
def test_what_goes_out_as_trl_comes_back_as_the_same_comparisons(project, max_, bring, tmp_path, name, files):
    source, format, import_options = SETS[name]
    bring(source, format, **import_options)
    dataset = freeze_dataset(actor=max_, project=project)
    before = meaning(dataset_comparisons(dataset))
    out = tmp_path / "out"
    manifest = export_preferences(
        actor=max_, dataset=dataset, out=out, format="trl", ties="soft", files=files
    )
    other = create_project(actor=max_, name="Other")
    for path in sorted((out / "data").iterdir()):
        bring(path, "trl", into=other)
    after = meaning(dataset_comparisons(freeze_dataset(actor=max_, project=other)))
    assert after == before
    assert manifest["counts"]["rows"] == sum(1 for _ in rows_of(out))


@pytest.mark.parametrize("format", ["records", "judgments"])
@pytest.mark.parametrize("files", ["parquet", "jsonl"])
@pytest.mark.parametrize("name", ["generated rankings", "generated pair labels"])
def test_our_own_records_come_back_as_the_same_comparisons(
    project, max_, bring, tmp_path, name, format, files
):
    source, import_format, import_options = SETS[name]
    bring(source, import_format, **import_options)
    dataset = freeze_dataset(actor=max_, project=project)
    export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format=format, files=files)
    other = create_project(actor=max_, name="Other")
    for path in sorted((tmp_path / "out" / "data").iterdir()):
        bring(path, "records", into=other)
    again = freeze_dataset(actor=max_, project=other)
    for consensus in (False, True) if format == "judgments" else (False,):
        assert meaning(dataset_comparisons(again, consensus=consensus)) == meaning(
            dataset_comparisons(dataset, consensus=consensus)
        )


def test_rankings_without_ties_survive_the_view_that_drops_ties(project, max_, bring, tmp_path):
    rows = [row for row in ranked_rows(80) if len(set(row["ranks"])) > 1]
    bring(rows, "ranked")
    dataset = freeze_dataset(actor=max_, project=project)
    manifest = export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format="trl")
    assert manifest["counts"]["ties_dropped"] > 0
    other = create_project(actor=max_, name="Other")
    for path in sorted((tmp_path / "out" / "data").iterdir()):
        bring(path, "trl", into=other)
    again = freeze_dataset(actor=max_, project=other)
    assert meaning(dataset_comparisons(again)) == meaning(dataset_comparisons(dataset))


def test_pairs_that_nobody_compared_do_not_come_back_as_ties(project, max_, bring, tmp_path):
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
    other = create_project(actor=max_, name="Other")
    for path in sorted((tmp_path / "out" / "data").iterdir()):
        bring(path, "trl", into=other)
    again = freeze_dataset(actor=max_, project=other)
    assert meaning(dataset_comparisons(again, consensus=True)) == before


def test_the_same_dataset_exported_twice_is_the_same_to_the_byte(project, max_, bring, dataset, export):
    for seed, options in enumerate(
        (
            {"format": "records"},
            {"format": "judgments", "files": "jsonl"},
            {"format": "trl", "consensus": True},
        ),
        start=9,
    ):
        first, _ = export(dataset, **options)
        time.sleep(0.01)
        bring(list(ranked_rows(5, seed=seed)), "ranked")  # what happens later does not matter
        second, _ = export(dataset, **options)
        assert bytes_of(first) == bytes_of(second)


def test_the_manifest_counts_and_signs_every_file(dataset, export, project):
    out, manifest = export(dataset, format="trl")
    assert json.loads((out / "manifest.json").read_text()) == manifest
    for file in manifest["files"]:
        data = (out / file["name"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert file["bytes"] == len(data)
    rows = list(rows_of(out))
    counts = manifest["counts"]
    assert sum(file["rows"] for file in manifest["files"]) == len(rows) == counts["rows"]
    assert counts["groups"] == 60
    pairs = sum(len(row["responses"]) * (len(row["responses"]) - 1) // 2 for row in ranked_rows(60))
    assert counts["ties_dropped"] + counts["rows"] == pairs
    assert manifest["tie_policy"] == "drop"
    assert manifest["project"] == project.slug
    assert project.split_salt not in (out / "manifest.json").read_text()


def test_the_same_snapshot_gives_the_same_bytes_whenever_and_however_it_is_asked(
    dataset, export, monkeypatch
):
    """The card, its pictures and the archive too, a year later, from figures counted anew and in other parts."""
    describe_dataset(
        actor=dataset.created_by, dataset=dataset, licence="CC-BY-4.0", description="Whom we *asked*."
    )
    first, _ = export(dataset)
    monkeypatch.setattr("time.time", lambda: 1_900_000_000.0)
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2030, 3, 17, tzinfo=UTC))
    monkeypatch.setattr("annotation.datasets.statistics.ROWS_AT_ONCE", 7)
    PreferenceDataset.objects.filter(pk=dataset.pk).update(statistics=None)
    later, _ = export(PreferenceDataset.objects.get(pk=dataset.pk))
    assert bytes_of(later) == bytes_of(first)
    assert {path.name for path in bytes_of(first)} > {"time.svg", "grades.svg", "README.md"}
    archives = [b"".join(stream_preferences(actor=dataset.created_by, dataset=dataset)[1]) for _ in range(2)]
    assert archives[0] == archives[1]


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


def test_ties_are_never_turned_into_preferences(dataset, export):
    dropped, hard = export(dataset, format="trl")
    assert all(row["soft_label"] > 0.5 for row in rows_of(dropped))
    soft, manifest = export(dataset, format="trl", ties="soft")
    ties = [row for row in rows_of(soft) if row["soft_label"] == 0.5]
    assert len(ties) == manifest["counts"]["ties_written"] == hard["counts"]["ties_dropped"] > 0
    assert all(row["strength"] == 0 and row["margin"] == 0 for row in ties)


@pytest.mark.parametrize(
    ("table", "margins"), [("small", [0, 1 / 3, 2 / 3, 1]), ("large", [0, 1, 2, 3]), ("none", [0] * 4)]
)
def test_margins_are_llama_2s_tables(dataset, export, table, margins):
    out, _ = export(dataset, format="trl", margin=table)
    seen = {row["strength"]: row["margin"] for row in rows_of(out)}
    assert seen == {strength: pytest.approx(margin) for strength, margin in enumerate(margins)}


def test_pairs_know_their_group(dataset, export):
    out, _ = export(dataset, format="trl")
    groups = {}
    for row in rows_of(out):
        groups.setdefault(row["group_id"], []).append(row)
    for rows in groups.values():
        assert [row["pair_index"] for row in rows] == list(range(len(rows)))
        assert {row["n_pairs_in_group"] for row in rows} == {len(rows)}


def test_no_prompt_is_on_two_sides_and_the_files_are_the_frozen_splits(dataset, export):
    out, _ = export(dataset, format="records")
    assert {path.name.split("-")[0] for path in (out / "data").iterdir()} == {"train", "validation", "test"}
    frozen = {json.dumps(prompt.messages): prompt.split for prompt in Prompt.objects.all()}
    sides = {}
    for path in (out / "data").iterdir():
        for row in pq.read_table(path).to_pylist():
            # Parquet gives every message all columns: those it does not have are null.
            prompt = json.dumps([{k: v for k, v in turn.items() if v is not None} for turn in row["prompt"]])
            assert row["split"] == path.name.split("-")[0] == frozen[prompt]
            sides.setdefault(prompt, set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())


def test_one_split_alone(dataset, export):
    whole, manifest = export(dataset, format="records")
    out, only = export(dataset, format="records", split="validation")
    assert [path.name.split("-")[0] for path in (out / "data").iterdir()] == ["validation"]
    assert only["counts"]["rows"] == manifest["counts"]["validation"]
    assert "split: train" not in (out / "README.md").read_text()


def test_plain_text_has_transcripts_where_a_prompt_has_several_turns(dataset, export):
    out, _ = export(dataset, format="trl", plain=True)
    prompts = {row["prompt"] for row in rows_of(out)}
    assert any(prompt.startswith("Question") for prompt in prompts)
    assert any(
        prompt.startswith("\n\nSystem: Be short.\n\nHuman: Question")
        and prompt.endswith("That one.\n\nAssistant:")
        for prompt in prompts
    )
    assert all(isinstance(row["chosen"], str) for row in rows_of(out))


def test_long_exports_are_sharded(dataset, export, monkeypatch):
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 20)
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 10)
    out, manifest = export(dataset, format="records")
    names = sorted(path.name for path in (out / "data").glob("train-*"))
    assert len(names) > 1
    assert names == [f"train-{n:05d}.parquet" for n in range(len(names))]
    assert [file["rows"] for file in manifest["files"] if "train" in file["name"]][:-1] == [20] * (
        len(names) - 1
    )


def test_nothing_is_written_over_and_nothing_stays_of_a_failed_export(
    dataset, export, max_, tmp_path, monkeypatch
):
    taken = tmp_path / "taken"
    taken.mkdir()
    export_preferences(actor=max_, dataset=dataset, out=taken)  # an empty folder is free
    before = bytes_of(taken)
    with pytest.raises(ExportRefused, match="is there already"):
        export_preferences(actor=max_, dataset=dataset, out=taken)
    assert bytes_of(taken) == before

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("annotation.exporting.actions.write_and_sync", full)
    with pytest.raises(ExportRefused, match="cannot be written: No space left on device"):
        export_preferences(actor=max_, dataset=dataset, out=tmp_path / "full")
    assert sorted(path.name for path in tmp_path.iterdir() if "full" in path.name) == []


def test_a_refused_export_leaves_no_dataset_and_no_folder_behind(project, max_, bring, tmp_path, settings):
    bring([{"prompt": "Why?", "responses": ["a", "b"], "ranks": [0, 0]}], "ranked")
    root = Path(settings.DATA_DIR) / "datasets"
    before = sorted(root.iterdir()) if root.exists() else []
    common = {"actor": max_, "project": project, "selection": {}, "out": tmp_path / "new" / "deep" / "x"}
    why = r"no row for the one comparison of .*\(1: tied pairs left out; --ties soft writes them"
    with pytest.raises(ExportRefused, match=why):
        export_selection(**common, format="trl")
    assert not project.preference_datasets.exists()
    assert sorted(root.iterdir()) == before
    assert not (tmp_path / "new").exists()
    export_selection(**common, format="trl", ties="soft")
    kept = project.preference_datasets.get()
    with pytest.raises(ExportRefused, match=why):
        export_selection(**common | {"out": tmp_path / "y"}, format="trl")  # an earlier dataset stays
    assert project.preference_datasets.get() == kept


@pytest.mark.parametrize("out", ["x" * 300, "file/x", "file/deep/x"])
def test_a_folder_that_cannot_be_is_one_sentence(dataset, export, max_, tmp_path, out):
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ExportRefused, match="cannot be written: (File name too long|Not a directory).$"):
        export_preferences(actor=max_, dataset=dataset, out=tmp_path / out)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("option", ["format", "split", "ties", "margin", "files"])
def test_an_unknown_option_is_one_sentence(dataset, export, option):
    with pytest.raises(ExportRefused, match="There is no .* “moon”: use "):
        export(dataset, **{option: "moon"})


def test_pairs_of_two_criteria_are_never_mixed(project, max_, bring, export):
    add_criterion(actor=max_, project=project, name="harmless", question="Which is less harmful?")
    for criterion in ("helpful", "harmless"):
        bring(list(ranked_rows(10)), "ranked", criterion=criterion)
    both = freeze_dataset(actor=max_, project=project)
    with pytest.raises(ExportRefused, match="name one with --criterion"):
        export(both, format="trl")
    export(both, format="records")
    one = freeze_dataset(actor=max_, project=project, criterion=project.criteria.get(name="harmless"))
    _, manifest = export(one, format="trl")
    assert manifest["criteria"] == ["harmless"]


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


def test_a_strength_that_nobody_gave_is_null_in_every_export(project, max_, bring, export):
    """Three pairs without a strength, one with 0: four rows, one 0 and three nulls, never four noughts."""
    rows = [{"prompt": f"Q{n}?", "chosen": "good", "rejected": "bad"} for n in range(3)]
    batch = bring([*rows, rows[0] | {"prompt": "Q3?", "strength": 0}])

    def by_prompt(out):  # files are one a split
        return sorted(rows_of(out), key=lambda row: row["prompt"][-1]["content"])

    dataset = freeze_dataset(actor=max_, project=project, batches=[batch])
    for files in ("jsonl", "parquet"):
        judgments, _ = export(dataset, format="judgments", files=files)
        assert [row["strengths"] for row in by_prompt(judgments)] == [[None]] * 3 + [[0]]
        pairs, manifest = export(dataset, format="trl", files=files)
        assert [(row["strength"], row["margin"]) for row in by_prompt(pairs)] == [(None, None)] * 3 + [
            (0, 0.0)
        ]
        without, _ = export(dataset, format="trl", files=files, margin="none")
        assert [row["margin"] for row in by_prompt(without)] == [
            0.0
        ] * 4  # asked for, for trainers that need a number
        assert manifest["counts"]["pairs_without_strength"] == 3
    records, _ = export(dataset, format="records")
    assert [row["grade"] for row in by_prompt(records)] == [[[None, None]] * 2] * 3 + [
        [[None, 0], [None, None]]
    ]
