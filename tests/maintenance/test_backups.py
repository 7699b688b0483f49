"""What a folder of backups promises: whole or not there, nothing twice, damage found, a site never overwritten."""

import errno
import json
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from annotation.datasets.actions import freeze_dataset
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from maintenance.backups import database_dumps, making, restoring
from maintenance.backups.errors import BackupError
from maintenance.backups.making import make_backup
from maintenance.backups.manifest import backup_names, find_manifests, read_manifest, verify_backup
from maintenance.backups.object_store import ObjectStore
from runs.actions import register_artifact
from runs.artifacts import hash_path
from runs.models import Artifact, Run
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


@pytest.fixture
def judged_site(project, max_, make_batch, make_annotators, data_dir, tmp_path):
    """A site with judgments, a dataset of them, a model in the data folder and one outside."""
    make_batch(tasks=2)
    (ada,) = make_annotators(1)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    assignment = claim_task(actor=ada, project=project)
    submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key="k" * 32)
    freeze_dataset(actor=max_, project=project, name="first")
    for place in (data_dir / "models" / "base", tmp_path / "outside" / "liked"):
        place.mkdir(parents=True)
        (place / "model.safetensors").write_bytes(place.name.encode() * 1000)
        (place / "config.json").write_text("{}")
        register_artifact(actor=max_, project=project, kind="policy", path=place)
    (data_dir / "secret_key").write_text("s" * 50)
    (data_dir / "static").mkdir()
    (data_dir / "static" / "made_again.css").write_text("a {}")
    (data_dir / "datasets" / ".half.partial").mkdir()
    (data_dir / "datasets" / ".half.partial" / "judgments.partial").write_text("half")
    return data_dir


def contents(folder):
    return {path.name for path in folder.glob("objects/*/*")}


def test_a_second_backup_stores_only_what_is_new(judged_site, folder, tmp_path):
    first = make_backup(folder)
    paths = {stored.path for stored in first.manifest.files}
    # One dataset of two files, and the model; the key, static files and the half-written dataset are left out.
    assert {path for path in paths if not path.startswith("datasets/")} == {
        "models/base/model.safetensors",
        "models/base/config.json",
    }
    assert len([path for path in paths if path.startswith("datasets/")]) == 2
    (outside,) = first.manifest.outside
    assert outside.path == str(tmp_path / "outside" / "liked")
    assert first.manifest.database.rows["annotation_judgment"] == 1
    before = contents(folder)
    # Four files of models (the two config.json are equal), two of the dataset, one database.
    assert len(before) == 3 + 2 + 1

    (judged_site / "models" / "base" / "new.txt").write_text("new")
    second = make_backup(folder)
    new = contents(folder) - before
    assert {path.read_bytes() for path in folder.glob("objects/*/*") if path.name in new} - {
        (
            folder / "objects" / second.manifest.database.sha256[:2] / second.manifest.database.sha256
        ).read_bytes()
    } == {b"new"}
    # A file that somebody put into a model is no longer the model that was recorded: made, and said.
    base = Artifact.objects.get(path="models/base")
    assert [fault.split(":")[0] for fault in second.manifest.faults] == [f"artifact {base.pk} (models/base)"]
    assert [manifest.name for manifest in find_manifests(folder)] == [
        first.manifest.name,
        second.manifest.name,
    ]
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, f"{path} is readable by others"


def test_an_unchanged_file_is_not_read_again_and_a_changed_one_is(judged_site, folder, monkeypatch):
    old = int(time.time()) - 3600
    model = judged_site / "models" / "base" / "model.safetensors"
    os.utime(model, (old, old))
    make_backup(folder)
    read = []
    put = ObjectStore.put
    monkeypatch.setattr(ObjectStore, "put", lambda self, path: read.append(path) or put(self, path))
    second = make_backup(folder).manifest
    assert model not in read
    # Same size, same time to the second, other content: the time in nanoseconds tells.
    model.write_bytes(b"esab" * 1000)
    os.utime(model, ns=(old * 10**9 + 1, old * 10**9 + 1))
    third = make_backup(folder).manifest
    assert model in read
    stored = [{f.path: f.sha256 for f in manifest.files} for manifest in (second, third)]
    assert stored[0]["models/base/model.safetensors"] != stored[1]["models/base/model.safetensors"]


