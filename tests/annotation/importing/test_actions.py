import copy
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from annotation.content.splits import assign_split
from annotation.exporting.actions import export_selection
from annotation.importing import insertion
from annotation.importing.actions import import_comparisons
from annotation.importing.contents.actions import import_demonstrations, import_prompts
from annotation.importing.report import ImportRefused
from annotation.models import Batch, Demonstration, Import, Judgment, Prompt, PromptSet, Response, Task
from annotation.queue.counters import find_counter_drift
from tests.annotation.importing.conftest import GRADED, QA, graded_rows, hh_rows, qa_rows
from tests.annotation.importing.readers.conftest import COMPARISON, JUDGMENT
from workspace.actions import create_project
from workspace.errors import ActionError
from workspace.models import AuditEvent, User

pytestmark = [pytest.mark.db, pytest.mark.django_db]

START = "\n\nHuman: A?\n\nAssistant:"
PAIR = {"prompt": "Why?", "chosen": "good", "rejected": "bad"}


def everything():
    """How many rows of each table an import writes to."""
    return [
        model.objects.count()
        for model in (Prompt, Response, Batch, Task, Judgment, Demonstration, PromptSet, User, AuditEvent)
    ]


@pytest.fixture
def bring(project, max_, write_rows):
    def bring(rows, format="trl", name="rows.jsonl", **options):
        path = rows if not isinstance(rows, list) else write_rows(rows, name)
        return import_comparisons(
            actor=max_, project=options.pop("project", project), path=path, format=format, **options
        )

    return bring


def test_comparisons_become_a_closed_batch_of_counted_judgments(project, bring):
    batch, report = bring(list(hh_rows(120)), "hh", skip_bad=True, name="dialogues.jsonl.gz")
    assert (report.rows, report.bad, report.counts) == (
        120,
        3,
        {"judgments": 117, "tasks": 117, "annotators": 1},
    )
    assert [row.line for row in report.bad_rows] == [8, 58, 108]
    assert (batch.name, batch.state, batch.visible, batch.responses_per_task) == (
        "dialogues.jsonl.gz",
        "closed",
        True,
        2,
    )
    assert Judgment.objects.in_batch(batch).counted().exclude(strengths=[]).count() == 117
    assert not batch.tasks.filter(open_slots__gt=0).exists()
    assert find_counter_drift(project=project) == []
    for prompt in Prompt.objects.all():
        assert prompt.split == assign_split(prompt.messages, project.split_salt)


def test_one_bad_row_refuses_the_whole_file_and_writes_nothing(bring):
    rows = [PAIR | {"prompt": f"Q {n}?"} for n in range(5)]
    before = everything()
    with pytest.raises(ImportRefused) as refused:
        bring([*rows, PAIR | {"rejected": True}])
    assert everything() == before
    assert refused.value.message == (
        "Nothing was imported: 1 of 6 rows is bad (first: rows.jsonl, line 6, column rejected: should be text but is "
        "a boolean (true)); correct them, or leave them out with --skip-bad."
    )
    assert [str(row) for row in refused.value.report.bad_rows] == [
        "rows.jsonl, line 6, column rejected: should be text but is a boolean (true)"
    ]
    bring(rows)
    assert Judgment.objects.count() == 5


@pytest.mark.parametrize(
    ("rows", "format", "code"),
    [
        (["no json"], "trl", "bad_rows"),
        ([{"a": 1}], "trl", "bad_rows"),
        ([{"chosen": START + " x", "rejected": START + " x"}], "hh", "bad_rows"),
        ([PAIR | {"prompt": "x" * 5_000_000}], "trl", "bad_rows"),
        ([PAIR | {"id": "1"}, PAIR | {"id": "1"}], "trl", "bad_rows"),
        ([" "], "trl", "no_rows"),
        ([PAIR], "moon", "unknown_format"),
    ],
)
def test_a_file_without_a_good_row_is_refused_even_with_skip_bad(bring, rows, format, code):
    before = everything()
    for skip_bad in (False, True):
        if code == "bad_rows" and skip_bad and len(rows) > 1:
            continue
        with pytest.raises(ImportRefused) as refused:
            bring(rows, format, skip_bad=skip_bad)
        assert refused.value.code == code
        assert refused.value.message.count("\n") == 0
    assert everything() == before


