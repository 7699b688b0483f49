"""Prompts with ready answers become tasks to be judged: what is in them, what is left out and said."""

import csv
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from annotation.errors import InvalidBatch
from annotation.importing.actions import take_back_import
from annotation.importing.report import ImportRefused
from annotation.importing.tasks.actions import import_tasks
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Batch, Prompt, Response, Source, Task
from annotation.queue.actions import claim_task
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def bring(project, criterion, max_, write_rows):
    def bring(rows, name="rows.jsonl", **options):
        return import_tasks(actor=max_, project=project, path=write_rows(rows, name), **options)

    return bring


def contents(batch):
    """(prompt, [(source, answer), ...]) of each task, in order."""
    return [
        (
            task.prompt.messages[-1]["content"],
            [(shown.response.source.name, shown.response.text) for shown in task.task_responses.all()],
        )
        for task in batch.tasks.order_by("pk")
    ]


TWO = {"mapping": {"responses": ["gpt", "llama"]}}


def test_answers_in_columns_become_pairs_with_the_columns_as_sources(bring, project):
    rows = [{"prompt": f"Q{n}?", "gpt": f"g{n}", "llama": f"l{n}", "other": n} for n in range(3)]
    batch, report = bring(rows, **TWO)
    assert (batch.kind, batch.responses_per_task, batch.state, batch.visible) == (
        "pairwise",
        2,
        "draft",
        True,
    )
    assert (batch.name, batch.overlap) == ("rows.jsonl", project.overlap)
    assert contents(batch) == [(f"Q{n}?", [("gpt", f"g{n}"), ("llama", f"l{n}")]) for n in range(3)]
    assert set(Source.objects.values_list("kind", "name")) == {("import", "gpt"), ("import", "llama")}
    assert report.counts == {"tasks": 3, "sources": 2}
    assert AuditEvent.objects.get(action="tasks.import").target_id == str(batch.pk)
    assert not batch.tasks.exclude(open_slots=project.overlap).exists()


def test_an_import_of_tasks_is_taken_back_until_somebody_has_judged_one(bring, project, max_, ada, key):
    rows = [{"prompt": f"Q{n}?", "responses": ["x", "y"], "prompt_id": f"p{n}"} for n in range(2)]
    batch, report = bring(rows, open_at_once=True)
    imported = project.imports.get()
    assert (imported.pk, imported.kind, imported.state) == (report.import_id, "tasks", "done")
    hidden = take_back_import(actor=max_, imported=imported)
    assert (hidden["tasks"], hidden["responses"], hidden["prompts"]) == (2, 4, 2)
    assert claim_task(actor=ada, project=project) is None
    assert not Prompt.objects.exists() and not Response.objects.exists()
    batch, report = bring(rows, open_at_once=True)
    assert (batch.name, batch.tasks.count(), report.notes) == ("rows.jsonl", 2, [])
    assignment = claim_task(actor=ada, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key=key())
    with pytest.raises(ImportRefused, match="people have judged its tasks .1 judgment."):
        take_back_import(actor=max_, imported=project.imports.get(pk=report.import_id))


@pytest.mark.parametrize(
    ("row", "sources"),
    [
        ({"responses": ["x", "y"]}, ["rows.jsonl", "rows.jsonl"]),
        ({"responses": ["x", "y"], "sources": ["a", "b"]}, ["a", "b"]),
        ({"responses": [{"text": "x", "source": "a"}, {"text": "y", "model": "b"}]}, ["a", "b"]),
        (
            {"responses": [{"text": "x", "source": "policy", "policy": "a"}, {"text": "y"}]},
            ["a", "rows.jsonl"],
        ),
        (
            {"responses": [{"role": "assistant", "content": "x"}, [{"from": "gpt", "value": "y"}]]},
            ["rows.jsonl"] * 2,
        ),
    ],
)
def test_who_wrote_an_answer_is_read_from_the_row(bring, row, sources):
    batch, _ = bring([{"prompt": "Q?"} | row])
    assert contents(batch) == [("Q?", [(sources[0], "x"), (sources[1], "y")])]


def test_rows_of_two_to_nine_answers_are_a_ranking_and_a_null_is_no_answer(bring):
    nine = [f"n{place}" for place in range(9)]
    batch, _ = bring(
        [
            {"prompt": "A?", "responses": nine},
            {"prompt": "B?", "responses": ["x", None, "y", None]},
            {"prompt": "C?", "responses": ["x", "", "y"]},
        ]
    )
    assert (batch.kind, batch.responses_per_task) == ("ranking", 9)
    assert [[text for _, text in answers] for _, answers in contents(batch)] == [
        nine,
        ["x", "y"],
        ["x", "", "y"],
    ]
    ranking, _ = bring([{"prompt": "D?", "responses": ["x", "y"]}], kind="ranking")
    assert (ranking.kind, ranking.responses_per_task) == ("ranking", 3)


