"""Imports that break off or are killed: nothing of them counts or shows."""

import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import call_command

from annotation.importing import insertion
from annotation.models import Batch, Import, Judgment, Prompt, Response, Task
from annotation.queue.counters import find_counter_drift
from tests.annotation.importing.conftest import PAIR, everything
from workspace.models import AuditEvent, User

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_nobody_sees_a_batch_before_its_last_row_is_in(bring, monkeypatch):
    """An insert that breaks in its second chunk leaves nothing that counts or shows."""
    monkeypatch.setattr(insertion, "TASKS_PER_CHUNK", 10)
    whole, calls = insertion._insert_tasks, []

    def break_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("power cut")
        whole(*args)

    monkeypatch.setattr(insertion, "_insert_tasks", break_second)
    rows = [PAIR | {"prompt": f"Q {n}?"} for n in range(25)]
    with pytest.raises(RuntimeError):
        bring(rows)
    assert not any(model.objects.exists() for model in (Batch, Task, Judgment, Response, Prompt, Import))
    assert [event.details["judgments"] for event in AuditEvent.objects.filter(action="import.clear")] == [10]
    monkeypatch.setattr(insertion, "_insert_tasks", whole)
    again, _ = bring(rows)
    assert (again.visible, again.name) == (True, "rows.jsonl")
    assert Judgment.objects.in_visible_batches().count() == 25


def test_an_import_that_breaks_at_once_leaves_nothing(bring, monkeypatch):
    whole, before = insertion._insert_tasks, everything()

    def break_after(*args):
        whole(*args)
        raise RuntimeError("power cut")

    monkeypatch.setattr(insertion, "_insert_tasks", break_after)
    with pytest.raises(RuntimeError):
        bring([PAIR | {"annotator": "kim"}])
    assert everything() == before


IMPORT_LOTS = """
import json, sys
import django
django.setup()
from annotation.importing import actions, insertion
from workspace.models import Project, User
from pathlib import Path
insertion.TASKS_PER_CHUNK = 20
whole = insertion._insert_tasks
chunks = []
def tell(*args):
    whole(*args)
    chunks.append(args)
    if len(chunks) == 3:
        print("third chunk", flush=True)
        sys.stdin.read()  # until it is killed
insertion._insert_tasks = tell
project = Project.objects.get(slug=sys.argv[1])
actor = User.objects.get(username="max")
actions.import_comparisons(actor=actor, project=project, path=Path(sys.argv[2]), format="trl")
"""


@pytest.mark.django_db(transaction=True)
def test_an_import_killed_in_the_middle_leaves_nothing_that_counts(project, write_rows, settings):
    path = write_rows([json.dumps(PAIR | {"prompt": f"Q {n}?"}) for n in range(2_000)])
    url = os.environ.get("ROUNDTABLE_DATABASE_URL", "")
    database = settings.DATABASES["default"]
    child = subprocess.Popen(
        [sys.executable, "-c", USE_TEST_DATABASE + IMPORT_LOTS, project.slug, str(path)],
        env=os.environ | {"TEST_DATABASE": str(database["NAME"]), "ROUNDTABLE_DATABASE_URL": url,
                          "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert child.stdout.readline() == "third chunk\n"
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    batch = Batch.objects.get()
    assert not batch.visible
    # A chunk is told before its transaction ends.
    assert 40 <= Judgment.objects.count() < 2_000
    assert not Judgment.objects.in_visible_batches().exists()
    assert find_counter_drift(project=project) == []
    # Whole chunks only: no task without its responses and judgment. (PostgreSQL stores the responses of the next.)
    assert not Task.objects.filter(task_responses__isnull=True).exists()
    assert Task.objects.count() == Judgment.objects.count() <= Response.objects.count() // 2
    # The same command again clears it, says so, and brings all in.
    left, broken_off = Judgment.objects.count(), Import.objects.get().created_at
    out = StringIO()
    call_command("import_comparisons", project.slug, str(path), "--format", "trl", stdout=out)
    said = out.getvalue().splitlines()
    assert said[0].startswith("Cleared import ")
    assert f"rows.jsonl) of {broken_off:%Y-%m-%d %H:%M} UTC" in said[0]
    assert said[0].endswith(f" which broke off: {left} judgments and what came with them.")
    counts = [model.objects.count() for model in (Import, Batch, Task, Judgment, Response, Prompt)]
    assert counts == [1, 1, 2_000, 2_000, 4_000, 2_000]
    assert Judgment.objects.in_visible_batches().count() == 2_000
    assert find_counter_drift(project=project) == []
    assert {user.pseudonym for user in User.objects.filter(is_active=False)} == {f"import-{project.slug}"}


USE_TEST_DATABASE = """
import os
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
"""