def test_a_duplicate_id_names_the_line_that_had_it_first(bring):
    with pytest.raises(ImportRefused) as refused:
        bring([PAIR | {"id": "7"}, PAIR | {"id": "8"}, PAIR | {"id": 7}])
    assert "line 3, column id: 7 is a duplicate of line 1" in refused.value.message


def test_people_of_the_annotator_column_become_inactive_users_who_judge_the_same_tasks(project, bring):
    """The file has its seven evaluators judge one item each; here three of them judge all."""
    rows = [row | {"evaluator": who} for row in list(graded_rows(9)) for who in ("yo", "kh", "yi")]
    batch, report = bring(rows, "ranked", mapping=GRADED[1])
    assert report.counts == {"judgments": 27, "tasks": 9, "annotators": 3}
    people = User.objects.filter(judgments__task__batch=batch).distinct()
    assert {(who.pseudonym, who.kind, who.is_active) for who in people} == {
        (name, "person", False) for name in ("yo", "kh", "yi")
    }
    assert not any(who.has_usable_password() for who in people)
    assert set(batch.tasks.values_list("counted_judgments", "required_judgments")) == {(3, 3)}
    again, _ = bring(rows, "ranked", mapping=GRADED[1], again=True)
    assert User.objects.filter(judgments__task__batch=again).distinct().count() == 3
    assert User.objects.filter(pseudonym__in=["yo", "kh", "yi"]).count() == 3


def test_the_same_name_in_another_project_is_somebody_else(bring, max_):
    rows = [{"annotator": "worker1"} | PAIR]
    bring(rows)
    bring(rows, project=create_project(actor=max_, name="Other"))
    assert User.objects.filter(pseudonym__startswith="worker1").count() == 2


def test_an_annotator_who_judged_the_same_thing_twice_keeps_both_judgments(bring):
    batch, report = bring([PAIR | {"annotator": "kh"}] * 4 + [PAIR | {"annotator": "yo"}])
    assert report.counts == {"judgments": 5, "tasks": 4, "annotators": 2}
    assert Judgment.objects.in_batch(batch).counted().count() == 5


def test_grades_strengths_and_ties_are_stored_as_tiers(bring):
    batch, _ = bring(list(graded_rows(5)), "ranked", mapping=GRADED[1])
    stored = []
    for judgment in Judgment.objects.in_batch(batch).order_by("pk"):
        text_of = dict(Response.objects.filter(pk__in=judgment.order_shown).values_list("pk", "text"))
        stored.append(([[text_of[key][0] for key in tier] for tier in judgment.tiers], judgment.strengths))
    assert stored == [
        ([["a"], ["b"]], [2]),
        ([["a"], ["b"]], [1]),
        ([["a", "b"]], []),
        ([["b"], ["a"]], [1]),
        ([["b"], ["a"]], [2]),
    ]


def test_rankings_and_pairs_of_one_file_share_a_batch(bring):
    batch, report = bring(list(qa_rows(40)), "ranked", mapping=QA[1])
    assert report.counts["judgments"] == 38 + 2 * 6
    assert (batch.kind, batch.responses_per_task) == ("ranking", 4)
    flagged = Judgment.objects.in_batch(batch).exclude(flags=[])
    assert flagged.count() == 12
    # The six pairs of a group are about the same four responses.
    assert Response.objects.filter(task_responses__task__judgments__in=flagged).distinct().count() == 8


def test_strengths_of_another_scale_are_given_a_meaning(bring):
    rows = [{"prompt": "Q?", "responses": ["a", "b"], "preference": grade} for grade in ("L+", "R")]
    with pytest.raises(ImportRefused, match="a preference without a known meaning"):
        bring(rows, "ranked")
    batch, _ = bring(rows, "ranked", named_strengths={"L+": "a:3", "R": "b:1"})
    assert list(Judgment.objects.in_batch(batch).order_by("pk").values_list("strengths", flat=True)) == [
        [3],
        [1],
    ]
    with pytest.raises(ImportRefused, match="cannot mean"):
        bring(rows, "ranked", named_strengths={"L+": "c:3"})