def test_equal_answers_and_equal_rows_are_taken_once_and_counted(bring):
    batch, report = bring(
        [
            {"prompt": "A?", "responses": ["x", "y", "x"], "sources": ["one", "two", "three"]},
            {"prompt": "B?", "responses": ["same", "same"]},
            {"prompt": "A?", "responses": ["y", "x"]},
            {"prompt": "A?", "responses": ["y", "z"]},
        ]
    )
    assert contents(batch) == [
        ("A?", [("one", "x"), ("two", "y")]),
        ("A?", [("rows.jsonl", "y"), ("rows.jsonl", "z")]),
    ]
    assert report.counts == {
        "tasks": 2,
        "sources": 3,
        "answers equal to another of their row, taken once": 2,
        "rows with fewer than two different answers, left out": 1,
        "rows equal to an earlier row, left out": 1,
        "rows that ask what an earlier row asks, with other answers": 1,
    }
    assert Prompt.objects.count() == 1


def test_what_a_batch_asks_already_is_said_and_left_out_unless_asked_for_again(bring):
    rows = [{"prompt": f"Q{n}?", "responses": ["x", "y"]} for n in range(4)]
    bring(rows, name="first.jsonl")
    with pytest.raises(ImportRefused) as refused:
        bring([rows[0] | {"responses": ["y", "x"]}, *rows[1:]])
    assert refused.value.message == (
        "rows.jsonl has no new task: 4 of 4 tasks are in the batch “first.jsonl” already and are left out; --again "
        "brings them in."
    )
    batch, report = bring([*rows[:3], {"prompt": "New?", "responses": ["x", "y"]}])
    assert [prompt for prompt, _ in contents(batch)] == ["New?"]
    assert report.notes == [
        "3 of 4 tasks are in the batch “first.jsonl” already and are left out; --again brings them in."
    ]
    before = Response.objects.count()
    batch, report = bring(rows, again=True)
    assert batch.tasks.count() == 4
    assert report.notes == ["4 of 4 tasks are in the batch “first.jsonl” already, and come in again."]
    assert Response.objects.count() == before + 8, "rows.jsonl is another source than first.jsonl"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "Q?", "responses": []}, "column responses: has 0 answers; between 1 and 9 are taken"),
        ({"prompt": "Q?", "responses": [str(n) for n in range(10)]}, "column responses: has 10 answers"),
        ({"prompt": "Q?", "responses": "x"}, "column responses: should be a list but is text"),
        (
            {"prompt": "Q?", "responses": ["x", True]},
            "column responses.1: should be text but is a boolean (true)",
        ),
        ({"prompt": "", "responses": ["x", "y"]}, "column prompt: is empty"),
        (
            {"prompt": "Q?", "responses": ["x", "y"], "sources": ["a"]},
            "column sources: has 1 sources for 2 answers",
        ),
        (
            {"prompt": "Q?", "responses": ["x", "y"], "prompt_id": "p"},
            "column prompt_id: p had another content",
        ),
    ],
)
def test_a_bad_row_refuses_the_file_and_writes_nothing(bring, row, reason):
    good = {"prompt": "Good?", "responses": ["x", "y"], "prompt_id": "p"}
    with pytest.raises(ImportRefused) as refused:
        bring([good, row])
    assert f"rows.jsonl, line 2, {reason}" in refused.value.message
    assert not Batch.objects.exists() and not Prompt.objects.exists() and not Source.objects.exists()
    batch, report = bring([good, row], skip_bad=True)
    assert (batch.tasks.count(), report.bad) == (1, 1)


def test_pairs_are_asked_for_and_a_row_of_three_is_bad(bring):
    rows = [{"prompt": "Q?", "responses": ["x", "y", "z"]}]
    with pytest.raises(ImportRefused, match="has 3 answers, and pairs are asked for"):
        bring(rows, kind="pairwise")
    batch, _ = bring([{"prompt": "Q?", "responses": ["x", "y", "x"]}], kind="pairwise")
    assert batch.kind == "pairwise"
    with pytest.raises(ImportRefused, match="more than 110 characters"):
        bring(rows, batch_name="n" * 111)
    with pytest.raises(InvalidBatch, match="overlap"):
        bring(rows, overlap=0)
    assert Batch.objects.count() == 1 and Task.objects.count() == 1


