"""Fifty annotators at once, in real processes with threads, while leases run out and workers are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection, connections

from annotation.models import Assignment, CurrentJudgment, Judgment, Task
from annotation.queue.actions import sweep_expired_leases
from annotation.queue.counters import find_counter_drift

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]
WORKER = Path(__file__).with_name("annotating_process.py")


def database_url() -> str:
    settings = connection.settings_dict
    if connection.vendor == "postgresql":
        host = quote(settings["HOST"], safe="")  # a folder where the server listens on a socket
        return f"postgresql://{settings['USER']}@{host}:{settings['PORT']}/{settings['NAME']}"
    return f"sqlite:///{settings['NAME']}"


def start(people, project, limit_seconds, seed):
    return subprocess.Popen(
        [
            sys.executable,
            str(WORKER),
            str(project.pk),
            str(limit_seconds),
            str(seed),
            *(str(p.pk) for p in people),
        ],
        env={**os.environ, "ANNOTATING_DATABASE_URL": database_url()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def begin_together(processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("begin\n")
        process.stdin.flush()


def annotate_until_done(project, batch, people, *, processes, kills, limit_seconds):
    """Runs the annotators; kills `kills` of their processes in mid-work and starts them anew.

    The limit is there for what never ends, and far above what a busy machine needs.
    """
    groups = [people[number::processes] for number in range(processes)]
    running = [start(group, project, limit_seconds, number) for number, group in enumerate(groups)]
    connections.close_all()
    begin_together(running)
    chance = random.Random(7)
    deadline = time.monotonic() + limit_seconds
    reports = []
    for number in range(kills):
        time.sleep(2.5)
        victim = chance.randrange(processes)
        running[victim].send_signal(signal.SIGKILL)
        running[victim].communicate()
        running[victim] = start(groups[victim], project, max(5, deadline - time.monotonic()), 100 + number)
        begin_together([running[victim]])
    for process in running:
        output, _ = process.communicate(timeout=limit_seconds + 60)
        assert process.returncode == 0, output
        reports.append(json.loads(output.splitlines()[-1]))
    return reports


def check(project, batch, people, *, overlap, reports):
    for report in reports:
        assert report["errors"] == []
    # What was killed in mid-task holds leases still: they run out, and the rest is done by the living.
    sweep_expired_leases()
    assert find_counter_drift(project) == []
    counted = Judgment.objects.counted().of_purposes("normal")
    per_task = Counter(counted.values_list("task_id", flat=True))
    assert set(per_task.values()) == {overlap}
    tasks = Task.objects.counted()
    assert len(per_task) == tasks.count()
    pairs = counted.values_list("task_id", "annotator_id")
    assert len(set(pairs)) == len(pairs) == overlap * tasks.count()
    assert set(tasks.values_list("open_slots", "counted_judgments")) == {(0, overlap)}
    # Known answers came among them, and none twice for anybody, nor with a slot of its own.
    gold = Judgment.objects.current().of_purposes("gold").values_list("task_id", "annotator_id")
    assert 0 < len(gold) == len(set(gold))
    assert set(Task.objects.exclude(pk__in=tasks).values_list("open_slots", "counted_judgments")) == {(0, 0)}
    # None lost: every answer a process was told is stored, is stored.
    stored = set(Judgment.objects.values_list("idempotency_key", flat=True))
    accepted = {key for report in reports for key in report["accepted"]}
    assert accepted <= stored
    assert CurrentJudgment.objects.count() == Assignment.objects.filter(state="submitted").count()
    return sum(report["cycles"] for report in reports), sum(report["expired"] for report in reports)


def run(project, make_batch, make_annotators, *, tasks, people, processes, kills, limit_seconds):
    project.lease_minutes = 1
    project.gold_share = 0.1
    project.save()
    batch = make_batch(tasks=tasks, overlap=3)
    make_batch(tasks=max(10, tasks // 50), task_fields=lambda number: {"purpose": "gold"})
    cast = make_annotators(people)
    started = time.monotonic()
    reports = annotate_until_done(
        project, batch, cast, processes=processes, kills=kills, limit_seconds=limit_seconds
    )
    cycles, expired = check(project, batch, cast, overlap=3, reports=reports)
    took = time.monotonic() - started
    print(
        f"{connection.vendor}: {cycles} cycles, {expired} leases run out, {took:.1f} s, {cycles / took:.0f}/s"
    )
    assert expired > 0
    assert project.audit_events.filter(action="task.undo_skip").exists()


def test_every_task_gets_three_judgments_of_three_people(project, make_batch, make_annotators):
    run(project, make_batch, make_annotators, tasks=60, people=12, processes=2, kills=1, limit_seconds=1800)


@pytest.mark.slow
def test_fifty_annotators_share_thousands_of_tasks(project, make_batch, make_annotators, full_size):
    tasks = 5000 if full_size else 1000
    run(
        project, make_batch, make_annotators, tasks=tasks, people=50, processes=4, kills=4, limit_seconds=3600
    )