def test_a_label_of_one_for_the_first_answer_is_not_read_the_other_way_round(bring):
    rows = [
        {"prompt": "Tea or mud?", "a": "Tea", "b": "Mud", "label": 1},
        {"prompt": "Mud or tea?", "a": "Mud", "b": "Tea", "label": 0},
    ]
    mapping = {"responses": ["a", "b"], "preference": ["label"]}
    names = {"1": "a:2", "0": "b:2", "-1": "tie"}
    batch, report = bring(rows, "ranked", mapping=mapping, named_strengths=names)
    judgments = Judgment.objects.in_batch(batch)
    assert [Response.objects.get(pk=judgment.tiers[0][0]).text for judgment in judgments] == ["Tea", "Tea"]
    assert [judgment.strengths for judgment in judgments] == [[2], [2]]
    assert report.notes == ["--strength -1=...: no row has the preference “-1”"]


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


@pytest.mark.parametrize(
    ("name", "sentence"), [(" ", "name is empty"), ("x" * 111, "more than 110 characters")]
)
def test_a_batch_name_that_cannot_be_is_refused_before_anything_is_read(bring, tmp_path, name, sentence):
    before = everything()
    with pytest.raises(ActionError, match=sentence):
        bring(tmp_path / "nowhere", batch_name=name)
    assert everything() == before


def record(number, **fields):
    """One of our own judgments, about responses of its own."""
    own = copy.deepcopy(JUDGMENT) | {"judgment_id": str(number), "prompt_id": f"p{number}"}
    for response in own["responses"]:
        response["response_id"] += str(number)
    own["tiers"] = [[f"y{number}"], [f"x{number}", f"z{number}"]]
    own["order_shown"] = [f"{name}{number}" for name in "zxy"]
    return own | fields


def test_what_our_records_say_of_responses_is_kept(bring):
    batch, _ = bring([record(1)], "records")
    judgment = Judgment.objects.in_batch(batch).get()
    names = dict(Response.objects.values_list("pk", "external_id"))
    assert [names[key] for key in judgment.order_shown] == ["z1", "x1", "y1"]
    assert Response.objects.get(external_id="x1").sampling == {"temperature": 1.0}
    bring([COMPARISON | {"prompt": [{"role": "user", "content": "Who?"}]}], "records")
    assert set(Response.objects.filter(prompt__messages__0__content="Who?").values_list("external_id", flat=True)) == {
        "x", "y", "z",
    }  # fmt: skip


def test_a_response_answers_one_prompt(bring):
    """Two prompts of the same words are two prompts."""
    other = record(2, responses=record(1)["responses"], tiers=record(1)["tiers"], order_shown=None)
    before = everything()
    with pytest.raises(ImportRefused, match="line 2, column response_id: x1 had another content on line 1"):
        bring([record(1), other], "records")
    assert everything() == before
    bring([record(1)], "records")
    before = everything()
    with pytest.raises(
        ImportRefused, match="line 1, column response_id: x1 belongs to another content in this"
    ):
        bring([other], "records")
    assert everything() == before


def test_responses_are_found_again_from_rows_that_do_not_name_their_prompt(bring):
    bring([record(1)], "records")
    ids = ["x1", "y1", "z1"]
    with pytest.raises(ImportRefused, match="1 of 1 judgment is in the batch"):
        bring([COMPARISON | {"response_ids": ids}], "records")
    bring([COMPARISON | {"response_ids": ids}], "records", again=True)
    assert Response.objects.count() == 3
    bring([record(2)], "records")  # a second prompt of the same words: the rows mean the first
    with pytest.raises(ImportRefused, match="line 1, column response_id: x2 belongs to another content"):
        bring([COMPARISON | {"group_id": "g2", "response_ids": ["x2", "y2", "z2"]}], "records")


def test_records_that_were_imported_before_are_left_out_and_new_ones_are_not(bring):
    bring([record(1), record(2)], "records", name="first.jsonl")
    before = everything()
    with pytest.raises(ImportRefused, match="2 of 2 judgments are in the batch “first.jsonl” already"):
        bring([record(2), record(1)], "records")
    assert everything() == before
    _, report = bring([record(2), record(3)], "records")
    assert (report.bad, report.counts["judgments"]) == (0, 1)
    assert report.notes == [
        "1 of 2 judgments is in the batch “first.jsonl” already and left out; --again imports them once more."
    ]
    # Another installation counts from 1 too.
    bring([record(1, annotator="annotator-of-theirs", prompt_id=None, order_shown=None) | {
        "responses": [response | {"response_id": f"w{place}"} for place, response in enumerate(record(1)["responses"])],
        "tiers": [["w0"], ["w1", "w2"]],
    }], "records")  # fmt: skip
    assert Judgment.objects.in_visible_batches().count() == 4


