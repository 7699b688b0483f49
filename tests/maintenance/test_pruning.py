"""What can go goes, with the sizes said before; a result, an input or what a run may go on from never does."""

import fcntl
import io
import os
import time
import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from annotation.datasets.actions import freeze_dataset
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from learning.interface.run_directory import RunDirectory
from maintenance.pruning import prune
from runs.actions import register_artifact
from runs.models import Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]
OLD = time.time() - 48 * 3600
ALWAYS_LEFT = ("config.json", "inputs/manifest.json", "metrics.jsonl", "log.txt")


@pytest.fixture
def write(data_dir):
    def write_file(name, size, old=True):
        path = data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        for place in (path, *path.parents):
            if old and place.is_relative_to(data_dir) and place != data_dir:
                os.utime(place, (OLD, OLD))
        return path

    return write_file


@pytest.fixture
def make_run(project, max_, write):
    """A run with a checkpoint of `size` bytes, a result and what is always left."""

    def make(title, state, size, hours_ago=1):
        finished = timezone.now() - timedelta(hours=hours_ago)
        fields = {
            "finished_at": None if state in ("queued", "running") else finished,
            "error": "It failed." if state in ("failed", "user_error") else "",
        }
        if state == "running":
            fields |= {"fence": 1, "started_at": finished, "lease_until": timezone.now()}
        run = Run.objects.create(
            project=project, kind="sft", title=title, config={}, requested_by=max_, state=state, **fields
        )
        for name in (*ALWAYS_LEFT, "result.json", "model/model.safetensors"):
            write(f"runs/{run.directory}/{name}", 10)
        write(f"runs/{run.directory}/checkpoints/step-000002.f1/complete.json", size)
        return run

    return make


def test_what_can_go_is_listed_with_sizes_and_then_goes(
    data_dir, write, make_run, project, max_, make_batch, make_annotators
):
    done = make_run("Done one", "done", 5_000)
    write(f"runs/{done.directory}/shards/0.parquet", 300)
    others = [
        make_run(state, state, 7_000) for state in ("queued", "running", "failed", "cancelled", "user_error")
    ]
    running = others[1]
    write(f"runs/{running.directory}/checkpoints/tmp-step-000003.f1/state.json", 40)
    write(f"runs/{others[2].directory}/checkpoints/tmp-step-000003.f1/state.json", 50)
    write(f"datasets/.{uuid.uuid4().hex}.partial/judgments-00000.partial", 60)
    write("runs/.abc.12.tmp/config.json", 70, old=False)  # somebody writes it now
    orphan = write(f"runs/{uuid.uuid4().hex}/config.json", 80)
    write(f"runs/{uuid.uuid4().hex}/config.json", 90, old=False)
    copied = write("models/gone-0123abcd/model.safetensors", 100)
    own = write("models/of-somebody/model.safetensors", 110)
    used = write("models/base-89abcdef/model.safetensors", 120)
    register_artifact(actor=max_, project=project, kind="policy", path=used.parent)
    started = write("models/started-76543210/model.safetensors", 130)
    Run.objects.filter(pk=running.pk).update(config={"model": {"path": "models/started-76543210"}})
    make_batch(tasks=1)
    (ada,) = make_annotators(1)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    assignment = claim_task(actor=ada, project=project)
    submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key="k" * 32)
    dataset = freeze_dataset(actor=max_, project=project, name="first")
    everything = {path for path in data_dir.rglob("*") if path.is_file()}

    out = io.StringIO()
    call_command("prune", "--dry-run", stdout=out)
    lines = out.getvalue().splitlines()
    assert sorted(line.strip().split("  ")[0] for line in lines[:-1]) == sorted(
        ["5.0 kB", "300 B", "50 B", "60 B", "80 B", "100 B"]
    )
    assert "checkpoints of “Done one”, which is done" in out.getvalue()
    assert lines[-1].startswith("6 things would be removed: 5.6 kB; ")
    assert {path for path in data_dir.rglob("*") if path.is_file()} == everything

    assert prune().freed == 5_000 + 300 + 50 + 60 + 80 + 100
    gone = everything - {path for path in data_dir.rglob("*") if path.is_file()}
    assert len(gone) == 6 and {orphan, copied} <= gone and not {own, used, started} & gone
    assert (data_dir / dataset.directory / "manifest.json").is_file()
    for run in (done, *others):
        assert all(
            (run.path / name).is_file() for name in (*ALWAYS_LEFT, "result.json", "model/model.safetensors")
        )
    assert not (done.path / "checkpoints").exists()
    assert all(RunDirectory(run.path).has_checkpoint() for run in others)
    assert prune().removed == ()


def test_a_budget_takes_checkpoints_of_stopped_runs_the_oldest_first_and_no_more_than_needed(
    data_dir, make_run
):
    new, old = make_run("new", "failed", 9_000, hours_ago=1), make_run("old", "cancelled", 9_000, hours_ago=9)
    waiting = make_run("waiting", "queued", 9_000)
    used = sum(path.stat().st_size for path in data_dir.rglob("*") if path.is_file())
    assert prune(budget=used).removed == ()
    pruned = prune(budget=used - 1)
    assert [found.run for found in pruned.removed] == [old.pk]
    assert pruned.used_before == used and pruned.used_after == used - 9_000
    assert RunDirectory(new.path).has_checkpoint() and not RunDirectory(old.path).has_checkpoint()
    with pytest.raises(CommandError, match="The budget of 1.0 kB is not met: what is left are results"):
        call_command("prune", budget=1000, stdout=io.StringIO())
    assert not RunDirectory(new.path).has_checkpoint() and RunDirectory(waiting.path).has_checkpoint()


def test_a_run_that_was_started_again_or_is_written_keeps_its_checkpoints(data_dir, make_run, monkeypatch):
    from maintenance import pruning

    run = make_run("again", "failed", 500)
    (found,) = pruning.find_removable(data_dir)
    Run.objects.filter(pk=run.pk).update(state="queued", finished_at=None, error="")
    monkeypatch.setattr(pruning, "find_removable", lambda folder: [found])
    assert prune(budget=0).removed == ()
    Run.objects.filter(pk=run.pk).update(state="failed", finished_at=timezone.now(), error="It failed.")
    with open(run.path / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert prune(budget=0).removed == ()
    assert RunDirectory(run.path).has_checkpoint()
    assert [gone.run for gone in prune(budget=0).removed] == [run.pk]


@pytest.mark.django_db(transaction=True)  # of PostgreSQL it reads one moment, in a transaction of its own
def test_reconcile_says_what_can_go_and_what_to_do(data_dir, make_run):
    run = make_run("Done one", "done", 1_000)
    (run.path / "inputs" / "manifest.json").write_text('{"files": {}}')
    out = io.StringIO()
    call_command("reconcile", stdout=out)
    assert "1 file or folder (0.0 MB) can go: `manage.py prune --dry-run` lists them." in out.getvalue()
    (run.path / "inputs" / "prompts.parquet").write_bytes(b"PAR1")
    (run.path / "inputs" / "manifest.json").write_text(
        '{"files": {"prompts": {"file": "prompts.parquet", "sha256": "%s"}}}' % ("0" * 64)
    )
    out = io.StringIO()
    with pytest.raises(CommandError, match="What to do: restore a backup into an empty folder"):
        call_command("reconcile", stdout=out)
    where = f"runs/{run.directory}/inputs/prompts.parquet"
    assert f"run {run.pk} (Done one): its input {where} is not the one recorded (sha256)" in out.getvalue()
    call_command("reconcile", "--quick", stdout=io.StringIO())
