"""Prompts, demonstrations, texts, tasks and dialogues come in by chunks: killed, stopped or broken off nothing counts,
and the same command again brings all in.
"""

import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.importing.contents import actions as contents
from annotation.importing.contents.actions import import_demonstrations, import_prompts, import_texts
from annotation.importing.tasks import actions as tasks
from annotation.importing.tasks.actions import import_dialogue_turns, import_tasks
from annotation.importing.unfinished import clear_unfinished_imports
from annotation.importing.watching import ImportStopped, Watch, watched_by
from annotation.models import (
    Batch,
    Demonstration,
    Import,
    Prompt,
    PromptSet,
    PromptSetMember,
    Response,
    Source,
    Task,
    Text,
)
from annotation.records import demonstration_rows, text_rows
from workspace.models import User

pytestmark = [pytest.mark.db]

ROWS = {
    "prompts": lambda n: {"prompt": f"Write {n}", "author": f"writer-{n % 3}"},
    "demonstrations": lambda n: {
        "prompt": f"Show {n}",
        "response": f"shown {n}",
        "author": f"author-{n % 3}",
    },
    "texts": lambda n: {"text": f"Text {n}"},
    "tasks": lambda n: {"prompt": f"Ask {n}", "responses": [f"a{n}", f"b{n}"]},
    "dialogues": lambda n: {
        "messages": [{"role": "user", "content": f"Talk {n}"}, {"role": "assistant", "content": f"said {n}"}]
    },
}
BRING = {
    "prompts": import_prompts,
    "demonstrations": import_demonstrations,
    "texts": import_texts,
    "tasks": import_tasks,
    "dialogues": import_dialogue_turns,
}
COMMANDS = {
    "prompts": ["import_prompts"],
    "demonstrations": ["import_demonstrations"],
    "texts": ["import_texts"],
    "tasks": ["import_tasks"],
    "dialogues": ["import_prompts", "--from-dialogues", "--prompt-set", "dialogues"],
}
# What it makes, looked for past every filter.
STORED = (Import, Prompt, PromptSet, PromptSetMember, Demonstration, Text, Response, Source, Task, Batch)


def stored(model):
    return model._base_manager.count()


@pytest.fixture
def files(write_rows):
    def files(number):
        return {
            kind: write_rows([row(n) for n in range(number)], f"{kind}.jsonl") for kind, row in ROWS.items()
        }

    return files


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(contents, "ROWS_PER_CHUNK", 2)
    monkeypatch.setattr(tasks, "TASKS_PER_CHUNK", 2)


# Each import goes on until two of its chunks are in, and waits there, between two transactions, to be killed.
IMPORT_ALL = """
import json, os, sys, threading
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
import django
django.setup()
from django.db import connection
from pathlib import Path
from annotation.importing.contents import actions as contents
from annotation.importing.tasks import actions as tasks
from annotation.importing.watching import Watch, watched_by
from workspace.models import Project, User
contents.ROWS_PER_CHUNK = tasks.TASKS_PER_CHUNK = 20
project = Project.objects.get(slug=sys.argv[1])
actor = User.objects.get(username="max")
for kind, path in json.loads(sys.argv[2]).items():
    reached = threading.Event()
    def say(stage, done, total, reached=reached):
        if stage.startswith("storing") and done == 40:
            connection.close()
            reached.set()
            threading.Event().wait()
    def bring(kind=kind, path=path, say=say):
        module = contents if kind in ("prompts", "demonstrations", "texts") else tasks
        name = "import_dialogue_turns" if kind == "dialogues" else f"import_{kind}"
        with watched_by(Watch(say=say)):
            getattr(module, name)(actor=actor, project=project, path=Path(path))
    threading.Thread(target=bring, daemon=True).start()
    assert reached.wait(300)
print("all are in the middle", flush=True)
sys.stdin.read()
"""