def test_two_names_of_the_same_user_judge_two_copies_of_the_task(project, bring):
    batch, report = bring([PAIR, PAIR | {"annotator": f"import-{project.slug}"}])
    assert report.counts == {"judgments": 2, "tasks": 2, "annotators": 1}
    assert Judgment.objects.in_batch(batch).counted().count() == 2
    both = [PAIR | {"annotator": "kim"}, record(1, annotator="kim", annotator_kind="ai")]
    bring(both[:1])
    bring(both[1:], "records", project_splits=True)
    assert set(User.objects.filter(pseudonym__startswith="kim").values_list("kind", flat=True)) == {
        "person",
        "ai",
    }


def test_a_bad_row_takes_no_id_from_a_good_one(bring):
    _, report = bring([PAIR | {"id": "7", "chosen": True}, PAIR | {"id": "7"}], skip_bad=True)
    assert [row.line for row in report.bad_rows] == [1]


def test_a_file_may_have_a_name_that_is_no_text(bring, write_rows):
    path = Path(os.fsdecode(os.fsencode(write_rows([PAIR, PAIR | {"chosen": 1}])) + b"\xff"))
    (path.parent / "rows.jsonl").rename(path)
    with pytest.raises(ImportRefused) as refused:
        bring(path)
    refused.value.message.encode()
    batch, report = bring(path, skip_bad=True)
    assert batch.name == report.file == "rows.jsonl\\udcff"


def test_an_id_that_means_something_else_in_the_project_is_a_bad_row(project, max_, write_rows):
    def rows(text):
        return [{"prompt_id": "p1", "prompt": text}, {"prompt_id": "p2", "prompt": "Other?"}]

    import_prompts(actor=max_, project=project, path=write_rows(rows("Why?")))
    with pytest.raises(
        ImportRefused, match="2 of 2 prompts are in the prompt set “prompts” already: nothing"
    ):
        import_prompts(actor=max_, project=project, path=write_rows(rows("Why?")))
    import_prompts(actor=max_, project=project, path=write_rows(rows("Why?")), again=True)
    assert Prompt.objects.count() == 2
    with pytest.raises(
        ImportRefused, match="line 1, column prompt_id: p1 belongs to another content in this project"
    ):
        import_prompts(actor=max_, project=project, path=write_rows(rows("How?")))
    report = import_prompts(
        actor=max_, project=project, path=write_rows(rows("How?")), skip_bad=True, prompt_set="more"
    )
    assert (report.bad, report.counts) == (1, {"new prompts": 0})
    assert Prompt.objects.count() == 2


def test_prompts_are_refused_with_the_column_to_blame(project, max_, write_rows):
    rows = [{"id": "a", "prompt": "Why?"}, {"id": "a", "prompt": "Why?"}]
    with pytest.raises(ImportRefused, match="line 2, column id: a is a duplicate of line 1"):
        import_prompts(actor=max_, project=project, path=write_rows(rows), mapping={"prompt_id": ["id"]})
    rows = [{"prompt_id": "a", "prompt": "Why?"}, {"prompt_id": "a", "prompt": "Why?"}]
    with pytest.raises(ImportRefused, match="line 2, column prompt_id: a is a duplicate of line 1"):
        import_prompts(actor=max_, project=project, path=write_rows(rows))
    with pytest.raises(ActionError, match="A prompt set needs a name of at most 120 characters."):
        import_prompts(actor=max_, project=project, path=write_rows(rows[:1]), prompt_set="x" * 121)
    assert not Prompt.objects.exists()


def test_prompts_go_into_their_set_and_keep_their_split(project, max_, write_rows):
    path = write_rows(
        [{"prompt": f"Q {n}?", "author": "kim", "tags": ["t"]} for n in range(30)], "prompts.jsonl.gz"
    )
    report = import_prompts(
        actor=max_, project=project, path=path, prompt_set="cooking", purpose="evaluation"
    )
    assert report.counts == {"new prompts": 30}
    made = PromptSet.objects.get()
    assert (made.name, made.purpose, made.prompts.count()) == ("cooking", "evaluation", 30)
    assert {prompt.author.pseudonym for prompt in Prompt.objects.all()} == {"kim"}
    assert len(set(Prompt.objects.values_list("split", flat=True))) > 1


