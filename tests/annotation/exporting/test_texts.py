"""Texts go out as records and come back in."""

import hashlib
import json

import pytest
from django.core.management import call_command

from annotation.content.actions import NewText, add_texts
from annotation.exporting.actions import export_texts
from annotation.exporting.formats.base import ExportRefused
from annotation.importing.contents.actions import import_texts
from annotation.models import Text
from workspace.actions import create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def texts(project, max_):
    rows = [
        NewText(text=f"Text\u2028 {n}.", text_id=f"t{n}", licence=["CC0", "", "CC|BY"][n % 3], split=split)
        for n, split in enumerate(("train", "train", "validation", "test"))
    ]
    add_texts(actor=max_, project=project, rows=rows)
    return rows


@pytest.mark.parametrize("files", ["parquet", "jsonl"])
def test_an_export_comes_back_in_another_project_unchanged(
    project, max_, olga, texts, tmp_path, files, monkeypatch
):
    for name in ("one", "two"):
        call_command("export_texts", project.slug, str(tmp_path / name), "--files", files, verbosity=0)
    contents = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    ]
    assert contents[0] == contents[1] and len(contents[0]) == 5
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert manifest["licences"] == {"": 1, "CC0": 2, "CC|BY": 1}
    for file in manifest["files"]:
        data = (tmp_path / "one" / file["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
    other = create_project(actor=olga, name="Other")
    import_texts(actor=max_, project=other, path=tmp_path / "one")
    columns = ("external_id", "text", "licence", "split")
    mine, theirs = (
        list(Text.objects.filter(project=p).order_by("external_id").values_list(*columns))
        for p in (project, other)
    )
    assert mine == theirs and len(mine) == 4


def test_datasets_reads_the_folder(project, texts, max_, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    from datasets import load_dataset

    export_texts(actor=max_, project=project, out=tmp_path / "out")
    found = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in found.items()} == {"train": 2, "validation": 1, "test": 1}
    row = {"text_id": "t3", "text": "Text\u2028 3.", "licence": "CC0", "split": "test"}
    assert found["test"][0] == row | {"source_id": None, "metadata": None}


def test_a_split_alone_and_nothing_and_a_taken_folder(project, texts, max_, tmp_path):
    manifest = export_texts(actor=max_, project=project, out=tmp_path / "test", split="test")
    assert [file["rows"] for file in manifest["files"]] == [1]
    with pytest.raises(ExportRefused, match="is there already"):
        export_texts(actor=max_, project=project, out=tmp_path / "test")
    Text.objects.all().delete()
    with pytest.raises(ExportRefused, match="has no text in this selection"):
        export_texts(actor=max_, project=project, out=tmp_path / "none")
    assert not (tmp_path / "none").exists() and len(list(tmp_path.iterdir())) == 1
