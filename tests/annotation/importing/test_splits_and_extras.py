"""A file's own split, ids and further columns: kept, and back in every export."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.exporting.actions import export_selection
from annotation.importing.actions import import_comparisons, take_back_import
from annotation.importing.contents.actions import import_demonstrations, import_prompts
from annotation.importing.report import ImportRefused
from annotation.importing.tasks.actions import import_tasks
from annotation.models import Import, Judgment, Prompt
from annotation.records import demonstration_rows, prompt_rows
from workspace.actions import create_project
from workspace.project_settings import set_splits

pytestmark = [pytest.mark.db, pytest.mark.django_db]

SHARED_CASES = Path(
    os.environ.get("ROUNDTABLE_SHARED_CASES", Path(__file__).resolve().parents[4] / "shared" / "cases")
)
CASES = {
    "50_with_id.jsonl": [{"id": "row-1", "prompt": "Tea?", "chosen": "yes", "rejected": "no"}],
    "51_metadata.jsonl": [
        {
            "prompt": "Q meta?",
            "chosen": "a",
            "rejected": "b",
            "category": "maths",
            "source_model": "m1",
            "id": "orig-7",
        }
    ],
}


@pytest.fixture
def bring(project, max_, write_rows):
    def bring(rows, what=import_comparisons, into=None, **options):
        options = ({"format": "trl"} if what is import_comparisons else {}) | options
        path = write_rows(rows) if isinstance(rows, list) else rows
        made = what(actor=max_, project=into or project, path=path, **options)
        return made[1] if isinstance(made, tuple) else made

    return bring


def pair(number, **fields):
    return {"prompt": f"Q {number}?", "chosen": "yes", "rejected": "no"} | fields


def sides(project):
    return {p.messages[0]["content"]: p.split for p in Prompt.objects.filter(project=project)}


def exported(project, actor, out, format, files):
    export_selection(actor=actor, project=project, selection={}, out=out, format=format, files=files)
    rows = []
    for path in sorted((out / "data").iterdir()):
        rows += (
            pq.read_table(path).to_pylist()
            if files == "parquet"
            else [json.loads(line) for line in path.read_text().splitlines()]
        )
    return rows


@pytest.mark.parametrize(
    ("split", "side"),
    [("train", "train"), ("test", "test"), ("validation", "validation"), ("val", "validation"),
     ("valid", "validation"), ("dev", "validation"), ("Test", "test"), ("training", "train")],
)  # fmt: skip
def test_a_files_own_split_wins_row_by_row(bring, project, split, side):
    rows = [pair(n, split=split) for n in range(12)] + [pair(99, split="train"), pair(100, split=None)]
    bring(rows)
    found = sides(project)
    assert {found[f"Q {n}?"] for n in range(12)} == {side}
    assert found["Q 99?"] == "train"


@pytest.mark.parametrize("what", [import_prompts, import_demonstrations])
def test_prompts_and_demonstrations_keep_their_published_splits(bring, project, what):
    bring(
        [{"prompt": f"Q {n}?", "response": "A.", "part": "test"} for n in range(9)],
        what,
        mapping={"split": ["part"]},
    )
    assert set(sides(project).values()) == {"test"}


def test_other_names_are_named_by_the_caller_or_refused(bring, project):
    with pytest.raises(
        ImportRefused, match="column split: is “eval”, a split without a known meaning; give it one "
    ):
        bring([pair(1, split="eval")])
    with pytest.raises(
        ImportRefused, match="--split-name eval=held: a split is one of train, validation, test"
    ):
        bring([pair(1, split="eval")], split_names={"eval": "held"})
    bring(
        [pair(1, split="eval"), pair(2, split="test_prefs")],
        split_names={"eval": "test", "test_prefs": "test"},
    )
    assert sides(project) == {"Q 1?": "test", "Q 2?": "test"}


def test_a_prompt_on_two_sides_of_one_file_is_refused_by_its_row(bring, project):
    rows = [pair(1, split="train"), pair(2, split="test"), {**pair(1), "prompt": "  q  1? ", "split": "test"}]
    with pytest.raises(ImportRefused) as refused:
        bring(rows)
    assert (
        "line 3, column split: is test, and a prompt that begins alike is on the side train on line 1: no prompt is on "
        "two sides"
    ) in refused.value.message
    bring(rows, skip_bad=True)
    assert sides(project) == {"Q 1?": "train", "Q 2?": "test"}


def test_a_prompt_that_stands_on_another_side_is_refused_by_its_row(bring, project):
    bring([pair(1, split="train")])
    rows = [pair(2, split="test"), pair(1, split="test", chosen="other")]
    with pytest.raises(
        ImportRefused, match="line 2, column split: is test, and the project has .* side train"
    ):
        bring(rows)
    report = bring(rows, skip_bad=True)
    assert report.bad == 1
    bring([pair(1, split="test", chosen="other")], project_splits=True)
    assert sides(project) == {"Q 1?": "train", "Q 2?": "test"}


def test_prompts_that_begin_alike_are_on_the_side_that_one_of_them_names(bring, project):
    """Also where the row that names it comes later, in another chunk."""
    turns = [
        {"role": "user", "content": "Q 1?"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "B"},
    ]
    rows = [{**pair(0), "prompt": turns}, *(pair(n) for n in range(2, 1100)), pair(1, split="test")]
    bring(rows)
    bring(
        [
            {
                **pair(1),
                "prompt": [*turns, {"role": "assistant", "content": "C"}, {"role": "user", "content": "D"}],
            }
        ]
    )
    begin = Prompt.objects.filter(messages__0__content="Q 1?")
    assert list(begin.values_list("split", flat=True)) == ["test"] * 3


def test_a_published_split_that_does_not_decide_is_kept_and_comes_back(bring, project, max_, tmp_path):
    rows = [pair(n, split="val", topic="food") for n in range(12)]
    rows += [pair(99), pair(100, split=None)]
    bring(rows, project_splits=True)
    bring([{"prompt": "Only asked?", "split": "test"}], import_prompts, project_splits=True)
    found = [row["metadata"] for row in exported(project, max_, tmp_path / "out", "trl", "parquet")]
    said = Counter(json.dumps(json.loads(text)) if text else None for text in found)
    assert said == {'{"split": "val", "topic": "food"}': 12, None: 2}
    prompts = {row["messages"][0]["content"]: row["metadata"] for row in prompt_rows(project)}
    assert prompts["Only asked?"] == '{"split": "test"}'


def test_what_was_taken_back_no_longer_holds_a_side(bring, project, max_):
    wrong = bring([pair(1, split="train")])
    take_back_import(actor=max_, imported=Import.objects.get(pk=wrong.import_id))
    bring([pair(1, split="test")])
    assert sides(project) == {"Q 1?": "test"}


def test_shares_are_a_setting_of_the_project_for_prompts_that_come(bring, project, max_):
    bring([{"prompt": f"Old {n}?"} for n in range(50)], import_prompts)
    before = sides(project)
    set_splits(actor=max_, project=project, train_share=0.5, validation_share=0.25, test_per_tag={})
    project.refresh_from_db()
    bring([{"prompt": f"New {n}?"} for n in range(2000)], import_prompts)
    after = sides(project)
    assert {text: after[text] for text in before} == before
    counts = Counter(split for text, split in after.items() if text.startswith("New"))
    # Binomial: five standard deviations are 112 of 2,000 at one half, 97 at one quarter.
    assert abs(counts["train"] - 1000) < 112
    assert abs(counts["validation"] - 500) < 97
    assert abs(counts["test"] - 500) < 97


def test_so_many_of_each_tag_are_held_out(bring, project, max_):
    """As the test sets of Secrets I: a fixed number of helpful and of harmless prompts."""
    set_splits(
        actor=max_, project=project, train_share=0.9, validation_share=0.1,
        test_per_tag={"helpful": 70, "harmless": 30},
    )  # fmt: skip
    project.refresh_from_db()
    tags = ["helpful", "harmless", "other"]
    rows = [{"prompt": f"Q {n}?", "tags": [tags[n % 3]]} for n in range(3000)]
    bring(rows, import_prompts)

    def held_out():
        return Counter(p.tags[0] for p in Prompt.objects.filter(split="test"))

    assert held_out() == {"helpful": 70, "harmless": 30}
    validation = Prompt.objects.filter(split="validation").count()
    assert abs(validation - 290) < 5 * (2900 * 0.1 * 0.9) ** 0.5
    # Chosen over the whole file by the salted hash, not the first that come.
    numbers = [int(p.messages[0]["content"].split()[1][:-1]) for p in Prompt.objects.filter(split="test")]
    assert max(numbers) > 2500
    bring([{"prompt": f"More {n}?", "tags": ["helpful"]} for n in range(50)], import_prompts)
    assert held_out() == {"helpful": 70, "harmless": 30}


def test_pairs_have_categories_too(bring, project, max_):
    set_splits(actor=max_, project=project, train_share=0.9, validation_share=0, test_per_tag={"*": 3})
    project.refresh_from_db()
    bring([pair(n, subset="ab"[n % 2]) for n in range(40)], mapping={"tags": ["subset"]})
    assert Counter(p.tags[0] for p in Prompt.objects.filter(split="test")) == {"a": 3, "b": 3}
    assert not Prompt.objects.filter(split="validation").exists()


@pytest.mark.parametrize("origin", ["generated", "shared"])
@pytest.mark.parametrize(("format", "files"), [
    (format, files) for format in ("records", "judgments", "trl") for files in ("parquet", "jsonl")
])  # fmt: skip
def test_own_ids_and_further_columns_come_back_in_every_export(
    bring, project, max_, tmp_path, origin, format, files
):
    """Cases 50 and 51."""
    for name, rows in CASES.items():
        shared = SHARED_CASES / name
        bring(shared if origin == "shared" and shared.is_file() else rows)
    wanted = [("orig-7", {"category": "maths", "source_model": "m1"}), ("row-1", None)]

    def of(rows):
        return sorted(
            (row["source_id"], json.loads(row["metadata"]) if row["metadata"] else None) for row in rows
        )

    assert of(exported(project, max_, tmp_path / "out", format, files)) == wanted
    other = create_project(actor=max_, name="Other")
    read_as = "trl" if format == "trl" else "records"
    for path in sorted((tmp_path / "out" / "data").iterdir()):
        bring(path, into=other, format=read_as)
    assert of(exported(other, max_, tmp_path / "again", format, files)) == wanted


def test_prompts_and_demonstrations_keep_theirs(bring, project):
    bring([{"id": 7, "prompt": "Q 1?", "topic": {"a": [1, None]}}], import_prompts)
    bring([{"id": "d", "prompt": "Q 2?", "response": "A.", "stars": 4.5}], import_demonstrations)
    rows = {row["messages"][0]["content"]: row for row in prompt_rows(project)}
    assert (rows["Q 1?"]["source_id"], rows["Q 1?"]["metadata"]) == ("7", '{"topic": {"a": [1, null]}}')
    (demonstration,) = demonstration_rows(project)
    assert (demonstration["source_id"], demonstration["metadata"]) == ("d", '{"stars": 4.5}')


def test_what_json_has_no_form_for_is_kept_as_text(bring, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"prompt": "Q?", "chosen": "a", "rejected": "b", "score": NaN, "tweet": 12345678901234567890123}\n'
    )
    bring(path)
    assert Judgment.objects.get().metadata == {"score": "NaN", "tweet": "12345678901234567890123"}
    import datetime
    from decimal import Decimal

    row = {
        **pair(2),
        "when": datetime.date(2024, 1, 2),
        "price": Decimal("1.50"),
        "raw": b"\xff\xfe",
        "big": 2**62,
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    bring(tmp_path / "rows.parquet")
    assert Judgment.objects.latest("pk").metadata == {
        "when": "2024-01-02", "price": "1.50", "raw": "//4=", "big": 2**62,
    }  # fmt: skip


def test_what_cannot_be_stored_of_an_unread_column_is_said(bring):
    report = bring([pair(1, junk="a\0b", good="x"), pair(2, junk="\ud800")])
    assert report.notes == [
        "2 values of the column junk, which is not read, cannot be stored and were left out."
    ]
    assert list(Judgment.objects.order_by("pk").values_list("metadata", flat=True)) == [{"good": "x"}, None]


def test_the_rows_of_one_group_keep_what_each_says(bring):
    rows = [
        {
            "prompt": "Q?",
            "chosen": chosen,
            "rejected": rejected,
            "group_id": "g",
            "id": str(number),
            "who": "x",
        }
        for number, (chosen, rejected) in enumerate([("a", "b"), ("b", "c"), ("a", "c")])
    ]
    bring(rows)
    judgment = Judgment.objects.get()
    assert (judgment.source_id, judgment.metadata) == (
        None, {"rows": [{"source_id": str(number), "who": "x"} for number in range(3)]},
    )  # fmt: skip


def test_a_margin_without_strengths_is_not_lost(bring):
    """Case 96: nobody reads it, and it comes back."""
    bring([{"prompt": "Margin?", "chosen": "a", "rejected": "b", "margin": 3.0}])
    assert Judgment.objects.get().metadata == {"margin": 3.0}


def test_tasks_to_be_judged_keep_theirs_too(project, max_, write_rows):
    rows = [
        {"prompt": f"Q {n}?", "a": "x", "b": "y", "split": "test", "id": n, "topic": "food"} for n in range(6)
    ]
    path = write_rows(rows)
    import_tasks(actor=max_, project=project, path=path, mapping={"responses": ["a", "b"]})
    assert set(sides(project).values()) == {"test"}
    prompt = Prompt.objects.get(messages__0__content="Q 3?")
    assert (prompt.source_id, prompt.metadata) == ("3", {"topic": "food"})