def test_demonstrations_are_stored_once_however_often_they_come(project, max_, write_rows):
    rows = [{"prompt": f"Q {n % 5}?", "response": f"A {n}."} for n in range(10)]
    path = write_rows([*rows, rows[0]])
    report = import_demonstrations(actor=max_, project=project, path=path)
    assert report.counts == {"new demonstrations": 10}
    assert report.notes == ["1 row repeats a demonstration of the file."]
    before = everything()
    with pytest.raises(
        ImportRefused, match="10 of 10 demonstrations are in the project already: nothing .* --again imports"
    ):
        import_demonstrations(actor=max_, project=project, path=path)
    assert everything() == before
    more = write_rows([rows[0], {"prompt": "Q 0?", "response": "New."}], "more.jsonl")
    report = import_demonstrations(actor=max_, project=project, path=more)
    assert (report.counts["new demonstrations"], report.notes) == (
        1, ["1 of 2 demonstrations is in the project already and left out; --again imports them once more."],
    )  # fmt: skip
    assert (Demonstration.objects.count(), Prompt.objects.count()) == (11, 5)
    import_demonstrations(actor=max_, project=project, path=path, again=True)
    assert Demonstration.objects.count() == 21
    assert PromptSet.objects.get().purpose == "sft"


def test_a_project_with_two_criteria_asks_which(project, max_, bring):
    from workspace.actions import add_criterion

    add_criterion(actor=max_, project=project, name="harmless", question="Which is less harmful?")
    with pytest.raises(ActionError, match="name one with --criterion \\(helpful, harmless\\)"):
        bring([PAIR])
    with pytest.raises(ActionError, match="has no criterion kind"):
        bring([PAIR], criterion="kind")
    batch, _ = bring([PAIR], criterion="harmless")
    assert batch.criterion.name == "harmless"


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


def call(people):
    function = {"name": "book", "arguments": json.dumps({"people": people})}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }
    ]


TABLE = [{"role": "user", "content": "Book a table for two"}]
FULL = [{"role": "tool", "content": "full", "tool_call_id": "c1"}]
WEATHER = [
    {"role": "assistant", "content": "Let me look"},
    {"role": "tool", "content": "rain"},
    {"role": "assistant", "content": "Rain; take a hat"},
]


def test_tool_calls_and_answers_of_several_messages_are_kept_whole(project, bring, max_, tmp_path):
    """Imported, exported and imported again they are what they were; two different calls are two answers."""
    rows = [
        {"prompt": TABLE, "chosen": call(2), "rejected": call(7)},
        {"prompt": TABLE, "chosen": WEATHER, "rejected": "Sun"},
        {"prompt": TABLE + call(3) + FULL, "chosen": "A", "rejected": "B"},
    ]
    batch, report = bring(rows)
    assert (report.bad, report.counts["tasks"]) == (0, 3)

    def stored(wanted):
        judgments = Judgment.objects.filter(task__batch__project=wanted).order_by("pk")
        return [
            (
                judgment.task.prompt.messages,
                [Response.objects.get(pk=tier[0]).turns for tier in judgment.tiers],
            )
            for judgment in judgments
        ]

    def kept(people):
        made = {"id": "c1", "name": "book", "arguments": json.dumps({"people": people})}
        return [{"role": "assistant", "content": "", "tool_calls": [made]}]

    assert stored(project) == [
        (TABLE, [kept(2), kept(7)]),
        (TABLE, [WEATHER, None]),
        (TABLE + kept(3) + FULL, [None, None]),
    ]
    assert {response.text for response in Response.objects.filter(turns__isnull=False)} == {
        '[call] book({"people": 2})', '[call] book({"people": 7})', "Let me look\n\n[tool] rain\n\nRain; take a hat",
    }  # fmt: skip
    for number, (format, read_as) in enumerate(
        (("records", "records"), ("judgments", "records"), ("trl", "trl"))
    ):
        for files in ("parquet", "jsonl"):
            out = tmp_path / f"{format}-{files}"
            export_selection(actor=max_, project=project, selection={}, out=out, format=format, files=files)
            other = create_project(actor=max_, name=f"Other {number} {files}")
            for file in sorted((out / "data").iterdir()):
                import_comparisons(actor=max_, project=other, path=file, format=read_as)
            assert sorted(stored(other), key=str) == sorted(stored(project), key=str), (format, files)
    with pytest.raises(ActionError, match="3 of 3 comparisons have tool calls .* leave --plain out"):
        export_selection(
            actor=max_, project=project, selection={}, out=tmp_path / "plain", format="trl", plain=True
        )
