# ruff: noqa: E501 - a row of a file is read best on a line
"""Small files as people's tools write them, through the documented commands: what each must become.

Every form is tried on content of our own; the shared files of the same forms are added where their folder is there.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.models import Demonstration, Judgment, Prompt
from tests.annotation.management.file_cases import (
    PAIR,
    SHARED_CASES,
    TRL,
    as_csv,
    jsonl,
    own_or_shared,
    stored_judgments,
    user,
)
from tests.annotation.management.test_commands import refusal, run
from workspace.actions import create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def said(text, **fields):
    return {"role": "assistant", "content": text} | fields


def call(people):
    arguments = json.dumps({"people": people})
    return [
        said(
            None,
            tool_calls=[
                {"id": "c1", "type": "function", "function": {"name": "book", "arguments": arguments}}
            ],
        )
    ]


def stored_call(people):
    return [said("", tool_calls=[{"id": "c1", "name": "book", "arguments": json.dumps({"people": people})}])]


LABELS = ["--format", "ranked", "--map", "responses=a", "--map", "responses=b", "--map", "preference=label",
          "--grade", "1=a:2", "--grade", "0=b:2"]  # fmt: skip

LOOK = [said("I look"), {"role": "tool", "content": "snow"}, said("Snow; take boots")]
SHARED_LOOK = [said("Let me look"), {"role": "tool", "content": "rain"}, said("Rain; take a hat")]

# name: (our own content, options, (prompt messages, best, worst, strengths) of each judgment;
#        the shared file, the same of it)
KEPT = {
    "labels by name, 1 is the first": (
        jsonl({"prompt": "Soup?", "a": "Leek", "b": "Sand", "label": 1}, {"prompt": "Pie?", "a": "Sand", "b": "Plum", "label": 0}),
        LABELS,
        [([user("Soup?")], "Leek", "Sand", [2]), ([user("Pie?")], "Plum", "Sand", [2])],
        "93_label_one_is_first.jsonl",
        [([user("Tea or mud?")], "Tea", "Mud", [2]), ([user("Mud or tea?")], "Tea", "Mud", [2])],
    ),
    "tool calls without text": (
        jsonl({"prompt": [user("Book three seats")], "chosen": call(3), "rejected": call(9)}),
        TRL,
        [([user("Book three seats")], stored_call(3), stored_call(9), [None])],
        "18_tool_calls_null_content.jsonl",
        [([user("Book a table for two")], stored_call(2), stored_call(7), [None])],
    ),
    "tool calls with text": (
        jsonl({"prompt": [user("Book")], "chosen": [call(3)[0] | {"content": "Wait."}], "rejected": [call(9)[0] | {"content": "Wait."}]}),
        TRL,
        [([user("Book")], [stored_call(3)[0] | {"content": "Wait."}], [stored_call(9)[0] | {"content": "Wait."}], [None])],
        "18c_tool_calls_with_text.jsonl",
        [([user("Book a table for two")], [stored_call(2)[0] | {"content": "One moment."}],
          [stored_call(7)[0] | {"content": "One second."}], [None])],
    ),
    "whole conversations beside the prompt": (
        jsonl({"prompt": "Bread?", "chosen": [user("Bread?"), said("Rye")], "rejected": [user("Bread?"), said("None")], "score_chosen": 9}),
        TRL,
        [([user("Bread?")], "Rye", "None", [None])],
        "19_prompt_and_full_conversations.jsonl",
        [([user("Name a cheese")], "Brie", "Milk", [None])],
    ),
    "ShareGPT": (
        jsonl({"prompt": [{"from": "system", "value": "Short."}, {"from": "human", "value": "Bread?"}],
               "chosen": {"from": "gpt", "value": "Rye"}, "rejected": [{"from": "gpt", "value": "None"}]}),
        TRL,
        [([{"role": "system", "content": "Short."}, user("Bread?")], "Rye", "None", [None])],
        "16_sharegpt.jsonl",
        [([user("Tea?")], "Yes", "No", [None])],
    ),
    "developer": (
        jsonl({"prompt": [{"role": "developer", "content": "Short."}, user("Bread?")], "chosen": [said("Rye")], "rejected": [said("None")]}),
        TRL,
        [([{"role": "system", "content": "Short."}, user("Bread?")], "Rye", "None", [None])],
        "17b_developer_role.jsonl",
        [([{"role": "system", "content": "Be short"}, user("Tea?")], "Yes", "No", [None])],
    ),
    "NaN in a column nobody reads": (
        '{"prompt": "Bread?", "chosen": "Rye", "rejected": "None", "std": [NaN, -Infinity]}\n',
        TRL,
        [([user("Bread?")], "Rye", "None", [None])],
        "09_nan_in_unread_column.jsonl",
        [([user("Stew?")], "Slow", "Fast", [None]), ([user("Soup?")], "Slow", "Fast", [None])],
    ),
    "a number of 19 digits in a column nobody reads": (
        '{"prompt": "Bread?", "chosen": "Rye", "rejected": "None", "snowflake": 9876543210987654321}\n',
        TRL,
        [([user("Bread?")], "Rye", "None", [None])],
        "10_snowflake_id_unread.jsonl",
        [([user("Pie?")], "Bake", "Boil", [None])],
    ),
    "one JSON array": (
        json.dumps([PAIR], indent=2), TRL, [([user("Bread?")], "Rye", "None", [None])],
        "12_array.json", [([user("p")], "a", "b", [None])],
    ),
    "CSV": (
        as_csv(["prompt", "chosen", "rejected", "strength"], ["Bread, or\nnone?", "Rye", 'The "white" one', 2]), TRL,
        [([user("Bread, or\nnone?")], "Rye", 'The "white" one', [2])],
        "13.csv", [([user("p")], "a", "b", [None])],
    ),
    "several messages in one answer": (
        jsonl({"prompt": [user("Weather?")], "chosen": LOOK, "rejected": [said("Sun")]}), TRL,
        [([user("Weather?")], LOOK, "Sun", [None])],
        "22_multi_message_answer.jsonl",
        [([user("Ghent weather, then a hat?")], SHARED_LOOK, "Sun", [None])],
    ),
    "a margin by a rule": (
        jsonl(PAIR | {"margin": 1.2}), [*TRL, "--margins", "0.5,1,2"],
        [([user("Bread?")], "Rye", "None", [2])],
        "96_margin_only.jsonl", [([user("Margin?")], "a", "b", [3])],
    ),
    "Parquet of odd types": (
        None, TRL, None,
        "44_odd_types.parquet", [([user("P5?")], "a", "b", [2])],
    ),
}  # fmt: skip

KEPT_CASES = [
    (name, source, options, expected)
    for name, (own, options, own_expected, shared, shared_expected) in KEPT.items()
    for source, expected in ((own, own_expected), (SHARED_CASES / shared, shared_expected))
    if source is not None and (isinstance(source, str) or source.is_file())
]
SUFFIXES = {"one JSON array": ".json", "CSV": ".csv"}


def file_of(tmp_path, name, source):
    if isinstance(source, Path):
        return source
    path = tmp_path / f"rows{SUFFIXES.get(name, '.jsonl')}"
    path.write_text(source, newline="")
    return path


@pytest.mark.parametrize(
    ("name", "source", "options", "expected"),
    KEPT_CASES,
    ids=[
        f"{name} ({source.name if isinstance(source, Path) else 'own'})" for name, source, _, _ in KEPT_CASES
    ],
)
def test_the_form_is_read_as_it_is_meant(project, tmp_path, name, source, options, expected):
    run("import_comparisons", project.slug, file_of(tmp_path, name, source), *options)
    assert stored_judgments() == expected


def test_values_of_parquet_that_nobody_reads_may_be_anything(project, tmp_path):
    table = pa.table(
        {
            "prompt": ["Bread?"], "chosen": ["Rye"], "rejected": ["None"], "strength": pa.array([2], pa.int8()),
            "raw": pa.array([b"\xff\xfe"]), "f": [float("nan")], "nothing": pa.nulls(1),
            "when": pa.array([2**62], pa.timestamp("us")),
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "rows.parquet")
    run("import_comparisons", project.slug, tmp_path / "rows.parquet", *TRL)
    assert stored_judgments() == [([user("Bread?")], "Rye", "None", [2])]


def test_a_margin_without_a_strength_is_not_used_and_the_report_says_so(project, tmp_path):
    for path in own_or_shared(tmp_path, jsonl(PAIR | {"margin": 2.5}), "96_margin_only.jsonl"):
        report = run("import_comparisons", project.slug, path, *TRL)
        assert "1 of 1 rows have a margin and no strength: margins are not used" in report
    assert {judgment.strengths[0] for judgment in Judgment.objects.all()} == {None}
    (tmp_path / "none.jsonl").write_text(jsonl(PAIR | {"prompt": "Oat?"}))
    report = run("import_comparisons", project.slug, tmp_path / "none.jsonl", *TRL, "--margins", "large")
    assert "--margins large: no row has a margin and no strength" in report


def test_a_form_that_is_not_read_is_named(project, tmp_path):
    own = b"\x28\xb5\x2f\xfd" + b"rows"
    for path in own_or_shared(tmp_path, own, "14.jsonl.zst"):
        sentence, _ = refusal("import_comparisons", project.slug, path, *TRL)
        assert (
            f"{path} is compressed with zstd (.zst), which is not read: unpack it first (zstd -d)."
            in sentence
        )


def test_duplicates_among_prompts_are_said(project, tmp_path):
    own = jsonl(*[{"prompt": prompt} for prompt in ("How long?", "How long?", "how  long?", "What else?")])
    for path in own_or_shared(tmp_path, own, "34_dup_prompts.jsonl"):
        before = Prompt.objects.count()
        report = run("import_prompts", project.slug, path)
        assert Prompt.objects.count() - before == 3
        assert "1 row repeats a prompt of the file." in report
        assert (
            "1 row has a prompt that differs from an earlier one only in case or spaces: each is kept."
            in report
        )


def test_demonstrations_come_in_whole(project, tmp_path):
    own = [{"prompt": f"How do I boil leek {n}?", "response": f"Boil it {n} minutes."} for n in range(20)]
    for path in own_or_shared(tmp_path, jsonl(*own), "67_demos.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        before = Demonstration.objects.count()
        run("import_demonstrations", project.slug, path, "--prompt-set", path.name)
        found = [
            (demonstration.prompt.messages, demonstration.response_text)
            for demonstration in Demonstration.objects.order_by("pk")[before:]
        ]
        assert found == [([user(row["prompt"])], row["response"]) for row in rows]


def test_several_files_of_one_command_are_one_import(project, tmp_path):
    (tmp_path / "a.jsonl").write_text(jsonl(PAIR, PAIR | {"prompt": "Oat?"}))
    (tmp_path / "b.csv").write_text(
        as_csv(["prompt", "chosen", "rejected"], ["Corn?", "Yes", "No"], ["Rice?", "Yes", ""])
    )
    sentence, printed = refusal(
        "import_comparisons", project.slug, tmp_path / "a.jsonl", tmp_path / "b.csv", *TRL
    )
    assert sentence.startswith(
        "Nothing was imported: 1 of 4 rows is bad (first: b.csv, line 3, column rejected: should be"
    )
    report = run(
        "import_comparisons", project.slug, tmp_path / "a.jsonl", tmp_path / "b.csv", *TRL, "--skip-bad"
    )
    assert "a.jsonl and 1 more: 3 judgments, 3 tasks" in report
    assert [prompt[0]["content"] for prompt, *_ in stored_judgments()] == ["Bread?", "Oat?", "Corn?"]
    assert Judgment.objects.first().task.batch.from_import.files[1]["name"] == "b.csv"


def test_help_lists_the_fields_of_every_format(capsys):
    from annotation.importing.readers.registry import COMPARISON_READERS
    from annotation.management.commands.import_comparisons import Command

    text = " ".join(Command().create_parser("manage.py", "import_comparisons").format_help().split())
    for name, reader in COMPARISON_READERS.items():
        assert f"{name}: {', '.join(reader.fields)}" in text
    assert "role.user" in text


@pytest.mark.parametrize("files", ["parquet", "jsonl"])
def test_the_folder_of_an_export_comes_in_again(project, max_, tmp_path, files):
    rows = [
        {"prompt": f"Bread {n}?", "chosen": f"Rye {n}", "rejected": "None", "strength": n % 4}
        for n in range(30)
    ]
    (tmp_path / "rows.jsonl").write_text(jsonl(*rows))
    run("import_comparisons", project.slug, tmp_path / "rows.jsonl", *TRL)
    before = stored_judgments()
    run("export_preferences", project.slug, tmp_path / "out", *TRL, "--files", files)
    other = create_project(actor=max_, name="Other")
    run("import_comparisons", other.slug, tmp_path / "out", *TRL)
    assert sorted(map(str, stored_judgments())) == sorted(map(str, before * 2))


def test_splits_of_file_names_are_kept_and_said(project, tmp_path):
    for name, numbers in (("train", range(6)), ("test", range(6, 9))):
        rows = [{"prompt": f"Bread {n}?", "chosen": "Rye", "rejected": "None"} for n in numbers]
        (tmp_path / f"{name}.jsonl").write_text(jsonl(*rows))
    report = run("import_comparisons", project.slug, tmp_path / "train.jsonl", tmp_path / "test.jsonl", *TRL)
    assert "Rows that name no split have that of their file's name (test, train)" in report
    splits = dict(Prompt.objects.values_list("messages__0__content", "split"))
    assert splits == {f"Bread {n}?": "train" if n < 6 else "test" for n in range(9)}


def test_a_column_of_tags_that_are_none_refuses_no_row(project, tmp_path):
    rows = [
        PAIR | {"prompt": f"{n}?", "tags": tags}
        for n, tags in enumerate(([None], {"a": 1}, [["x"]], ["good", None]))
    ]
    (tmp_path / "rows.jsonl").write_text(jsonl(*rows))
    run("import_comparisons", project.slug, tmp_path / "rows.jsonl", *TRL)
    judgments = Judgment.objects.order_by("pk")
    assert [judgment.task.prompt.tags for judgment in judgments] == [[], [], [], ["good"]]
    assert [(judgment.metadata or {}).get("tags") for judgment in judgments] == [
        None,
        {"a": 1},
        [["x"]],
        None,
    ]
