"""An import on a full disk, in the command as a person runs it."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from annotation.content.actions import get_or_create_prompt_set
from annotation.importing.unfinished import (
    begin_import,
    clear_on_failure,
    clear_unfinished_imports,
    is_at_work,
)
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import (
    Assignment,
    Batch,
    Import,
    Judgment,
    Prompt,
    PromptSetMember,
    Response,
    Task,
    TaskQuestion,
)
from annotation.questions.actions import ask_question
from annotation.queue.actions import claim_task
from annotation.writing.works import open_work
from workspace.models import User

ROOT = Path(__file__).resolve().parents[3]
RUN_COMMAND = """
import os, sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
import django
django.setup()
from annotation.importing import insertion
insertion.TASKS_PER_CHUNK = 20
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def limited(room):
    """No file may grow beyond its size now and `room`: what a full disk is to a database."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return limit


@pytest.mark.django_db(transaction=True)  # not of PostgreSQL: its server writes, not the command
def test_a_full_disk_is_one_sentence_and_leaves_nothing(project, write_rows, settings):
    database = Path(settings.DATABASES["default"]["NAME"])
    rows = [{"prompt": f"Q {n}? " + "x" * 2000, "chosen": "yes", "rejected": "no"} for n in range(3_000)]
    path = write_rows(rows)

    def run(room=None):
        return subprocess.run(
            [sys.executable, "-c", RUN_COMMAND, "import_comparisons", project.slug, str(path), "--format", "trl"],
            cwd=ROOT,
            env=os.environ | {"TEST_DATABASE": str(database), "DJANGO_SETTINGS_MODULE": "tests.settings"},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=limited(room) if room else None,
        )  # fmt: skip

    wal = database.with_name(database.name + "-wal")
    size = max(database.stat().st_size, wal.stat().st_size if wal.exists() else 0)
    broken = run(room=size + 2_000_000)
    assert broken.returncode == 2, broken.stderr
    assert re.fullmatch(
        r"(CommandError: )?The import broke off \(.+\) and nothing of it counts: make room on the disk if it is full, "
        r"and import again\.\n",
        broken.stderr,
    ), broken.stderr
    assert not Judgment.objects.current().exists()
    whole = run()
    assert whole.returncode == 0, whole.stderr
    counts = [model.objects.count() for model in (Import, Batch, Task, Judgment, Response, Prompt)]
    assert counts == [1, 1, 3000, 3000, 6000, 3000]
    assert Judgment.objects.current().count() == 3000


@pytest.mark.db
@pytest.mark.django_db
def test_an_import_is_at_work_as_long_as_its_process_is(project, max_):
    with clear_on_failure(max_, project):
        imported = begin_import(actor=max_, project=project, kind="prompts", format="records", files=[])
        assert is_at_work(imported)
        here = imported.process
        imported.process = here | {"identity": "a process that had this number before"}
        assert not is_at_work(imported)
        imported.process = here | {"host": "elsewhere"}  # heard of a moment ago
        assert is_at_work(imported)
        imported.process = {}
        assert not is_at_work(imported)
        imported.process = here
    assert not is_at_work(imported)
    assert User.objects.filter(pk=max_.pk).exists()


@pytest.mark.db
@pytest.mark.django_db
def test_what_people_had_is_theirs_when_an_import_is_cleared(project, max_, ada, make_batch):
    [batch] = [make_batch(tasks=2)]
    held = claim_task(actor=ada, project=project)
    question = ask_question(actor=ada, assignment=held, text="Which tea?")
    imported = Import.objects.create(
        project=project, kind="comparisons", format="records", actor=max_, process={}
    )
    rows = [
        NewJudgment(
            task=task, annotator=ada, tiers=[[one], [other]], strengths=[1], idempotency_key=f"imported-{task.pk}",
            from_import=imported,
        )
        for task in batch.tasks.order_by("pk")
        for one, other in [task.task_responses.order_by("pk").values_list("response_id", flat=True)]
    ]  # fmt: skip
    add_judgments(actor=max_, batch=batch, rows=rows)
    held.refresh_from_db()
    assert held.state == Assignment.State.SUBMITTED
    [said] = clear_unfinished_imports(actor=max_, project=project)
    assert "2 judgments" in said
    held.refresh_from_db()
    assert held.state == Assignment.State.TAKEN_BACK and TaskQuestion.objects.get() == question
    assert not Judgment.objects.exists() and not Import.objects.exists()
    # The one that only the import made is gone.
    assert list(Assignment.objects.values_list("pk", flat=True)) == [held.pk]


@pytest.mark.db
@pytest.mark.django_db
def test_what_somebody_writes_for_stays_when_an_import_is_cleared(project, max_, make_batch):
    batch = make_batch(tasks=2)
    used, unused = (task.prompt for task in batch.tasks.order_by("pk"))
    imported = Import.objects.create(
        project=project, kind="prompts", format="records", actor=max_, process={}
    )
    answers = get_or_create_prompt_set(actor=max_, project=project, name="questions", purpose="sft")
    Task.objects.all().delete()
    for prompt in (used, unused):
        PromptSetMember.objects.create(prompt_set=answers, prompt=prompt, from_import=imported)
    Response.objects.update(from_import=imported)
    Prompt.objects.update(from_import=imported)
    PromptSetMember.objects.filter(prompt=unused).delete()
    work = open_work(actor=max_, project=project, name="Corrections", kind="edit", prompt_set=answers)
    corrected = work.items.get().edited_response
    clear_unfinished_imports(actor=max_, project=project)
    assert list(Prompt.objects.all()) == [used] and list(Response.objects.all()) == [corrected]
    assert work.items.get().prompt == used and not Import.objects.exists()
