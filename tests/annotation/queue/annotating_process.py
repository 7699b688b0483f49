"""A process of annotators, a thread each, that claim and submit until every task is done.

    python annotating_process.py PROJECT LIMIT_SECONDS SEED ANNOTATOR...

Some leases are made to run out at once, some answers come late, and some tasks are skipped and taken back. Says
“ready”, waits for a line, prints one JSON line.
"""

import json
import os
import random
import sys
import threading
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
url = os.environ["ANNOTATING_DATABASE_URL"]
if url.startswith("postgresql"):
    os.environ["ROUNDTABLE_DATABASE_URL"] = url

import django  # noqa: E402
from django.conf import settings  # noqa: E402

if url.startswith("sqlite"):
    settings.DATABASES["default"]["NAME"] = url.removeprefix("sqlite:///")
django.setup()

from datetime import timedelta  # noqa: E402

from django.db import connections  # noqa: E402

from annotation.errors import NoSlotLeft  # noqa: E402
from annotation.judging.actions import JudgmentInput, submit_judgment  # noqa: E402
from annotation.models import Assignment, Task  # noqa: E402
from annotation.queue.actions import (  # noqa: E402
    claim_task,
    skip_task,
    sweep_expired_leases,
    undo_skip,
)
from workspace.database import database_now  # noqa: E402
from workspace.models import Project, User  # noqa: E402


class Annotator(threading.Thread):
    def __init__(self, person, project, until, seed):
        super().__init__()
        self.person, self.project, self.until = person, project, until
        self.chance = random.Random(seed)
        self.accepted, self.errors, self.cycles, self.expired = [], [], 0, 0
        self.has_begun = False

    def submit(self, assignment):
        tiers, strengths = self.chance.choice(
            [([["A"], ["B"]], [2]), ([["A", "B"]], []), ([["B"], ["A"]], [0])]
        )
        key = uuid.uuid4().hex
        # Now and then the answer is lost on the way and the browser sends it again.
        for _ in range(2 if self.chance.random() < 0.1 else 1):
            submit_judgment(
                actor=self.person,
                assignment=assignment,
                content=JudgmentInput(tiers=tiers, strengths=strengths),
                idempotency_key=key,
            )
        self.accepted.append(key)
        self.cycles += 1

    def turn(self):
        """False when there is nothing left to do."""
        claimed = claim_task(actor=self.person, project=self.project)
        if claimed is None:
            # Leases of killed processes are brought to their end here instead of waiting for a minute.
            Assignment.objects.filter(state="leased", annotator=self.person).update(
                leased_until=database_now() - timedelta(seconds=1)
            )
            sweep_expired_leases()
            time.sleep(0.5)  # the others need the processor
            return Task.objects.counted().filter(counted_judgments__lt=3).exists()
        # With what the page reads with it.
        assignment = Assignment.objects.select_related("task__batch__project").get(pk=claimed.pk)
        dice = self.chance.random()
        # The first task of each annotator is one of them, so that however fast the machine is, some leases run out.
        is_first, self.has_begun = not self.has_begun, True
        if is_first or dice < 0.03:
            # The lease ends while the page is open; half of these answers come late, the others never.
            Assignment.objects.filter(pk=assignment.pk, state="leased").update(
                leased_until=database_now() - timedelta(seconds=1)
            )
            sweep_expired_leases()
            self.expired += 1
            if dice < 0.015:
                return True
        if self.cycles == 1 or self.chance.random() < 0.05:
            skip_task(actor=self.person, assignment=assignment)
            try:
                undo_skip(actor=self.person, assignment=assignment)
            except NoSlotLeft:
                return True
        self.submit(assignment)
        return True

    def run(self):
        try:
            while time.time() < self.until:
                if not self.turn():
                    return
            self.errors.append("out of time")
        except Exception as error:  # reported and asserted on by the test
            self.errors.append(repr(error)[:300])
        finally:
            connections.close_all()


def main():
    project = Project.objects.get(pk=sys.argv[1])
    until = time.time() + float(sys.argv[2])
    people = User.objects.filter(pk__in=sys.argv[4:])
    # All processes begin together: the first to be up must not have done everything before the others come.
    print("ready", flush=True)
    sys.stdin.readline()
    threads = [Annotator(p, project, until, int(sys.argv[3]) * 1000 + n) for n, p in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(
        json.dumps(
            {
                "accepted": [key for t in threads for key in t.accepted],
                "errors": [error for t in threads for error in t.errors],
                "cycles": sum(t.cycles for t in threads),
                "expired": sum(t.expired for t in threads),
            }
        )
    )


main()
