"""Larger uploads as runs of the worker: a process of their own that can be cancelled and killed."""

import os
import signal
import threading
import time
from dataclasses import replace

import pytest
from django.db import connection
from django.urls import reverse

from annotation.importing.uploads import execution
from annotation.importing.uploads.run_kinds import RUN_KINDS
from annotation.models import Batch, Import, Judgment, Prompt
from learning.interface.run_directory import RunDirectory
from runs.actions import cancel_run
from runs.models import Run
from runs.options import WorkerOptions
from runs.states import RunState
from runs.worker import run_worker

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True), pytest.mark.slow]


def pairs(number):
    return [{"prompt": f"Q{n}?", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(number)]


@pytest.fixture
def large(send, post, criterion, monkeypatch, settings):
    """An upload that goes the way of the large ones, and the environment of the worker's processes."""
    monkeypatch.setattr(execution, "SMALL_BYTES", 0)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.child_settings")
    monkeypatch.setenv("TEST_DATABASE_NAME", str(connection.settings_dict["NAME"]))
    settings.RUN_ENVIRONMENT_ALLOWLIST = [*settings.RUN_ENVIRONMENT_ALLOWLIST, "TEST_DATABASE_NAME"]
    settings.RUN_HEARTBEAT_SECONDS = 0.1

    def large(rows, then="import", **fields):
        upload = send(rows, "pairs.jsonl", piece_bytes=900_000)
        page, text = post(upload, then, **fields)
        return upload, text

    return large


def work():
    return run_worker(RUN_KINDS, once=True, install_signals=False)


def test_a_file_is_checked_and_imported_by_the_worker(large, post, client, project):
    upload, text = large([*pairs(30), {"prompt": "Q", "chosen": 7, "rejected": "b"}], "check")
    assert "It waits for a worker" in text and upload.state == "at_work"
    assert work() == 1
    upload.refresh_from_db()
    assert upload.run.state == RunState.DONE, upload.run.error
    assert (upload.state, upload.outcome["rows"], upload.outcome["bad"]) == ("complete", 31, 1)
    assert not Import.objects.exists() and not Prompt.objects.exists()

    # A refusal is an outcome, not a failed run.
    post(upload, "import")
    work()
    upload.refresh_from_db()
    assert upload.run.state == RunState.DONE and "1 of 31 rows is bad" in upload.outcome["sentence"]
    assert not Import.objects.exists()

    post(upload, "import", skip_bad="on")
    work()
    upload.refresh_from_db()
    imported = Import.objects.get()
    assert (upload.state, upload.imported, imported.run) == ("imported", imported, upload.run)
    assert (imported.rows, imported.bad_rows, Judgment.objects.count()) == (31, 1, 30)
    assert not upload.folder.exists() and imported.bad_rows_path.read_text().count("\n") == 1
    page = client.get(reverse("data:upload", args=[project.slug, upload.public_id]))
    assert page["Location"] == reverse("data:import", args=[project.slug, imported.pk])
    assert client.get(reverse("runs:run", args=[project.slug, upload.run.pk])).status_code == 200


def wait_for(condition):
    while not condition():
        time.sleep(0.01)


def test_killed_in_the_middle_nothing_is_visible_and_the_same_run_succeeds(large, client, project, ada):
    """The process dies after its first chunk of tasks (500 of 3000) is in."""
    upload, _ = large(pairs(3000))
    run = Run.objects.get()

    def kill_in_the_middle():
        # Reads alone: on SQLite the worker's own writes may wait until the import is through.
        try:
            while not over.wait(0.002):
                pid = Run.objects.get(pk=run.pk).pid
                if pid and Judgment.objects.filter(from_import__run=run).exists():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(Judgment.objects.count())
                    return
        finally:
            connection.close()

    killed = []
    over = threading.Event()
    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    run_worker(RUN_KINDS, once=True, install_signals=False)
    over.set()
    killer.join()
    assert killed and 500 <= killed[0] < 3000
    assert not Judgment.objects.current().exists() and not Batch.objects.filter(visible=True).exists()
    assert not Import.objects.finished().exists()
    client.force_login(ada)
    assert client.post(
        reverse("annotation:next_task", args=[project.slug]), "{}", content_type="application/json"
    ).json().get("assignment") is None  # fmt: skip
    run.refresh_from_db()
    assert run.state == RunState.QUEUED
    wait_for(lambda: Run.objects.due().filter(pk=run.pk).exists())
    work()
    run.refresh_from_db()
    assert run.state == RunState.DONE, run.error
    assert Import.objects.count() == 1 and Judgment.objects.current().count() == 3000
    assert Batch.objects.get(visible=True).tasks.count() == 3000
    upload.refresh_from_db()
    assert upload.imported == Import.objects.get()


def test_an_import_that_was_in_when_its_process_died_is_not_brought_in_twice(large):
    upload, _ = large(pairs(5))
    run = Run.objects.get()
    work()
    # As if the process had died between its last transaction and result.json.
    (run.path / "result.json").unlink()
    Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED, finished_at=None)
    type(upload).objects.update(state="at_work", imported=None)
    work()
    upload.refresh_from_db()
    assert upload.imported == Import.objects.get() and Judgment.objects.count() == 5
    assert RunDirectory(run.path).result()["import"] == upload.imported.pk


def test_a_cancelled_import_leaves_nothing_and_can_be_started_again(large, post, max_):
    upload, _ = large(pairs(3000))
    run = Run.objects.get()

    def cancel_once_started():
        run.refresh_from_db()
        if run.pid:
            cancel_run(actor=max_, run=run)

    run_worker(
        RUN_KINDS, cancel_once_started, once=True, install_signals=False,
        options=worker_options(tick_seconds=0.02),
    )  # fmt: skip
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert not Import.objects.exists() and not Prompt.objects.exists()
    page, text = post(upload)
    assert "cancelled; nothing of it stayed" in text and page.status_code == 200


def worker_options(**changes):
    return replace(WorkerOptions.from_settings(), **changes)