def test_an_interrupted_backup_is_none_and_the_next_one_clears_what_it_left(judged_site, folder, monkeypatch):
    first = make_backup(folder).manifest

    class Killed(BaseException):
        pass

    def die(store, manifest):
        raise Killed

    @contextmanager
    def killed_while_writing(self):
        # A killed process tidies nothing.
        self.temporary.mkdir(exist_ok=True)
        yield self.temporary

    with monkeypatch.context() as patch:
        patch.setattr(making, "write_manifest", die)
        patch.setattr(ObjectStore, "temporary_folder", killed_while_writing)
        with pytest.raises(Killed):
            make_backup(folder)
        (folder / "tmp" / "left").write_text("half")
    assert any((folder / "tmp").iterdir())
    assert [manifest.name for manifest in find_manifests(folder)] == [first.name]
    second = make_backup(folder).manifest
    assert backup_names(ObjectStore.open(folder)) == [first.name, second.name]
    assert not any((folder / "tmp").glob("*"))
    store = ObjectStore.open(folder)
    assert verify_backup(store, first) == verify_backup(store, second) == []


def test_a_full_disk_is_one_sentence_and_breaks_nothing(judged_site, folder, monkeypatch):
    first = make_backup(folder).manifest
    before = contents(folder)

    def full(self, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    (judged_site / "models" / "base" / "new.txt").write_text("new")
    with (
        monkeypatch.context() as patch,
        pytest.raises(BackupError, match="is full: no backup was made") as refused,
    ):
        patch.setattr(ObjectStore, "put", full)
        make_backup(folder)
    assert str(refused.value).count(". ") <= 1
    assert contents(folder) == before
    assert [manifest.name for manifest in find_manifests(folder)] == [first.name]
    assert verify_backup(ObjectStore.open(folder), first) == []


def test_only_the_newest_are_kept_when_asked_for_and_what_they_share_stays(judged_site, folder):
    extra = judged_site / "models" / "passing.bin"
    extra.write_bytes(b"only in the first" * 100)
    first = make_backup(folder).manifest
    gone = next(f.sha256 for f in first.files if f.path == "models/passing.bin")
    extra.unlink()
    second = make_backup(folder).manifest
    assert gone in contents(folder)
    third = make_backup(folder, keep=2)
    assert third.dropped == (first.name,)
    assert gone not in contents(folder)
    # At least those bytes; the first backup's database may be one more.
    assert third.bytes_freed >= 1700
    store = ObjectStore.open(folder)
    assert verify_backup(store, second) == verify_backup(store, third.manifest) == []


def test_damage_is_found_and_not_restored(judged_site, folder, new_site, capsys):
    manifest = make_backup(folder).manifest
    store = ObjectStore.open(folder)
    stored = next(f for f in manifest.files if f.path == "models/base/model.safetensors")
    path = store.path(stored.sha256)
    damaged = bytearray(path.read_bytes())
    damaged[7] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CommandError, match="1 backup of 1 damaged"):
        call_command("backup", str(folder), "--verify")
    assert "models/base/model.safetensors was changed (sha256)" in capsys.readouterr().out
    said = new_site.manage("restore", folder, expected=2)
    assert "The backup is damaged and was not restored: " in said
    assert list(new_site.data_dir.iterdir()) == []
    # Copied once more it is whole again.
    (judged_site / "models" / "base" / "model.safetensors").touch()
    make_backup(folder)
    assert verify_backup(store, manifest) == []
    whole = json.loads((folder / "backups" / f"{manifest.name}.json").read_text())
    whole["backup"]["files"].pop()
    (folder / "backups" / f"{manifest.name}.json").write_text(json.dumps(whole))
    with pytest.raises(BackupError, match="is damaged"):
        read_manifest(store, manifest.name)