def test_whole_conversations_and_an_instruction_are_prompts_too(bring):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    question = {"role": "user", "content": "Why?"}
    batch, _ = bring(
        [
            {
                "responses": [
                    [*turns, question, {"role": "assistant", "content": "x"}],
                    [*turns, question, {"role": "assistant", "content": "y"}],
                ]
            },
            {"instruction": "Sum up.", "input": "A text.", "responses": ["x", "y"]},
        ]
    )
    prompts = [task.prompt.messages for task in batch.tasks.order_by("pk")]
    assert prompts == [[*turns, question], [{"role": "user", "content": "Sum up.\n\nA text."}]]


def test_the_command_brings_in_opens_and_an_annotator_gets_the_task(project, criterion, write_rows, ada):
    path = write_rows(["prompt,gpt,llama", '"Why, please?",one,two'], "answers.csv")
    out = StringIO()
    call_command(
        "import_tasks", project.slug, path, "--map", "responses=gpt", "--map", "responses=llama", "--overlap", "2",
        "--open", stdout=out,
    )  # fmt: skip
    assert out.getvalue().endswith("answers.csv: 1 task, 2 sources into the open batch “answers.csv”.\n")
    assignment = claim_task(actor=ada, project=project)
    assert assignment.task.prompt.messages[-1]["content"] == "Why, please?"
    assert assignment.task.required_judgments == 2
    with pytest.raises(CommandError, match="--again brings them in"):
        call_command(
            "import_tasks",
            project.slug,
            path,
            "--map",
            "responses=gpt",
            "--map",
            "responses=llama",
            stdout=out,
        )


def test_more_than_a_thousand_answers_at_once_are_looked_up(bring):
    """SQLite refuses a condition of a thousand alternatives, which is what Django makes of so many rows to prefetch."""
    rows = [{"prompt": f"Q{n}?", "responses": [f"{n}.{k}" for k in range(8)]} for n in range(130)]
    bring(rows, "first.jsonl")
    with pytest.raises(ImportRefused, match="130 of 130 tasks are in the batch “first.jsonl” already"):
        bring(rows, "second.jsonl")


def test_answers_alone_become_ratings_where_ratings_are_asked_for(bring):
    """Two answers of one prompt are two tasks; without --kind rating a row of one answer is left out, as before."""
    rows = [
        {"prompt": "Q?", "responses": ["x"], "sources": ["gpt"]},
        {"prompt": "Q?", "responses": ["y"], "sources": ["llama"]},
        {"prompt": "R?", "responses": ["z", "z"]},
    ]
    batch, report = bring(rows, kind="rating")
    assert (batch.kind, batch.responses_per_task) == ("rating", 1)
    assert contents(batch) == [
        ("Q?", [("gpt", "x")]), ("Q?", [("llama", "y")]), ("R?", [("rows.jsonl", "z")]),
    ]  # fmt: skip
    assert report.counts["rows that ask what an earlier row asks, with other answers"] == 1
    with pytest.raises(
        ImportRefused, match="has no new task: .* 3 rows with fewer than two different answers"
    ):
        bring(rows, name="pairs.jsonl", again=True)
    with pytest.raises(ImportRefused) as refused:
        bring([{"prompt": "Q?", "responses": ["x", "y"]}], kind="rating", again=True)
    assert "ratings are of one (--kind rating): give each a row" in str(refused.value.report.bad_rows)
    column, _ = bring(
        [{"prompt": "S?", "response": "w"}],
        name="column.jsonl",
        kind="rating",
        mapping={"responses": ["response"]},
    )
    assert contents(column) == [("S?", [("column.jsonl", "w")])]


def test_an_answer_that_begins_with_a_bracket_is_an_answer(bring, tmp_path, project, max_):
    texts = ["[1] See the source.", "[1, 2, 3]", "[]", "[", "plain"]
    rows = [{"prompt": f"Q{n}?", "said": text} for n, text in enumerate(texts)]
    one = {"mapping": {"responses": ["said"]}, "kind": "rating"}
    batch, _ = bring(rows, **one)
    assert contents(batch) == [(f"Q{n}?", [("rows.jsonl", text)]) for n, text in enumerate(texts)]
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["prompt", "said"], *((row["prompt"] + "!", row["said"]) for row in rows)])
        # A list of answers is one.
        writer.writerow(["Listed?", '["only this"]'])
    batch, _ = import_tasks(actor=max_, project=project, path=path, **one)
    said = [answers[0][1] for _, answers in contents(batch)]
    assert said == [*texts, "only this"]
    # Two columns, two answers, whatever they begin with.
    batch, _ = bring([{"prompt": "Which?", "gpt": "[a]", "llama": '["b"]'}], name="two.jsonl", **TWO)
    assert contents(batch) == [("Which?", [("gpt", "[a]"), ("llama", '["b"]')])]