@pytest.mark.django_db(transaction=True)
def test_killed_in_the_middle_nothing_counts_and_the_same_commands_bring_all_in(
    project, criterion, client, ruth, files, settings
):
    paths = files(100)
    people = User.objects.count()
    child = subprocess.Popen(
        [sys.executable, "-c", IMPORT_ALL, project.slug, json.dumps({kind: str(path) for kind, path in paths.items()})],
        env=os.environ | {"TEST_DATABASE": str(settings.DATABASES["default"]["NAME"]),
                          "ROUNDTABLE_DATABASE_URL": os.environ.get("ROUNDTABLE_DATABASE_URL", ""),
                          "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert child.stdout.readline() == "all are in the middle\n"
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    # 40 rows of each are in, and nobody is shown any.
    assert [Import.objects.unfinished().count(), stored(Demonstration), stored(Text)] == [5, 40, 40]
    assert [stored(Prompt), stored(Task), stored(Response)] == [160, 40, 120]
    assert not Demonstration.objects.exists() and not Text.objects.exists()
    assert not list(demonstration_rows(project)) and not list(text_rows(project))
    assert not PromptSet.objects.exists() and not Batch.objects.filter(visible=True).exists()
    client.force_login(ruth)
    page = client.get(reverse("data:prompts", args=[project.slug])).content.decode()
    assert "Write 1" not in page and "Show 1" not in page

    said = StringIO()
    for kind, path in paths.items():
        name, *options = COMMANDS[kind]
        call_command(name, project.slug, str(path), *options, stdout=said)
    assert said.getvalue().count("which broke off") == 5
    assert [Import.objects.finished().count(), stored(Import), Batch.objects.get().visible] == [5, 5, True]
    assert [stored(Prompt), stored(Task), stored(Response)] == [400, 100, 300]
    assert [Demonstration.objects.count(), stored(Demonstration)] == [100, 100]
    assert [Text.objects.count(), stored(Text)] == [100, 100]
    assert dict(PromptSet.objects.values_list("name", "purpose")) == {
        "prompts": "policy", "demonstrations": "sft", "dialogues": "policy"
    }  # fmt: skip
    assert {one.name: one.prompts.count() for one in PromptSet.objects.all()} == dict.fromkeys(
        ["prompts", "demonstrations", "dialogues"], 100
    )
    assert User.objects.count() == people + 6  # the writers of prompts and of demonstrations, once


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ROWS)
def test_stopped_between_two_chunks_nothing_stays(project, criterion, max_, files, small_chunks, kind):
    people = set(User.objects.values_list("pk", flat=True))
    seen = []

    def say(stage, done, total):
        if stage.startswith("storing"):
            seen.append((done, total, [stored(model) for model in (Prompt, Text)]))

    watch = Watch(say=say, stop_requested=lambda: len(seen) == 3)
    with watched_by(watch), pytest.raises(ImportStopped):
        BRING[kind](actor=max_, project=project, path=files(7)[kind])
    # Before the first chunk, and after each of two.
    assert [done for done, _, _ in seen] == [0, 2, 4] and {total for _, total, _ in seen} == {7}
    assert [sum(rows) for _, _, rows in seen] == [0, 2, 4]
    assert not any(stored(model) for model in STORED)
    assert set(User.objects.values_list("pk", flat=True)) == people
    # Unstopped the same comes in whole, the seventh row too.
    BRING[kind](actor=max_, project=project, path=files(7)[kind])
    assert stored(Prompt) + stored(Text) == 7 and Import.objects.get().state == "done"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ROWS)
def test_every_row_is_stored_or_reported_whatever_chunk_it_is_in(
    project, criterion, max_, write_rows, small_chunks, kind
):
    row = ROWS[kind]
    BRING[kind](actor=max_, project=project, path=write_rows([row(1), row(4)], "before.jsonl"))
    before = Import.objects.get().pk
    # Repeats of rows of other chunks, rows that are there, and bad ones.
    rows = [row(0), row(1), {"nothing": 1}, row(2), row(0), row(3), row(4), {"prompt": 7}, row(5), row(2)]
    path = write_rows(rows, "again.jsonl")
    result = BRING[kind](actor=max_, project=project, path=path, skip_bad=True)
    report = result[1] if kind == "tasks" else result
    new = Import.objects.exclude(pk=before).get()
    assert (report.rows, report.bad, new.rows, new.bad_rows) == (10, 2, 10, 2)
    stored_rows = {
        "prompts": lambda: new.memberships.count(),
        "demonstrations": lambda: new.demonstrations.count(),
        "texts": lambda: Text.objects.filter(from_import=new).count(),
        "tasks": lambda: Task.objects.filter(batch__from_import=new).count(),
        "dialogues": lambda: new.memberships.count(),
    }[kind]()
    assert stored_rows == 4  # 0, 2, 3 and 5
    # The two repeats and the two that were there are said.
    said = " ".join(report.notes) + json.dumps(report.counts)
    assert {
        "prompts": "2 rows repeat a prompt of the file. 2 of 6 prompts are in the prompt set",
        "demonstrations": "2 rows repeat a demonstration of the file. 2 of 6 demonstrations are in the project",
        "texts": '"already in the project": 2',
        "tasks": "2 of 6 tasks are in the batch",
        "dialogues": "2 of 6 prompts are in the set",
    }[kind] in said


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["prompts", "demonstrations", "texts", "tasks", "dialogues"])
def test_what_an_import_shares_with_one_that_broke_off_stays(
    project, criterion, max_, write_rows, files, small_chunks, kind
):
    """The second finds rows of the first, which is still coming in; then the first is given up."""
    paths = files(6)
    second = write_rows([ROWS[kind](n) for n in (1, 3, 9)], "second.jsonl")

    def bring_second():
        with watched_by(Watch()):
            BRING[kind](actor=max_, project=project, path=second)

    def say(stage, done, total):
        if stage.startswith("storing") and done == 4:
            bring_second()
            raise KeyboardInterrupt

    with watched_by(Watch(say=say)), pytest.raises(KeyboardInterrupt):
        BRING[kind](actor=max_, project=project, path=paths[kind])
    imported = Import.objects.get()
    assert imported.state == "done" and imported.files[0]["name"] == "second.jsonl"
    assert clear_unfinished_imports(actor=max_, project=project) == []
    expected = {
        row["text"] if kind == "texts" else str(n) for n, row in ((n, ROWS[kind](n)) for n in (1, 3, 9))
    }
    if kind == "texts":
        assert set(Text.objects.values_list("text", flat=True)) == expected
        return
    prompts = {prompt.messages[0]["content"].split()[1] for prompt in Prompt.objects.all()}
    assert prompts == expected
    number = {
        "prompts": lambda: PromptSet.objects.get().prompts.count(),
        "demonstrations": lambda: min(Demonstration.objects.count(), PromptSet.objects.get().prompts.count()),
        "tasks": lambda: Task.objects.filter(task_responses__position=1, batch__visible=True).count(),
        "dialogues": lambda: Response.objects.filter(prompt__prompt_sets=PromptSet.objects.get()).count(),
    }[kind]()
    assert number == 3
