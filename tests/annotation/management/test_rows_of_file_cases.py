# ruff: noqa: E501 - a row of a file is read best on a line
"""Files whose rows are read or refused one by one: transcripts, ranks, preferences; our own content and shared files."""

import pytest

from annotation.models import Judgment, Response
from tests.annotation.management.file_cases import jsonl, own_or_shared, stored_judgments
from tests.annotation.management.test_commands import run

pytestmark = [pytest.mark.db, pytest.mark.django_db]


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
