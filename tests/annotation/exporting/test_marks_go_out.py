"""Marks, confidence and flags of judgments go out with the records and come back into another project as they were."""

import csv
import json

import pytest

from annotation.datasets.actions import freeze_dataset
from annotation.exporting.actions import export_preferences
from annotation.importing.actions import import_comparisons
from annotation.importing.report import ImportRefused
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Judgment
from annotation.queue.actions import claim_task
from workspace.actions import change_question_settings, create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ASKED = {
    "marks": [
        {"name": "quality", "label": "Quality", "kind": "likert", "points": 7},
        {"name": "tone", "label": "Tone", "kind": "choice", "choices": ["warm", "cold"]},
        {"name": "fix", "label": "What to mend", "kind": "text"},
        {"name": "why", "label": "What is wrong", "kind": "span", "choices": ["untrue"]},
    ],
    "confidence_points": 9,
    "flags": [{"name": "odd", "label": "Something is odd"}],
}


@pytest.fixture
def judged(project, ada, max_, make_batch, key):
    change_question_settings(actor=max_, project=project, allow_ties=True, ask_rationale=False, asked=ASKED)
    make_batch(tasks=1, texts=["Tea is blue.", "Tea is green."])
    assignment = claim_task(actor=ada, project=project)
    texts = [project.responses.get(pk=pk).text for pk in assignment.order_shown]
    blue = "AB"[texts.index("Tea is blue.")]
    passage = {"start": 7, "end": 11, "label": "untrue", "text": "blue"}
    marks = {blue: {"quality": 2, "tone": "cold", "fix": "=the colour", "why": [passage]}}
    content = JudgmentInput(
        tiers=[["A", "B"]], strengths=[], marks=marks, confidence=9, flags=["odd", "both_bad"]
    )
    return submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key=key())


def test_a_passage_that_stands_nowhere_is_a_bad_row(judged, project, max_, tmp_path):
    dataset = freeze_dataset(actor=max_, project=project)
    export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format="judgments", files="jsonl")
    [file] = (tmp_path / "out" / "data").iterdir()
    row = json.loads(file.read_text())
    others = json.loads(row["other_marks"])
    [passage] = next(iter(others.values()))["why"]
    passage["start"], passage["end"] = passage["start"] - 1, passage["end"] - 1
    row["other_marks"] = json.dumps(others)
    file.write_text(json.dumps(row) + "\n")
    elsewhere = create_project(actor=max_, name="Elsewhere")
    with pytest.raises(ImportRefused) as refused:
        import_comparisons(actor=max_, project=elsewhere, path=file, format="records")
    said = "\n".join(refused.value.report.lines())
    assert "other_marks" in said and "“blue” does not stand where it is said to" in said
    assert not Judgment.objects.filter(task__batch__project=elsewhere).exists()


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
def test_what_was_said_comes_back(judged, project, max_, tmp_path, files):
    dataset = freeze_dataset(actor=max_, project=project)
    out = tmp_path / files
    export_preferences(actor=max_, dataset=dataset, out=out, format="judgments", files=files)
    [file] = (out / "data").iterdir()
    elsewhere = create_project(actor=max_, name="Elsewhere")
    import_comparisons(actor=max_, project=elsewhere, path=file, format="records")
    come = Judgment.objects.get(task__batch__project=elsewhere)
    by_text = {response.text: come.marks.get(str(response.pk), {}) for response in elsewhere.responses.all()}
    assert by_text == {
        "Tea is blue.": {
            "quality": 2.0, "tone": "cold", "fix": "=the colour",
            "why": [{"start": 7, "end": 11, "label": "untrue", "text": "blue"}],
        },
        "Tea is green.": {},
    }  # fmt: skip
    # The other project's own settings ask for none of it.
    assert (come.confidence, come.flags) == (9, ["odd", "both_bad"])


def test_a_spreadsheet_has_a_cell_for_each(judged, project, max_, tmp_path):
    dataset = freeze_dataset(actor=max_, project=project)
    export_preferences(actor=max_, dataset=dataset, out=tmp_path / "csv", format="csv", files="csv")
    [file] = (tmp_path / "csv" / "data").iterdir()
    with file.open(newline="", encoding="utf-8") as lines:
        [row] = csv.DictReader(lines)
    [number] = [n for n in "12" if row[f"response_{n}"] == "Tea is blue."]
    assert float(row["confidence"]) == 9
    assert json.loads(row["marks"]) == {number: {"quality": 2.0}}
    assert json.loads(row["other_marks"])[number]["fix"] == "=the colour"


def test_ratings_of_single_answers_are_frozen_and_go_out(project, ada, max_, make_batch, key, tmp_path):
    """They say nothing about pairs: files of pairs have no row of them, and the records have their marks."""
    axis = {"name": "overall", "label": "Overall", "kind": "likert", "points": 7, "tasks": "one"}
    change_question_settings(
        actor=max_, project=project, allow_ties=True, ask_rationale=False, asked={"marks": [axis]}
    )
    make_batch(tasks=1)
    pair = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
    submit_judgment(
        actor=ada, assignment=claim_task(actor=ada, project=project), content=pair, idempotency_key=key()
    )
    make_batch(tasks=1, responses_per_task=1)
    rating = JudgmentInput(tiers=[["A"]], strengths=[], marks={"A": {"overall": 6}})
    submit_judgment(
        actor=ada, assignment=claim_task(actor=ada, project=project), content=rating, idempotency_key=key()
    )
    dataset = freeze_dataset(actor=max_, project=project)
    found = {}
    for name in ("judgments", "records", "trl"):
        out = tmp_path / name
        export_preferences(actor=max_, dataset=dataset, out=out, format=name, files="jsonl")
        lines = [line for file in (out / "data").iterdir() for line in file.read_text().splitlines()]
        found[name] = [json.loads(line) for line in lines]
    marks = [response["marks"] for row in found["judgments"] for response in row["responses"]]
    assert sorted(marks, key=len) == [{}, {}, {"overall": 6.0}]
    assert [len(row["responses"]) for row in found["records"] if len(row["responses"]) > 1] == [2]
    assert len(found["trl"]) == 1
