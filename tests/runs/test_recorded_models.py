"""A model that was changed or lost since it was recorded ends a run before anything is computed with it."""

import hashlib
import os
import time
from dataclasses import replace

import pytest

from runs.actions import queue_run, register_artifact, retry_run
from runs.artifacts import FileHashes, hash_path
from runs.models import Artifact, Run
from runs.recorded_models import require_recorded_models
from tests.runs.conftest import execute_runs
from tests.runs.run_kinds import COUNTING

# Its command is light, knows no models and refuses the configuration: it shows that the run got as far.
READING = replace(COUNTING, options=None)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db]


@pytest.fixture
def model(tmp_path, project, max_):
    """A recorded folder; the digest of its record is taken here, by hand."""
    folder = tmp_path / "models" / "base"
    folder.mkdir(parents=True)
    contents = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"words"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    artifact = register_artifact(actor=max_, project=project, kind="policy", path=folder)
    lines = "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents))
    assert artifact.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    return folder


@pytest.fixture
def run_with(project, max_):
    def queue(folder) -> Run:
        config = {"model": {"source": {"path": str(folder)}}}
        return queue_run(actor=max_, project=project, kind=READING, title="Train", config=config)

    return queue


def executed(run: Run) -> Run:
    execute_runs(kinds=(READING,))
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_changed_file_of_a_model_ends_the_run_before_its_command_starts(model, run_with, name):
    size = len((model / name).read_bytes())
    (model / name).write_bytes(b"x" * size)
    os.utime(model / name, (time.time() + 60, time.time() + 60))
    run = executed(run_with(model))
    assert run.state == "user_error" and "\n" not in run.error
    assert "Policy models/base: changed since it was recorded" in run.error
    assert f"(sha256); written since: {name}; bring the recorded files back" in run.error
    assert not run.path.exists(), "nothing was prepared"


def test_a_file_of_another_size_more_or_less_is_noticed_without_reading(model, run_with):
    (model / "more.bin").write_bytes(b"12345")
    assert "it has 19 bytes instead of 14" in executed(run_with(model)).error
    (model / "more.bin").unlink()
    (model / "config.json").unlink()
    assert "it has 12 bytes instead of 14" in executed(run_with(model)).error


def test_a_model_that_is_gone_is_named_and_the_run_goes_on_once_it_is_back(model, run_with, max_):
    model.rename(model.with_name("elsewhere"))
    run = executed(run_with(model))
    assert run.state == "user_error"
    assert run.error.startswith(
        "Policy models/base: nothing is there any more; bring the recorded files back"
    )
    model.with_name("elsewhere").rename(model)
    retry_run(actor=max_, run=run)
    assert "unknown option" in executed(run).error, "its command was started this time"


def test_a_resumed_run_is_held_to_it_as_well(model, run_with, max_):
    run = run_with(model)
    assert "unknown option" in executed(run).error
    (model / "model.safetensors").write_bytes(b"WEIGHTS")
    retry_run(actor=max_, run=run)
    assert "changed since it was recorded" in executed(run).error


def test_another_projects_record_and_folders_without_one_are_left_to_the_command(model, run_with, olga):
    other = olga.memberships.get().project
    Artifact.objects.update(project=other)
    (model / "model.safetensors").write_bytes(b"WEIGHTS")
    require_recorded_models(run_with(model), FileHashes())


def test_what_was_read_once_is_read_again_after_any_change(tmp_path):
    path, reads = tmp_path / "weights", []
    path.write_bytes(b"one")
    hashes = FileHashes()
    first = hash_path(path, hashes=hashes)
    assert not hashes.known, "a file of a moment ago may change without a sign"
    key = FileHashes._key(path)
    hashes.known[key] = first
    assert hash_path(path, hashes=hashes, on_bytes=reads.append) == first
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the old time put back
    assert hash_path(path, hashes=hashes).sha256 == hashlib.sha256(b"two").hexdigest()
    assert hash_path(path).sha256 == hashlib.sha256(b"two").hexdigest()


def test_progress_is_told_in_megabytes(model, run_with, monkeypatch):
    monkeypatch.setattr("runs.artifacts.CHUNK_BYTES", 1_000_000)
    (model / "model.safetensors").write_bytes(b"0" * 3_000_000)
    digest = hash_path(model)
    Artifact.objects.update(sha256=digest.sha256, size_bytes=digest.size_bytes)
    told = []
    require_recorded_models(run_with(model), FileHashes(), told.append, seconds_between=0.0)
    steps = [progress["step"] for progress in told if progress["step"]]
    assert steps == [1, 2, 3, 3] and {progress["steps_total"] for progress in told} == {3}
