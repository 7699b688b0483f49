"""Whatever is accepted as a judgment can be frozen, exported in every format and read back: for good, as the history is
part of every dataset.
"""

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.datasets.actions import freeze_dataset
from annotation.errors import InvalidJudgment, InvalidText
from annotation.exporting.actions import export_preferences
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Judgment
from annotation.queue.actions import claim_task
from learning.interface.record_files import read_records
from learning.interface.record_schemas import COMPARISONS, JUDGMENTS
from workspace.actions import change_question_settings

pytestmark = [pytest.mark.db, pytest.mark.django_db]

numbers = itertools.count()

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**17, 10**17 + 5), st.just(10**400), st.just(-(10**400)),
    st.floats(), st.text(max_size=5),
    st.sampled_from(["\ud800", "\0", "group:x", "intransitive", "unsafe", "both_bad"]),
)  # fmt: skip
MARKS = st.dictionaries(
    st.sampled_from("AB"),
    st.dictionaries(
        st.sampled_from(["points", "safe", "word", "text", "other"]),
        st.one_of(VALUES, st.integers(1, 7), st.sampled_from(["one", "two"])),
        max_size=3,
    ),
    max_size=2,
)
ASKED = {
    "marks": [
        {"name": "points", "label": "Points", "kind": "likert", "points": 7},
        {"name": "safe", "label": "Safe?", "kind": "yes_no"},
        {"name": "word", "label": "Which?", "kind": "choice", "choices": ["one", "two"]},
        {"name": "text", "label": "Why?", "kind": "text"},
    ]
}
CONTENTS = st.fixed_dictionaries(
    {
        "tiers": st.sampled_from([[["A"], ["B"]], [["B"], ["A"]], [["A", "B"]]]),
        "strengths": st.lists(st.one_of(st.integers(0, 3), VALUES), max_size=1),
        "marks": st.one_of(MARKS, VALUES),
        "flags": st.one_of(st.lists(VALUES, max_size=3), VALUES),
        "seconds": st.one_of(st.integers(0, 100), VALUES),
        "rationale": st.one_of(st.text(max_size=20), VALUES),
    }
)


@pytest.fixture
def everything_goes_out(project, max_, tmp_path):
    """Freeze, export in each format, and the rows of our own records read back from the files."""

    def check():
        dataset = freeze_dataset(actor=max_, project=project)
        out = tmp_path / str(next(numbers))
        export_preferences(
            actor=max_, dataset=dataset, out=out / "trl", format="trl", ties="soft", files="jsonl"
        )
        found = {}
        for format, schema in (("records", COMPARISONS), ("judgments", JUDGMENTS)):
            export_preferences(actor=max_, dataset=dataset, out=out / format, format=format, files="jsonl")
            files = sorted((out / format / "data").iterdir())
            found[format] = [row for path in files for row in read_records(path, schema)]
        return found

    return check


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
)
@given(content=CONTENTS)
def test_whatever_submit_accepts_goes_out_and_comes_back(
    ada, max_, project, make_batch, key, everything_goes_out, content
):
    change_question_settings(actor=max_, project=project, allow_ties=True, ask_rationale=False, asked=ASKED)
    make_batch(tasks=1)
    assignment = claim_task(actor=ada, project=project)
    try:
        json.dumps(content)
        judgment = submit_judgment(
            actor=ada, assignment=assignment, content=JudgmentInput(**content), idempotency_key=key()
        )
    except (InvalidJudgment, InvalidText) as error:
        assert error.message.endswith(".")
        return
    rows = {row["judgment_id"]: row for row in everything_goes_out()["judgments"]}
    row = rows[str(judgment.pk)]
    assert (row["strengths"], row["flags"]) == (judgment.strengths, judgment.flags)
    ids = {str(response.pk): response.external_id for response in project.responses.all()}
    stored = {ids[key]: marks for key, marks in judgment.marks.items()}
    others = json.loads(row["other_marks"] or "{}")
    found = {r["response_id"]: dict(r["marks"]) | others.get(r["response_id"], {}) for r in row["responses"]}
    assert {key: marks for key, marks in found.items() if marks} == stored
    assert len(rows) == Judgment.objects.count()


def test_a_mark_that_was_stored_before_marks_were_bounded_spoils_no_export(
    ada, project, make_batch, key, everything_goes_out
):
    make_batch(tasks=1)
    assignment = claim_task(actor=ada, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
    first = submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key=key())
    keys = assignment.order_shown
    # As it lies in the database of who was sent one: the history is part of every dataset, so revising does not help.
    poisoned = Judgment.objects.create(
        assignment=assignment, task=assignment.task, annotator=ada, supersedes=first, order_shown=keys,
        tiers=[[keys[0]], [keys[1]]], strengths=[2.0], flags=["unsafe", "group:x", "intransitive"],
        marks={str(keys[0]): {"huge": 10**400, "fine": 4}}, settings_version=1, guideline_version=1,
        idempotency_key=key(),
    )  # fmt: skip
    found = {row["judgment_id"]: row for row in everything_goes_out()["judgments"]}[str(poisoned.pk)]
    marks = {name: mark for response in found["responses"] for name, mark in dict(response["marks"]).items()}
    assert marks == {"fine": 4.0}
    assert (found["strengths"], found["flags"]) == ([2], ["unsafe"])
