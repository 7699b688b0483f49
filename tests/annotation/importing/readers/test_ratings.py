"""Ratings of single answers in files: what is read, what is refused, what comes back out of a project."""

import json

import pytest

from annotation.datasets.actions import freeze_dataset
from annotation.exporting.actions import export_preferences
from annotation.importing.actions import import_comparisons, take_back_import
from annotation.importing.report import ImportRefused
from annotation.models import Import, Judgment, Task
from tests.annotation.importing.readers.conftest import make_reader, problem_with, read_one
from workspace.actions import create_project

HELPSTEER_ROW = {
    "prompt": "What is tea?", "response": "A drink.",
    "helpfulness": 3, "correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 0,
}  # fmt: skip


def test_the_five_attributes_of_helpsteer_are_marks():
    found = read_one("ratings", HELPSTEER_ROW)
    assert found.marks == [
        {"helpfulness": 3, "correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 0}
    ]
    assert (found.responses, found.ranks, found.strengths) == (["A drink."], [0], [])


@pytest.mark.parametrize(
    ("cells", "mapping", "marks"),
    [
        ({"ratings": {"clear": 2, "true": True, "kind": None}}, {}, {"clear": 2, "true": True}),
        ({"score": "0.5"}, {"ratings": "score"}, {"score": 0.5}),
        ({"a": 1, "b": None, "c": 2.0}, {"ratings": ["a", "b", "c"]}, {"a": 1, "c": 2}),
    ],
)
def test_scores_come_as_an_object_or_in_columns(cells, mapping, marks):
    row = {"prompt": "Q?", "response": "x", **cells}
    assert read_one("ratings", row, **mapping).marks == [marks]


def test_a_whole_conversation_says_itself_what_was_asked():
    turns = [
        {"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Green?"}, {"role": "assistant", "content": "No."},
    ]  # fmt: skip
    found = read_one("ratings", {"response": turns, "ratings": {"kind": 1}})
    assert (found.prompt, found.responses) == (turns[:3], ["No."])


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({}, "has no score"),
        ({"ratings": {"a": None}}, "has no score"),
        ({"ratings": {"a": "good"}}, "ratings.a: should be a number"),
        ({"ratings": {"a": [1]}}, "ratings.a: should be a number but is a list"),
        ({"helpfulness": "nan"}, "helpfulness: should be a finite number"),
        ({"response": True, "helpfulness": 1}, "response"),
    ],
)
def test_what_is_no_score_is_refused_by_its_column(cells, reason):
    assert reason in problem_with("ratings", {"prompt": "Q?", "response": "x", **cells})
    assert make_reader("ratings").read(HELPSTEER_ROW, 1)


@pytest.mark.db
@pytest.mark.django_db
def test_ratings_of_several_people_are_one_task_come_out_and_in_again(project, max_, write_rows, tmp_path):
    rows = [HELPSTEER_ROW | {"annotator": who, "helpfulness": score} for who, score in (("u", 3), ("v", 1))]
    of = {"actor": max_, "project": project, "format": "ratings"}
    batch, _ = import_comparisons(**of, path=write_rows(rows))
    assert (batch.kind, Task.objects.count(), Judgment.objects.count()) == ("rating", 1, 2)
    # The same again is known; another score by the same person is not.
    with pytest.raises(ImportRefused, match="2 of 2 judgments are in the batch"):
        import_comparisons(**of, path=write_rows(rows))
    _, report = import_comparisons(**of, path=write_rows([*rows, rows[0] | {"helpfulness": 2}]))
    assert "2 of 3 judgments are in the batch" in " ".join(report.notes)
    # Beside a pair, since a project's records have both.
    import_comparisons(
        **of | {"format": "trl"}, path=write_rows([{"prompt": "Q?", "chosen": "a", "rejected": "b"}])
    )
    dataset = freeze_dataset(actor=max_, project=project)
    out = tmp_path / "out"
    export_preferences(actor=max_, dataset=dataset, out=out, format="judgments", files="jsonl")
    other = create_project(actor=max_, name="Other")
    import_comparisons(actor=max_, project=other, path=out, format="records")

    def said(of_project):
        """Of each judgment, whoever's: they have another pseudonym in another project."""
        found = Judgment.objects.filter(task__batch__project=of_project)
        marks = [
            {name: float(value) for one in j.marks.values() for name, value in one.items()} for j in found
        ]
        return sorted(
            json.dumps([len(judgment.order_shown), mark, judgment.strengths], sort_keys=True)
            for judgment, mark in zip(found, marks, strict=True)
        )

    assert len(said(project)) == 4
    assert said(other) == said(project)


@pytest.mark.db
@pytest.mark.django_db
def test_ratings_of_two_files_are_taken_back_one_by_one(project, max_, write_rows):
    """The second file's people rated the first one's answers; the project asks no mark of an answer alone."""
    of = {"actor": max_, "project": project, "format": "ratings"}
    for who, name in (("u", "one.jsonl"), ("v", "two.jsonl")):
        import_comparisons(**of, path=write_rows([HELPSTEER_ROW | {"annotator": who}], name))
    first, second = Import.objects.order_by("pk")
    take_back_import(actor=max_, imported=first)
    (left,) = Judgment.objects.known()
    assert left.from_import == second and left.task.batch.from_import == second
    assert (left.task.batch.kind, left.task.batch.state) == ("rating", "closed")
