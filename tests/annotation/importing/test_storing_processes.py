"""Chunks of an import stored by several processes: steps in the order of the chunks, all or nothing, whoever fails."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from django.db import connection

from annotation.importing import insertion
from annotation.importing.actions import clear_unfinished, import_comparisons
from annotation.importing.report import ImportRefused
from annotation.importing.storing_processes import MAX_PROCESSES, StoringProcesses
from annotation.importing.watching import ImportStopped, Watch, watched_by
from annotation.models import (
    Assignment,
    Batch,
    CurrentJudgment,
    Import,
    Judgment,
    Prompt,
    Response,
    Source,
    Task,
    TaskResponse,
)
from annotation.queue.counters import find_counter_drift
from workspace.actions import create_project
from workspace.models import AuditEvent, User

ROOT = Path(__file__).resolve().parents[3]
STORED = (Import, Batch, Task, TaskResponse, Prompt, Response, Source, Assignment, Judgment, CurrentJudgment)
pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def said(tmp_path):
    """What the processes note, in the order in which they do."""
    path = tmp_path / "said"
    path.touch()

    class Said:
        def note(self, *words):
            with path.open("a") as file:
                file.write(" ".join(map(str, words)) + "\n")

        def lines(self):
            return [line.split() for line in path.read_text().splitlines()]

    return Said()


def test_steps_in_turn_are_done_in_the_order_of_the_chunks_and_several_chunks_are_stored_at_once(said):
    third_chunk = multiprocessing.get_context("fork").Event()

    def first(chunk):
        said.note("first", chunk, os.getpid())
        return chunk * 2

    def second(chunk, made):
        assert made == 2 * chunk
        said.note("second", chunk, os.getpid())
        if chunk == 12:
            third_chunk.set()
        return made + 1

    def last(chunk, made, also_made):
        # The first chunk is not stored before the last steps of two others may begin.
        assert third_chunk.wait(60) and also_made == 2 * chunk + 1
        said.note("last", chunk, os.getpid())

    with StoringProcesses(lambda chunk: chunk + 10, (first, second), last, number=3) as processes:
        stored = [processes.store(chunk, 100 + chunk) for chunk in range(6)]
        stored.append(processes.finish())
    assert sum(stored) == 615 and stored[:3] == [0, 0, 0]
    for step in ("first", "second"):
        assert [int(chunk) for word, chunk, _ in said.lines() if word == step] == [10, 11, 12, 13, 14, 15]
    assert sorted(int(chunk) for word, chunk, _ in said.lines() if word == "last") == [10, 11, 12, 13, 14, 15]
    pids = {chunk: {pid for _, of, pid in said.lines() if of == str(chunk)} for chunk in range(10, 16)}
    assert all(len(one) == 1 for one in pids.values()) and len(set.union(*pids.values())) == 3
    assert [pids[chunk] for chunk in (10, 11, 12)] == [pids[chunk] for chunk in (13, 14, 15)]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("processors", "expected"), [(1, 2), (2, 3), (64, 3)])
def test_there_is_a_process_more_than_processors_as_far_as_steps_in_turn_let_them(
    monkeypatch, processors, expected
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(processors)))
    with StoringProcesses(str, (str,), lambda *made: None):
        assert len(multiprocessing.active_children()) == expected


STEPS = ("prepare", "first", "second", "last")


@pytest.mark.parametrize("step", STEPS)
def test_the_first_error_is_raised_and_no_step_of_a_chunk_after_those_in_hand_is_done(said, step):
    def fail_at_2(name):
        def run(chunk, *made):
            if chunk == 2 and name == step:
                raise KeyError("the third chunk")
            if name != "prepare":
                said.note(name, chunk)
            return chunk

        return run

    def store():
        prepare, first, second, last = map(fail_at_2, STEPS)
        with StoringProcesses(prepare, (first, second), last, number=3) as processes:
            for chunk in range(9):
                processes.store(chunk, 1)

    with pytest.raises(KeyError, match="the third chunk"):
        store()
    done = {(word, int(chunk)) for word, chunk in said.lines()}
    assert len(done) == len(said.lines())
    assert {(name, chunk) for name in ("first", "second", "last") for chunk in (0, 1)} <= done
    assert (step, 2) not in done and all(chunk < 5 for _, chunk in done)
    # A step in turn of a later chunk is done only where the one that failed had its turn.
    later = {name for name, chunk in done if chunk > 2}
    assert later <= set(STEPS[1 : STEPS.index(step)] if step != "last" else STEPS)
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_is_one_sentence():
    def die(chunk):
        if chunk == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    def store():
        with StoringProcesses(lambda chunk: chunk, (die,), lambda chunk, made: None) as processes:
            for chunk in range(9):
                processes.store(chunk, 1)

    with pytest.raises(ImportRefused, match="a process that stores its rows ended .*-9.*import again"):
        store()
    assert not multiprocessing.active_children()


def test_where_the_import_fails_the_chunk_in_hand_is_ended_and_no_other_begun(said):
    def store():
        with StoringProcesses(
            lambda chunk: chunk, (said.note,), lambda chunk, made: said.note(chunk)
        ) as processes:
            processes.store("one", 1)
            raise ValueError("of the import")

    with pytest.raises(ValueError, match="of the import"):
        store()
    assert said.lines() == [["one"], ["one"]]
    assert not multiprocessing.active_children()


def test_where_only_one_of_them_can_be_started_it_ends(monkeypatch):
    usual, started = ForkProcess.start, []

    def start(process):
        if started:
            raise BlockingIOError("no more processes")
        started.append(process)
        usual(process)

    monkeypatch.setattr(ForkProcess, "start", start)
    with pytest.raises(BlockingIOError), StoringProcesses(str, (str,), lambda chunk, made: None):
        pass
    assert started[0].exitcode == 0


def rows(number):
    """Prompts that come again in another chunk, tasks with two judgments, ties, strengths, groups, tags."""
    return [
        {
            "prompt": f"Q {n % 11}?",
            "chosen": f"yes {n % 17}",
            "rejected": "no",
            "strength": n % 4,
            "annotator": f"a{n % 5}",
            "soft_label": 0.5 if n % 7 == 0 else 1.0,
            "tags": [f"warning:w{n % 4}"] if n % 11 in (3, 4) else [],
        }
        for n in range(number)
    ]


def stored_rows(project):
    """Everything that an import made, without keys."""
    tasks = []
    for task in Task.objects.filter(batch__project=project).select_related("prompt").order_by("pk"):
        shown = list(task.task_responses.order_by("position").select_related("response__source"))
        place = {one.response_id: one.position for one in shown}
        judged = [
            (
                judgment.annotator.pseudonym.partition("@")[0],
                [[place[key] for key in tier] for tier in judgment.tiers],
                judgment.strengths,
                [place[key] for key in judgment.order_shown],
                judgment.idempotency_key.partition("-")[2].partition("-")[2],
                judgment.assignment.state,
            )
            for judgment in task.judgments.order_by("pk").select_related("annotator", "assignment")
        ]
        texts = [(one.response.text, one.response.source.name) for one in shown]
        counted = (task.required_judgments, task.open_slots, task.counted_judgments, task.purpose)
        tasks.append((task.prompt.messages, task.prompt.external_id, texts, judged, counted))
    numbers = [
        model.objects.filter(**{of: project}).count()
        for model, of in (
            (Prompt, "project"),
            (Response, "project"),
            (CurrentJudgment, "task__batch__project"),
        )
    ]
    return tasks, numbers, AuditEvent.objects.filter(project=project, action="comparisons.import").count()


@pytest.fixture
def by_processes(monkeypatch):
    """On SQLite, which has one writer, by none: the thread that stores is compared there."""
    monkeypatch.setattr(insertion, "TASKS_PER_CHUNK", 3)
    monkeypatch.setattr(insertion, "MAX_TASKS_PER_CHUNK", 4)
    monkeypatch.setattr(insertion, "TASKS_WORTH_A_THREAD", 0)

    def use(yes):
        monkeypatch.setattr(insertion, "TASKS_WORTH_PROCESSES", 0 if yes else 10**9)
        # Whatever threads the tests' own process has.
        monkeypatch.setattr(insertion, "can_store_beside", lambda: connection.vendor == "postgresql")

    use(True)
    return use


def bring(project, max_, path):
    return import_comparisons(actor=max_, project=project, path=path, format="trl")


@pytest.mark.db
def test_several_processes_store_what_one_does(project, criterion, max_, write_rows, by_processes):
    path = write_rows(rows(60))
    other = create_project(actor=max_, name="Other")
    _, report = bring(project, max_, path)
    by_processes(False)
    _, expected = bring(other, max_, path)
    assert report.counts == expected.counts and report.counts["judgments"] == 60
    assert stored_rows(project) == stored_rows(other)
    # In the order of the file, whichever process stored them.
    for model in (Judgment, Assignment):
        tasks = (
            model.objects.filter(task__batch__project=project).order_by("pk").values_list("task", flat=True)
        )
        assert list(tasks) == sorted(tasks)
    # Of prompts that came in by different chunks.
    warnings = set(Batch.objects.values_list("content_warnings", flat=True))
    assert warnings == {"|w0|w3|"}
    assert find_counter_drift(project) == find_counter_drift(other) == []
    assert not multiprocessing.active_children()


@pytest.mark.db
def test_a_row_that_cannot_be_stored_leaves_nothing(
    project, criterion, max_, write_rows, by_processes, monkeypatch
):
    people = User.objects.count()
    usual = insertion.add_judgments

    def refuse(*, rows, **options):
        if any(row.idempotency_key.split("-")[2] == "31" for row in rows):
            raise KeyError("refused")
        return usual(rows=rows, **options)

    path = write_rows(rows(60))
    monkeypatch.setattr(insertion, "add_judgments", refuse)
    with pytest.raises(KeyError, match="refused"):
        bring(project, max_, path)
    assert not any(model._base_manager.exists() for model in STORED)
    assert User.objects.count() == people and not multiprocessing.active_children()
    monkeypatch.setattr(insertion, "add_judgments", usual)
    assert bring(project, max_, path)[1].counts["judgments"] == 60


@pytest.mark.db
def test_stopped_between_two_chunks_nothing_stays(project, criterion, max_, write_rows, by_processes):
    seen = []
    watch = Watch(
        say=lambda stage, done, total: seen.append(done) if stage == "storing tasks" else None,
        stop_requested=lambda: any(seen) and seen[-1] > 6,
    )
    with watched_by(watch), pytest.raises(ImportStopped):
        bring(project, max_, write_rows(rows(60)))
    assert seen == sorted(seen) and seen[0] == 0
    assert not any(model._base_manager.exists() for model in STORED)
    assert not multiprocessing.active_children()


# It says so once three chunks are in, and goes on.
IMPORT = """
import multiprocessing, os, sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
import django
django.setup()
from pathlib import Path
from django.db import connection
from annotation.importing import insertion
from annotation.importing.actions import import_comparisons
from annotation.importing.watching import Watch, watched_by
from workspace.models import Project, User
insertion.TASKS_PER_CHUNK = insertion.MAX_TASKS_PER_CHUNK = 3
insertion.TASKS_WORTH_PROCESSES = 0
def say(stage, done, total):
    if stage == "storing tasks" and done >= 9:
        print(*(process.pid for process in multiprocessing.active_children()), flush=True)
        sys.stdin.read()
