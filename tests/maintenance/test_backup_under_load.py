"""A site is backed up while people judge and a run writes; wiped, and restored elsewhere."""

import shutil
import time

import pytest

from annotation.datasets.actions import discard_dataset, freeze_dataset
from annotation.models import Judgment
from maintenance.backups.making import make_backup
from runs.models import Run
from tests.maintenance.writers import Judge, Trainer, checkpoints_of
from tests.runs.run_kinds import COUNTING

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_acknowledged_before_the_backup_is_restored_and_nothing_is_half(
    project, max_, make_batch, make_annotators, data_dir, tmp_path, new_site
):
    make_batch(tasks=400, overlap=4)
    run = Run.objects.create(
        project=project,
        kind=COUNTING.name,
        title="Count",
        config={},
        requested_by=max_,
        state="running",
        fence=1,
        attempt=1,
        started_at="2026-11-28T00:00:00Z",
        lease_until="2100-01-01T00:00:00Z",
        host="elsewhere",
        pid=4711,
        process_identity="of the old site",
    )
    judges = [Judge(person, project) for person in make_annotators(4)]
    trainer = Trainer(run.path)
    (run.path / "fence").write_text("1")
    for thread in [trainer, *judges]:
        thread.start()
    until(lambda: trainer.step > 3 and all(len(judge.acknowledged) > 3 for judge in judges))
    kept = freeze_dataset(actor=max_, project=project, name="kept")
    # A dataset that goes while its files are copied is in the backup whole, or not at all.
    passing = freeze_dataset(actor=max_, project=project, name="passing")

    def discard(sentence):
        if sentence == "copying what was written meanwhile" and passing.pk is not None:
            discard_dataset(actor=max_, dataset=passing)

    began = time.monotonic()
    before = {key for judge in judges for key, at in dict(judge.acknowledged).items() if at < began}
    manifest = make_backup(tmp_path / "backups", say=discard).manifest
    until(lambda: sum(len(judge.acknowledged) for judge in judges) > len(before) + 8)
    for thread in [*judges, trainer]:
        thread.stop.set()
        thread.join()
    assert [judge.error for judge in judges] == [None] * 4
    everything = {key for judge in judges for key in judge.acknowledged}
    originals = {row.idempotency_key: row for row in Judgment.objects.all()}
    assert manifest.faults == ()
    shutil.rmtree(data_dir)

    new_site.manage("restore", tmp_path / "backups")
    restored = {row["idempotency_key"] for row in new_site.rows("annotation_judgment")}
    assert before <= restored <= everything == set(originals)
    assert len(restored) == manifest.database.rows["annotation_judgment"]
    assert len(before) > 12 and len(restored) < len(everything), "people judged before, during and after"

    said = new_site.manage("reconcile")
    assert "Every counter agrees with its rows." in said
    assert "0 artifacts, 0 results and 1 dataset read and compared" in said
    assert (new_site.data_dir / kept.directory / "manifest.json").is_file()
    # The run can go on: a whole checkpoint, metrics at least as long as it says, and nobody who holds it.
    folder = new_site.data_dir / "runs" / run.directory
    checkpoints = checkpoints_of(folder)
    assert checkpoints
    assert (folder / "metrics.jsonl").stat().st_size >= checkpoints[-1]["offsets"]["metrics.jsonl"]
    (row,) = new_site.rows("runs_run")
    assert (row["state"], row["pid"], row["lease_until"]) == ("queued", None, None)
    assert (row["attempt"], row["fence"]) == (0, 1)
