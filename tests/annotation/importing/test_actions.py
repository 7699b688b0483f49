"""Comparisons: what they become, whose judgments they are, and what is refused."""

import os
from pathlib import Path

import pytest

from annotation.content.splits import assign_split
from annotation.importing.report import ImportRefused
from annotation.models import Judgment, Prompt, Response
from annotation.queue.counters import find_counter_drift
from tests.annotation.importing.conftest import GRADED, PAIR, QA, everything, graded_rows, hh_rows, qa_rows
from workspace.actions import create_project
from workspace.errors import ActionError
from workspace.models import User

pytestmark = [pytest.mark.db, pytest.mark.django_db]


START = "\n\nHuman: A?\n\nAssistant:"


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


@pytest.mark.parametrize(
    ("name", "sentence"), [(" ", "name is empty"), ("x" * 111, "more than 110 characters")]
)
def test_a_batch_name_that_cannot_be_is_refused_before_anything_is_read(bring, tmp_path, name, sentence):
    before = everything()
    with pytest.raises(ActionError, match=sentence):
        bring(tmp_path / "nowhere", batch_name=name)
    assert everything() == before


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


def test_a_project_with_two_criteria_asks_which(project, max_, bring):
    from workspace.actions import add_criterion

    add_criterion(actor=max_, project=project, name="harmless", question="Which is less harmful?")
    with pytest.raises(ActionError, match="name one with --criterion \\(helpful, harmless\\)"):
        bring([PAIR])
    with pytest.raises(ActionError, match="has no criterion kind"):
        bring([PAIR], criterion="kind")
    batch, _ = bring([PAIR], criterion="harmless")
    assert batch.criterion.name == "harmless"