def test_a_folder_of_something_else_is_not_written_into(judged_site, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("mine")
    with pytest.raises(BackupError, match="is not empty and holds no backups"):
        make_backup(home)
    with pytest.raises(BackupError, match="holds the data folder itself"):
        make_backup(judged_site.parent)
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_restored_elsewhere_every_row_and_file_is_the_same(
    judged_site, this_site, folder, new_site, project, max_, tmp_path
):
    outside = tmp_path / "outside" / "liked"
    # What a user has done and what the program keeps for itself: everything but a run's place on a machine.
    run = Run.objects.create(
        project=project, kind="sft", title="Fine-tune", config={"path": str(outside)}, requested_by=max_
    )
    (run.path / "inputs").mkdir(parents=True)
    (run.path / "config.json").write_text(json.dumps({"options": {"path": str(outside)}}))
    tables = sorted(make_backup(folder).manifest.database.rows)
    # Of sites of commands: rows are compared as both databases give them, not as this program reads them.
    before = {table: this_site.rows(table) for table in tables}
    assert len(before["annotation_judgment"]) == 1 and len(before[AuditEvent._meta.db_table]) > 3
    assert new_site.data_dir.is_dir()
    shutil.rmtree(outside)
    new_site.manage("migrate", "-v0")  # as `make setup` leaves it
    (new_site.data_dir / "secret_key").write_text("of the new machine" * 3)
    said = new_site.manage("restore", folder)
    assert f"Restored {backup_names(ObjectStore.open(folder))[0]}" in said

    changed = {table for table in tables if new_site.rows(table) != before[table]}
    assert changed == {"runs_artifact", "runs_run"}, "the model that lay outside lies in the data folder now"
    name = f"models/liked-{Artifact.objects.get(path=str(outside)).pk}"
    assert {row["path"] for row in new_site.rows("runs_artifact")} == {"models/base", name}
    assert name in str(new_site.rows("runs_run")[0]["config"])
    assert hash_path(new_site.data_dir / name).sha256 == Artifact.objects.get(path=str(outside)).sha256
    assert "2 artifacts, 0 results and 1 dataset read" in new_site.manage("reconcile")
    assert (new_site.data_dir / "secret_key").read_text() == "of the new machine" * 3

    said = new_site.manage("restore", folder, expected=2)
    assert "is not empty" in said and "nothing is overwritten" in said
    shutil.rmtree(new_site.data_dir / "models")
    for other in ("datasets", "runs"):
        shutil.rmtree(new_site.data_dir / other)
    (new_site.data_dir / "former_places.json").unlink()
    assert "The database is in use" in new_site.manage("restore", folder, expected=2)


def test_the_secret_key_goes_with_a_backup_that_asks_for_it(judged_site, folder, new_site):
    manifest = make_backup(folder, with_secret_key=True).manifest
    assert manifest.has_secret_key
    new_site.manage("restore", folder)
    key = new_site.data_dir / "secret_key"
    assert key.read_text() == "s" * 50 and key.stat().st_mode & 0o077 == 0


def test_a_backup_of_another_database_or_a_newer_version_is_refused_by_name(
    judged_site, folder, monkeypatch, empty_folder
):
    manifest = make_backup(folder).manifest
    empty_folder("empty")
    for changes, sentence in (
        ({"vendor": "oracle"}, "is of oracle and this site uses"),
        ({"migrations": ("runs.9999_later",)}, "was made by a newer version"),
    ):
        other = replace(manifest, database=replace(manifest.database, **changes))
        monkeypatch.setattr(restoring, "newest_manifest", lambda store, other=other: other)
        with pytest.raises(BackupError, match=sentence):
            restoring.restore_backup(folder)


def test_postgresqls_programs_are_told_no_secret_of_the_site(monkeypatch, tmp_path):
    told = tmp_path / "told"
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv > {told}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ROUNDTABLE_SECRET_KEY", "known to nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "known to nobody")
    monkeypatch.setenv("PGSSLMODE", "require")
    database = {
        "NAME": "roundtable",
        "USER": "roundtable",
        "PASSWORD": "of the database",
        "HOST": "db",
        "OPTIONS": {},
    }
    monkeypatch.setattr(
        database_dumps, "connection", SimpleNamespace(settings_dict=database, vendor="sqlite")
    )
    database_dumps._run_client("pg_dump", [], "The database was not dumped")
    names = dict(line.split("=", 1) for line in told.read_text().splitlines() if "=" in line)
    assert names["PGPASSWORD"] == "of the database" and names["PGSSLMODE"] == "require"
    assert "known to nobody" not in told.read_text()
