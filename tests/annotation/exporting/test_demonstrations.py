"""Demonstrations go out as messages, texts or records, by command and page, and come back in."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.datasets import shards
from annotation.exporting.demonstrations import stream_demonstrations
from annotation.importing.contents.actions import import_demonstrations
from annotation.records import demonstration_rows
from workspace.actions import create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


CALL = [{"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"q": 1}'}}]
ROWS = [
    {
        "prompt": "Tea?",
        "response": "=Yes\u2028, “please” 👩‍🍳",
        "author": "ada w",
        "split": "test",
        "stars": 4.5,
    },
    {
        "prompt": [user("Soup?"), said("Which\n\none?"), user("'Leek")],
        "response": "Stir\n\n- well",
        "split": "train",
    },
    {"prompt": [{"role": "system", "content": "Short."}, user("Bread?")], "response": "@Rye", "id": "row 3"},
    {"prompt": "Tea?", "response": "No", "split": "test"},
]
RESULT = {"role": "tool", "content": "no", "tool_call_id": "c"}
WITH_CALLS = {"prompt": [user("Rain?"), said("") | {"tool_calls": CALL}, RESULT], "response": "Dry"}


def bring(project, actor, tmp_path, rows):
    path = tmp_path / f"{project.slug}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_demonstrations(actor=actor, project=project, path=path)


def told(project):
    return Counter(
        json.dumps({name: value for name, value in row.items() if name != "author"}, sort_keys=True)
        + str(row["author"] is None)
        for row in demonstration_rows(project)
    )


@pytest.mark.parametrize("files", ["parquet", "jsonl"])
@pytest.mark.parametrize("options", [["--format", "sft"], ["--format", "sft", "--plain"], []])
def test_what_goes_out_comes_back_in_another_project(project, max_, tmp_path, files, options):
    rows = ROWS if "--plain" in options else [*ROWS, WITH_CALLS]
    bring(project, max_, tmp_path, rows)
    out = tmp_path / "out"
    call_command(
        "export_demonstrations", project.slug, str(out), "--files", files, *options, stdout=io.StringIO()
    )
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"]["rows"] == len(rows) and manifest["losses"] == {}
    other = create_project(actor=max_, name="Other")
    import_demonstrations(actor=max_, project=other, path=out)
    assert told(other) == told(project) and told(project).total() == len(rows)


def test_messages_are_the_prompt_and_then_the_response(project, max_, tmp_path):
    bring(project, max_, tmp_path, ROWS[1:2])
    out = tmp_path / "out"
    call_command(
        "export_demonstrations",
        project.slug,
        str(out),
        "--format",
        "sft",
        "--files",
        "jsonl",
        stdout=io.StringIO(),
    )
    (row,) = [json.loads(line) for line in (out / "data" / "train-00000.jsonl").read_text().splitlines()]
    assert row["messages"] == [*ROWS[1]["prompt"], said("Stir\n\n- well")]


def test_what_text_cannot_hold_and_what_is_not_there_is_refused(project, max_, tmp_path):
    with pytest.raises(CommandError, match="has no demonstration in this selection"):
        call_command("export_demonstrations", project.slug, str(tmp_path / "out"))
    bring(project, max_, tmp_path, [WITH_CALLS, ROWS[0]])
    with pytest.raises(CommandError, match="1 of 2 demonstrations have tool calls"):
        call_command(
            "export_demonstrations", project.slug, str(tmp_path / "out"), "--format", "sft", "--plain"
        )
    with pytest.raises(CommandError, match="no prompt set “none”; there is demonstrations"):
        call_command("export_demonstrations", project.slug, str(tmp_path / "out"), "--prompt-set", "none")
    assert not (tmp_path / "out").exists()


def lying_on_the_disk(settings):
    return [path for path in (Path(settings.DATA_DIR) / "downloads").rglob("*") if path.is_file()]


def test_an_archive_never_lies_whole_on_the_disk(project, max_, tmp_path, settings, monkeypatch):
    settings.DATA_DIR = tmp_path / "data"
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 2)
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 2)
    rows = [{"prompt": f"Tea {number}?", "response": "Yes", "split": "train"} for number in range(9)]
    bring(project, max_, tmp_path, rows)
    name, content = stream_demonstrations(actor=max_, project=project, files="jsonl")
    sent, most = b"", 0
    for part in content:
        sent += part
        most = max(most, len(lying_on_the_disk(settings)))
    with zipfile.ZipFile(io.BytesIO(sent)) as packed:
        manifest = json.loads(packed.read(f"{name[:-4]}/manifest.json"))
        lines = [packed.read(f"{name[:-4]}/{file['name']}").count(b"\n") for file in manifest["files"]]
    assert (lines, [file["rows"] for file in manifest["files"]]) == ([2, 2, 2, 2, 1], [2, 2, 2, 2, 1])
    assert most == 1 and not lying_on_the_disk(settings)


def test_the_page_gives_the_files_of_the_command(client, project, ada, ruth, max_, tmp_path, settings):
    bring(project, max_, tmp_path, ROWS)
    call_command(
        "export_demonstrations", project.slug, str(tmp_path / "out"), "--format", "sft", stdout=io.StringIO()
    )
    address = reverse("data:download_demonstrations", args=[project.slug])
    for other in (ada, ruth):
        client.force_login(other)
        assert client.get(address).status_code in (403, 404)
    settings.DATA_DIR = tmp_path / "data"
    client.force_login(max_)
    assert "Download demonstrations" in client.get(address).content.decode()
    archive = client.get(address, {"format": "sft", "files": "parquet", "split": "", "prompt_set": ""})
    with zipfile.ZipFile(io.BytesIO(b"".join(archive.streaming_content))) as packed:
        found = {name.split("/", 1)[1]: packed.read(name) for name in packed.namelist()}
    folder = tmp_path / "out"
    written = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == written and len(found) >= 4
    assert not lying_on_the_disk(settings)
    refused = client.get(address, {"format": "records", "files": "jsonl", "plain": "on"})
    assert refused.status_code == 422 and "Only the format sft" in refused.content.decode()
