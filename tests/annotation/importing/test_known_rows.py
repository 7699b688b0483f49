"""The same rows again, and rows of two files that are about the same thing."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import dataset_comparisons
from annotation.exporting.actions import export_selection
from annotation.importing.actions import import_comparisons
from annotation.importing.contents.actions import import_prompts
from annotation.importing.report import ImportRefused
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Import, Judgment, Prompt, Task
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift

pytestmark = [pytest.mark.db, pytest.mark.django_db]

SHARED_CASES = Path(
    os.environ.get("ROUNDTABLE_SHARED_CASES", Path(__file__).resolve().parents[4] / "shared" / "cases")
)


def pairs(numbers, **fields):
    return [{"prompt": f"Q {n}?", "chosen": "yes", "rejected": "no"} | fields for n in numbers]


@pytest.fixture
def bring(project, max_, write_rows):
    def bring(rows, name="rows.jsonl", format="trl", **options):
        path = write_rows(rows, name) if isinstance(rows, list) else rows
        return import_comparisons(actor=max_, project=project, path=path, format=format, **options)

    return bring


def test_the_same_file_twice_is_noticed_and_imported_only_when_asked(bring):
    bring(pairs(range(12)), "first.jsonl")
    with pytest.raises(ImportRefused) as refused:
        bring(pairs(range(12)), "second.jsonl")
    assert refused.value.message == (
        "12 of 12 judgments are in the batch “first.jsonl” already: nothing was imported; --again imports them once "
        "more."
    )
    assert Judgment.objects.count() == 12
    assert Import.objects.count() == 1
    batch, report = bring(pairs(range(12)), "second.jsonl", again=True)
    assert (batch.name, report.counts["judgments"], Judgment.objects.count()) == ("second.jsonl", 12, 24)


def test_of_a_file_that_is_partly_known_the_rest_comes_in(bring):
    bring(pairs(range(5)), "first.jsonl")
    batch, report = bring(pairs(range(3, 10)), "second.jsonl")
    assert report.counts["judgments"] == batch.tasks.count() == 5
    assert report.notes == [
        "2 of 7 judgments are in the batch “first.jsonl” already and left out; --again imports them once more."
    ]
    assert Import.objects.get(pk=report.import_id).notes == report.notes
    assert sorted(Prompt.objects.values_list("messages__0__content", flat=True)) == sorted(
        f"Q {n}?" for n in range(10)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"chosen": "no", "rejected": "yes"},  # the other way round
        {"chosen": "yes."},  # another text
        {"strength": 2},
        {"annotator": "kim"},
        {"soft_label": 0.5},
    ],
)
def test_what_says_something_else_is_no_repetition(bring, change):
    bring(pairs([1]))
    bring([pairs([1])[0] | change], "changed.jsonl")
    assert Judgment.objects.current().count() == 2


def test_a_row_is_known_as_often_as_the_project_has_it(bring):
    bring(pairs([1, 1]))
    _, report = bring(pairs([1, 1, 1]), "more.jsonl")
    assert report.counts["judgments"] == 1
    assert report.notes[0].startswith("2 of 3 judgments are in the batch “rows.jsonl” already")


def test_rows_are_the_same_in_another_form_and_under_other_ids(bring):
    bring(pairs([1], id="7"))
    rows = [{"question": "Q 1?", "responses": ["no", "yes"], "ranks": [1, 0], "id": "other"}]
    with pytest.raises(ImportRefused, match="1 of 1 judgment is in the batch “rows.jsonl” already"):
        bring(rows, "ranked.jsonl", "ranked", mapping={"prompt": ["question"]})


@pytest.mark.parametrize("format", ["records", "judgments"])
def test_an_export_of_the_project_itself_is_known(
    bring, project, ada, max_, make_batch, key, tmp_path, format
):
    batch = make_batch(tasks=3, name="Ours")
    for _ in range(3):
        submit_judgment(
            actor=ada,
            assignment=claim_task(actor=ada, project=project),
            content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[2]),
            idempotency_key=key(),
        )
    export_selection(
        actor=max_, project=project, selection={"batches": [batch]}, out=tmp_path / "out", format=format
    )
    for file in (tmp_path / "out" / "data").iterdir():
        with pytest.raises(ImportRefused, match=r"are? .*in the batch “Ours” already|is in the batch “Ours”"):
            bring(file, format="records")
    assert Judgment.objects.count() == 3


@pytest.mark.parametrize("case", ["generated", "shared"])
def test_two_annotators_of_the_same_pairs_in_two_files_meet_in_one_task(bring, project, max_, tmp_path, case):
    """Case 47: of two annotators one says a, the other b; they agree on none of 1 pair."""
    rows = [
        {"prompt": "P10?", "chosen": "a", "rejected": "b", "annotator": 7},
        {"prompt": "P10?", "chosen": "b", "rejected": "a", "annotator": 8},
    ]
    shared = SHARED_CASES / "47_annotator_int.parquet"
    if case == "shared" and shared.is_file():
        rows = pq.read_table(shared).to_pylist()
    files = []
    for place, row in enumerate(rows):
        files.append(tmp_path / f"{place}.parquet")
        pq.write_table(pa.Table.from_pylist([row]), files[-1])
    bring(files[0])
    batch, report = bring(files[1])
    assert batch.name == "0.parquet"
    assert report.counts == {"judgments": 1, "tasks": 0, "annotators": 1, "tasks that were there already": 1}
    task = Task.objects.get()
    assert (task.counted_judgments, task.required_judgments, task.open_slots) == (2, 2, 0)
    assert sorted(task.judgments.values_list("annotator__pseudonym", flat=True)) == ["7", "8"]
    assert find_counter_drift(project=project) == []
    (consensus,) = dataset_comparisons(freeze_dataset(actor=max_, project=project), consensus=True)
    assert (consensus["n_annotators"], consensus["agreement"]) == (2, 0.0)
    assert consensus["soft_preference"][0][1] == 0.5


def test_a_third_file_joins_and_who_has_judged_a_pair_does_not_judge_it_twice(bring, project, max_):
    for name in ("ann", "bo", "cy"):
        bring(pairs(range(4), annotator=name), f"{name}.jsonl")
    assert set(Task.objects.values_list("counted_judgments", flat=True)) == {3}
    # Ann changed her mind: a judgment of a task of its own, as within one file.
    swapped = [row | {"chosen": "no", "rejected": "yes"} for row in pairs([0], annotator="ann")]
    bring(swapped, "later.jsonl")
    assert Task.objects.count() == 5
    rows = list(dataset_comparisons(freeze_dataset(actor=max_, project=project), consensus=True))
    assert sorted(row["n_annotators"] for row in rows) == [1, 3, 3, 3, 3]
    assert {row["agreement"] for row in rows if row["n_annotators"] == 3} == {1.0}


def test_judgments_of_another_criterion_are_of_another_task(bring, project, max_):
    from workspace.actions import add_criterion

    add_criterion(actor=max_, project=project, name="harmless", question="Which is less harmful?")
    bring(pairs([1], annotator="ann"), criterion="helpful")
    bring(pairs([1], annotator="bo"), criterion="harmless")
    bring(pairs([1], annotator="ann"), criterion="harmless")
    counts = Task.objects.order_by("pk").values_list("batch__criterion__name", "counted_judgments")
    assert list(counts) == [("helpful", 1), ("harmless", 2)]


def test_repeated_prompts_of_a_file_are_said(project, max_, write_rows):
    """Case 34: only equal conversations are one prompt; case and space make another."""
    rows = [{"prompt": text} for text in ("Same question", "Same question", "same question ", "Other")]
    report = import_prompts(actor=max_, project=project, path=write_rows(rows))
    assert report.counts == {"new prompts": 3}
    assert report.notes == [
        "1 row has a prompt that differs from an earlier one only in case or spaces: each is kept.",
        "1 row repeats a prompt of the file.",
    ]
    # In another set they are new, once.
    report = import_prompts(actor=max_, project=project, path=write_rows(rows), prompt_set="more")
    assert (report.counts, Prompt.objects.count()) == ({"new prompts": 0}, 3)
    report = import_prompts(
        actor=max_, project=project, path=write_rows([*rows, {"prompt": "New"}]), prompt_set="more"
    )
    assert report.notes[2] == "3 of 4 prompts are in the prompt set “more” already and left out."


def test_rows_that_a_file_repeats_are_said_and_each_counts(bring):
    _, report = bring([*pairs([0, 1, 1, 1]), *pairs([1], annotator="kim"), *pairs([0], strength=2)])
    assert report.counts["judgments"] == 6
    assert report.notes == [
        "2 judgments repeat another one of the file, annotator, order and strengths included: each counts."
    ]


def test_another_strength_of_the_same_person_for_a_known_pair_is_said(bring):
    bring(pairs(range(3), annotator="kim"), "first.jsonl")
    rows = [*pairs([0], annotator="kim", strength=3), *pairs([1], annotator="lee", strength=3)]
    _, report = bring(rows, "second.jsonl")
    assert report.counts["judgments"] == 2
    assert report.notes == [
        "1 judgment is of a task that the same annotator has judged already, with another order or strength: each "
        "counts, unless the earlier import is taken back."
    ]


def test_two_people_may_number_their_rows_alike_and_one_may_not(bring, tmp_path, write_rows):
    def numbered(name, annotator):
        rows = [{"id": f"r{n}", "annotator": annotator} | pair for n, pair in enumerate(pairs(range(3)))]
        return write_rows(rows, name)

    mine, hers = numbered("kim.jsonl", "kim"), numbered("lee.jsonl", "lee")
    _, report = bring((mine, hers))
    assert (report.counts["judgments"], report.counts["tasks"]) == (6, 3)
    again = numbered("more.jsonl", "kim")
    with pytest.raises(ImportRefused, match="r0 is a duplicate of line 1 of file 1"):
        bring((mine, again))
