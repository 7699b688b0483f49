"""One step of benchmarks/quality.py in the environment of a site; prints its figures as its last line.

judge: three judgments of every task, of a simulated crowd. measure: the run that measures them, by a worker.
"""

import argparse
import json
import os
import resource
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402

django.setup()

import numpy as np  # noqa: E402
from django.db import connection  # noqa: E402

from annotation.judging.bulk import NewJudgment, add_judgments  # noqa: E402
from annotation.models import Batch, Judgment, Task, TaskResponse  # noqa: E402
from annotation.quality.actions import newest_report, queue_measurement  # noqa: E402
from annotation.quality.run_kind import MEASURE  # noqa: E402
from benchmarks.annotator_models import simulate  # noqa: E402
from runs.worker import run_worker  # noqa: E402
from workspace.models import Membership, Project, User  # noqa: E402

VOTES = 3
ROWS_AT_ONCE = 3000


def judge() -> dict[str, Any]:
    batch = Batch.objects.get()
    tasks = list(Task.objects.order_by("pk"))
    answers: dict[int, list[int]] = {}
    for task, response in (
        TaskResponse.objects.order_by("task", "position").values_list("task_id", "response_id").iterator()
    ):
        answers.setdefault(task, []).append(response)
    members = Membership.objects.filter(role=Membership.Role.ANNOTATOR).order_by("user")
    people = list(User.objects.filter(pk__in=members.values("user")).order_by("pk"))
    votes = simulate(0, pairs=len(tasks), votes_each=VOTES, annotators=len(people)).votes
    seconds = np.random.default_rng(0).lognormal(3, 0.6, len(votes.unit_N))

    def rows() -> Any:
        columns = (votes.unit_N, votes.annotator_N, votes.sign_N, votes.grade_N, votes.side_N, seconds)
        for unit, annotator, sign, grade, shown, spent in zip(*(c.tolist() for c in columns), strict=True):
            task = tasks[unit]
            keys = answers[task.pk]
            tiers = [[key] for key in (keys if sign >= 0 else keys[::-1])] if sign else [keys]
            yield NewJudgment(
                task=task, annotator=people[annotator], tiers=tiers, strengths=[grade] if sign else [],
                order_shown=keys if shown > 0 else keys[::-1], seconds=spent,
                idempotency_key=f"simulated-{unit}-{annotator}",
            )  # fmt: skip

    left = rows()
    manager = Membership.objects.filter(role=Membership.Role.MANAGER).order_by("pk")[0].user
    while some := list(islice(left, ROWS_AT_ONCE)):
        add_judgments(actor=manager, batch=batch, rows=some)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {"judgments": Judgment.objects.count(), "annotators": len(people)}


def measure() -> dict[str, Any]:
    project = Project.objects.get()
    manager = Membership.objects.filter(role=Membership.Role.MANAGER).order_by("pk")[0].user
    run = queue_measurement(actor=manager, project=project)
    begun = time.monotonic()
    run_worker([MEASURE], once=True, install_signals=False)
    worker = time.monotonic() - begun
    run.refresh_from_db()
    if run.state != "done":
        raise RuntimeError(f"The run ended as {run.state}: {run.error}")
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = newest_report(project)
    assert report is not None and run.started_at and run.finished_at
    return {
        "judgments": report.judgments,
        "consensus": report.consensus.count(),
        "annotators": report.annotators.count(),
        "measure_s": round((run.finished_at - run.started_at).total_seconds(), 1),
        "worker_s": round(worker, 1),
        "cpu_s": round(child.ru_utime + child.ru_stime, 1),
        "peak_mb": round(child.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["judge", "measure"])
    step = {"judge": judge, "measure": measure}[parser.parse_args().step]
    print(json.dumps(step()))


if __name__ == "__main__":
    main()
