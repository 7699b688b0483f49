import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from annotation.datasets import shards
from annotation.datasets.actions import describe_dataset, freeze_dataset
from annotation.exporting.actions import export_preferences, export_selection, stream_preferences
from annotation.exporting.formats.base import ExportRefused
from annotation.models import PreferenceDataset, Prompt
from tests.annotation.exporting.conftest import ranked_rows
from tests.annotation.exporting.folders import bytes_of, rows_of
from workspace.actions import add_criterion

pytestmark = [pytest.mark.db, pytest.mark.django_db]


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