with watched_by(Watch(say=say)):
    import_comparisons(actor=User.objects.get(username="max"), project=Project.objects.get(slug=sys.argv[1]),
                       path=Path(sys.argv[2]), format="trl")
"""


@pytest.mark.db
def test_killed_in_the_middle_the_processes_end_and_the_same_import_brings_all_in(
    project, criterion, max_, write_rows, settings
):
    path = write_rows(rows(60))
    importing = subprocess.Popen(
        [sys.executable, "-c", IMPORT, project.slug, str(path)],
        cwd=ROOT,
        env=os.environ | {"TEST_DATABASE": str(settings.DATABASES["default"]["NAME"]),
                          "ROUNDTABLE_DATABASE_URL": os.environ.get("ROUNDTABLE_DATABASE_URL", ""),
                          "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with importing:
        try:
            children = importing.stdout.readline().split()
        finally:
            importing.kill()
        # The pipe of stdout ends when nobody holds it any more: the processes, too, have ended.
        assert importing.stdout.read() == ""
    expected = min(MAX_PROCESSES, len(os.sched_getaffinity(0)) + 1)
    assert len(children) == (expected if connection.vendor == "postgresql" else 0)
    _wait_for_sessions_to_end()
    assert Import.objects.unfinished().count() == 1 and not Batch.objects.filter(visible=True).exists()
    assert 9 <= Task.objects.count() < 60
    assert len(clear_unfinished(actor=max_, project=project)) == 1
    assert not any(model._base_manager.exists() for model in STORED)
    assert bring(project, max_, path)[1].counts["judgments"] == 60


def _wait_for_sessions_to_end():
    """A server ends the session of a process that was killed once it has ended its statement."""
    if connection.vendor != "postgresql":
        return
    until = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
            if cursor.fetchone() == (0,):
                return
            time.sleep(0.02)
    raise AssertionError("a session of the killed import is still there")
