# ruff: noqa: E501 - a row of a file is read best on a line
"""Small files as people's tools write them, through the documented commands: what each must become.

Every form is tried on content of our own; the shared files of the same forms are added where their folder is there.
"""

import csv
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.models import Demonstration, Judgment, Prompt, Response
from tests.annotation.management.test_commands import refusal, run
from workspace.actions import create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]

SHARED_CASES = Path(
    os.environ.get("ROUNDTABLE_SHARED_CASES", Path(__file__).resolve().parents[4] / "shared" / "cases")
)


def jsonl(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def user(text):
    return {"role": "user", "content": text}


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


def as_csv(header, *rows):
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


TRL = ["--format", "trl"]
LABELS = ["--format", "ranked", "--map", "responses=a", "--map", "responses=b", "--map", "preference=label",
          "--grade", "1=a:2", "--grade", "0=b:2"]  # fmt: skip
PAIR = {"prompt": "Bread?", "chosen": "Rye", "rejected": "None"}
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


def stored_judgments():
    """(prompt, best, worst, strengths) of every judgment."""
    found = []
    for judgment in Judgment.objects.order_by("pk"):
        best, worst = (Response.objects.get(pk=judgment.tiers[place][0]).answer for place in (0, -1))
        found.append((judgment.task.prompt.messages, best, worst, judgment.strengths))
    return found


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


def own_or_shared(tmp_path, own, shared):
    """Our own content as a file, and the shared one where it is."""
    path = tmp_path / "own.jsonl"
    path.write_bytes(own if isinstance(own, bytes) else own.encode())
    return [path] + [file for file in [SHARED_CASES / shared] if file.is_file()]


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


def hh(*turns):
    return "".join(f"\n\n{who}: {text}" for who, text in turns)


# The right answers or the reasons of the shared file, by line; ours has the lines in question in other words.
SHARED_HH = {
    1: ("plain?", "yes", "no"), 5: ("q", "Assistant: go", "Assistant: stop"), 6: ("no newline", "a", "b"),
    7: ("crlf", "a", "b"), 8: ("prefix", "Yes", "Yes, sure"), 9: ("empty", "", "no"),
    10: ("indent", "    return 1", "return 1"), 11: ("indent two", "    if x:\n        go()\n    stop()", "no"),
    12: ("leading blank", "a", "b"), 13: ("tail", "a", "b"), 14: ("sys", "a", "b"),
    15: ("marker in answer", "The log says:\n\nAssistant: hi", "The log says: nothing"),
}  # fmt: skip
SHARED_HH_BAD = {
    2: "column rejected: shares no prompt with chosen that ends with an assistant marker",
    3: "column chosen: goes on with another human turn",
    4: "column chosen: goes on with another human turn",
}
OWN_HH = jsonl(
    {"chosen": hh(("Human", "Rye?"), ("Assistant", "Yes")).strip(), "rejected": hh(("Human", "Rye?"), ("Assistant", "No")).strip()},
    {"chosen": hh(("Human", "Oat?"), ("Assistant", "Yes")).replace("\n", "\r\n"),
     "rejected": hh(("Human", "Oat?"), ("Assistant", "No")).replace("\n", "\r\n")},
    {"chosen": "\n\nHuman: Code?\n\nAssistant:\n  for x in y:\n    go(x)\n", "rejected": hh(("Human", "Code?"), ("Assistant", "for x"))},
    {"chosen": hh(("Human", "A?"), ("Assistant", "x")), "rejected": hh(("Human", "B?"), ("Assistant", "x"))},
)  # fmt: skip
OWN_HH_ROWS = {
    1: ("Rye?", "Yes", "No"),
    2: ("Oat?", "Yes", "No"),
    3: ("Code?", "  for x in y:\n    go(x)", "for x"),
}


def test_transcripts_are_read_or_refused_for_the_right_reason(project, tmp_path):
    cases = [(OWN_HH_ROWS, {4: SHARED_HH_BAD[2]}), (SHARED_HH, SHARED_HH_BAD)]
    for path, (rows, bad) in zip(own_or_shared(tmp_path, OWN_HH, "29_hh.jsonl"), cases, strict=False):
        before = Judgment.objects.count()
        report = run("import_comparisons", project.slug, path, "--format", "hh", "--skip-bad")
        found = [
            (prompt[-1]["content"], best, worst) for prompt, best, worst, _ in stored_judgments()[before:]
        ]
        assert found == list(rows.values())
        for line, reason in bad.items():
            assert f"line {line}, {reason}" in report
        assert f"{len(bad)} of {len(rows) + len(bad)} rows left out" in report


RANKS_READ = {
    1: [["a"], ["b"], ["c"]], 2: [["a"], ["b", "c"]], 3: [["a"], ["b", "c"]], 9: [["a", "b", "c"]],
}  # fmt: skip
RANKS_BAD = {
    4: "ranks.0: should be a whole number but is a number (4.5)", 5: "ranks.1: should be a whole number but is null",
    6: "responses: has 1 responses", 7: "responses: has 12 responses", 8: "responses: has the same text as responses 1 and 3",
    10: "ranks.0: should be a whole number but is a boolean", 11: "responses.1: should be text but is null",
    12: "responses: should be a list but is text",
}  # fmt: skip
OWN_RANKS = jsonl(
    *[{"prompt": f"q{n}", "responses": list("abc"), "ranks": ranks} for n, ranks in enumerate([[4, 7, 9], ["0", "5", "5"], [-2.0, 1, 1]])],
    *[{"prompt": "bad", "responses": list("ab"), "ranks": ranks} for ranks in ([0.5, 1], [None, 1])],
    {"prompt": "bad", "responses": ["a"], "ranks": [0]},
    {"prompt": "bad", "responses": list("abcdefghijkl"), "ranks": list(range(12))},
    {"prompt": "bad", "responses": list("abac"), "ranks": [0, 1, 2, 3]},
    {"prompt": "q9", "responses": list("abc"), "ranks": [7, 7, 7]},
)  # fmt: skip
OWN_RANKS_BAD = {
    4: "ranks.0: should be a whole number but is a number (0.5)", 5: "ranks.0: should be a whole number but is null",
    6: RANKS_BAD[6], 7: RANKS_BAD[7], 8: RANKS_BAD[8],
}  # fmt: skip


def test_ranks_are_read_or_refused_cell_by_cell(project, tmp_path):
    for path, bad in zip(
        own_or_shared(tmp_path, OWN_RANKS, "26_ranks.jsonl"), (OWN_RANKS_BAD, RANKS_BAD), strict=False
    ):
        before = Judgment.objects.count()
        report = run("import_comparisons", project.slug, path, "--format", "ranked", "--skip-bad")
        tiers = [
            [sorted(Response.objects.get(pk=key).text for key in tier) for tier in judgment.tiers]
            for judgment in Judgment.objects.order_by("pk")[before:]
        ]
        assert tiers == list(RANKS_READ.values())
        for line, reason in bad.items():
            assert f"line {line}, column {reason}" in report


PREFERENCES_READ = {
    1: ("x", [3]),
    2: ("x", [2]),
    3: ("", []),
    4: ("", []),
    11: ("x", [1]),
    12: ("x", [3]),
    13: ("y", [1]),
    17: ("", []),
}
OWN_PREFERENCES = jsonl(*[
    {"prompt": f"q{n}", "responses": ["x", "y"], "preference": preference}
    for n, preference in enumerate(
        [-3, "-2", 0, "Tie", "bothbad", "model_b", "AA", "c", "right", "B!", "a-is-slightly-better", "1 is much better",
         1.0, 1.5, None, "all bad", "neither"]
    )
])  # fmt: skip


def test_preferences_are_read_or_refused_and_null_is_named(project, tmp_path):
    for path in own_or_shared(tmp_path, OWN_PREFERENCES, "27_preference.jsonl"):
        before = Judgment.objects.count()
        report = run("import_comparisons", project.slug, path, "--format", "ranked", "--skip-bad", "--again")
        found = [
            (
                Response.objects.get(pk=judgment.tiers[0][0]).text if len(judgment.tiers) == 2 else "",
                judgment.strengths,
            )
            for judgment in Judgment.objects.order_by("pk")[before:]
        ]
        assert found == list(PREFERENCES_READ.values())
        assert "line 15, column preference: is null: nothing says which response is better" in report
        assert "line 14, column preference: should be a whole number but is a number" in report
        for line in (5, 6, 7, 8, 9, 10, 16):
            assert f"line {line}, column preference: is “" in report
        assert report.count("give it one with --strength NAME=a:2") == 7


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
