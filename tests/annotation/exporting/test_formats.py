"""What each format writes of a small case: values by hand, from the documentation of each format."""

from collections import Counter

import pytest

from annotation.exporting.formats.base import EXPORT_OPTIONS, ExportOptions, ExportRefused
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.preferences.comparisons import merge_judgments
from tests.annotation.preferences.rows import judgment_row

HI = [{"role": "user", "content": "Hi"}]


def judged(ranks, strengths, texts=None, **changes):
    row = judgment_row(ranks, strengths, **changes)
    for response, text in zip(row["responses"], texts or "abcdefghi", strict=False):
        response |= {"text": text, "marks": {}, "source": "import", "policy": None}
    return row


def written(name, *judgments, **options):
    """(rows, counts) of one question."""
    export_format = EXPORT_FORMATS[name]
    options = ExportOptions(files=export_format.file_kinds[0], most_responses=9, **options)
    counts = Counter()
    if export_format.of_questions:
        source = ("t1", judgments)
    elif export_format.of_judgments:
        (source,) = judgments
    else:
        source = merge_judgments("t1", judgments, {})
    names = set(export_format.schema(options).names)
    rows = list(export_format.rows(source, options, counts))
    return [{key: value for key, value in row.items() if key in names} for row in rows], +counts


def said(text):
    return [{"role": "assistant", "content": text}]


# a best by 2, then b and c tied: a>b (2), a>c (2), b=c.
TIE_BELOW = judged([0, 1, 1], [2])
PAIRS_OF_TIE_BELOW = {"group_id": "t1", "n_ties_in_group": 1, "n_responses_in_group": 3}


@pytest.mark.parametrize("name", ["trl", "openrlhf"])
def test_pairs_have_the_columns_of_their_readers_and_say_what_became_of_ties(name):
    rows, counts = written(name, TIE_BELOW, margin="large")
    assert [(row["chosen"], row["rejected"], row["margin"]) for row in rows] == [
        (said("a"), said("b"), 2.0),
        (said("a"), said("c"), 2.0),
    ]
    assert all(row["prompt"] == HI and row.items() >= PAIRS_OF_TIE_BELOW.items() for row in rows)
    assert [row["n_pairs_in_group"] for row in rows] == [2, 2]
    assert counts["ties_dropped"] == 1
    soft, _ = written(name, TIE_BELOW, ties="soft", plain=True)
    assert [(row["prompt"], row["chosen"], row["rejected"], row["soft_label"]) for row in soft] == [
        ("Hi", "a", "b", 1.0),
        ("Hi", "a", "c", 1.0),
        ("Hi", "b", "c", 0.5),
    ]
    assert {(row["n_pairs_in_group"], row["n_ties_in_group"]) for row in soft} == {(3, 1)}
    (pair,), _ = written(name, judged([1, 0], [1]), columns="documented")
    assert pair == {"prompt": HI, "chosen": said("b"), "rejected": said("a"), "margin": pytest.approx(1 / 3)}


def test_a_dropped_tie_is_told_from_a_pair_that_nobody_compared():
    tied, _ = written("trl", judged([0, 1, 1], [2]))
    first, second = judged([0, 1], [2]), judged([0, 1], [2], annotator="bob")
    second["responses"][1] = second["responses"][1] | {"response_id": "t1-r2", "text": "c"}
    second["tiers"] = [["t1-r0"], ["t1-r2"]]
    apart, counts = written("trl", first, second)
    assert [row["chosen"] for row in apart] == [row["chosen"] for row in tied] == [said("a")] * 2
    assert [{row["n_ties_in_group"] for row in rows} for rows in (tied, apart)] == [{1}, {0}]
    assert counts["pairs_never_compared"] == 1


def test_hh_is_two_whole_transcripts():
    prompt = [
        {"role": "user", "content": "Tea?"},
        {"role": "assistant", "content": "Which one?"},
        {"role": "user", "content": "That one."},
    ]
    rows, counts = written("hh", judged([0, 1], [3], ["Yes.", "No."], prompt=prompt), columns="documented")
    before = "\n\nHuman: Tea?\n\nAssistant: Which one?\n\nHuman: That one.\n\nAssistant:"
    assert rows == [{"chosen": f"{before} Yes.", "rejected": f"{before} No."}]
    assert counts == {"strengths_lost": 1}
    rows, counts = written("hh", judged([0, 1], [3]))
    assert rows[0]["strength"] == 3 and not counts


@pytest.mark.parametrize(
    ("texts", "changes", "counted", "n_rows"),
    [
        (["a\n\nHuman: b", "c"], {}, "pairs_ambiguous_left_out", 0),
        (["a\n\nAssistant: b", "a\n\nAssistant: c"], {}, "pairs_with_markers_inside", 1),
        (["a ", "a"], {}, "pairs_ambiguous_left_out", 0),
        ([" a", "b\n"], {}, "pairs_with_outer_space", 1),
        (
            ["a", "b"],
            {"prompt": [{"role": "system", "content": "Short."}, *HI]},
            "groups_with_other_roles",
            1,
        ),
    ],
)
def test_hh_writes_nothing_that_reads_back_as_something_else(texts, changes, counted, n_rows):
    rows, counts = written("hh", judged([0, 1], [1], texts, **changes))
    assert len(rows) == n_rows
    assert counts[counted] == 1 or counted == "pairs_with_markers_inside"


def test_what_has_tool_calls_is_no_transcript_no_tree_and_no_helpsteer_row():
    row = judged([0, 1], [1])
    row["responses"][0]["turns"] = [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "f", "arguments": "{}"}]}
    ]
    for name in ("hh", "oasst", "helpsteer3"):
        assert written(name, row) == ([], {"groups_with_calls_left_out": 1})
    (pair,), _ = written("nemo", row, with_turns=True)
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert pair["completions"][0]["completion"] == [
        {"role": "assistant", "content": "", "tool_calls": [call]}
    ]


def test_nemo_has_pairs_of_different_ranks_or_whole_rankings():
    rows, _ = written("nemo", judged([1, 0], [2]), columns="documented")
    assert rows == [
        {
            "context": HI,
            "completions": [{"rank": 0, "completion": said("b")}, {"rank": 1, "completion": said("a")}],
            "task_name": "helpful",
        }
    ]
    assert written("nemo", TIE_BELOW, rows="rankings") == ([], {"groups_with_ties_left_out": 1})
    (ranking,), _ = written("nemo", TIE_BELOW, rows="rankings", ties="soft")
    assert [(c["rank"], c["completion"]) for c in ranking["completions"]] == [
        (0, said("a")), (1, said("b")), (1, said("c")),
    ]  # fmt: skip
    assert (ranking["strengths"], ranking["n_ties_in_group"]) == ([2], 1)


def test_helpsteer3_has_the_overall_preference_and_those_it_is_made_of():
    """Two prefer the second, by 2 and by 3; one the first, by 1: 2 of 3 for the second, by 2.5, rounded up to 3."""
    rows, counts = written(
        "helpsteer3",
        judged([1, 0], [2], annotator="ada", rationale="Clear.\n\nResponse 1: Long.\n\nResponse 2: Short."),
        judged([1, 0], [3], annotator="bob", rationale="Response 2: Right."),
        judged([0, 1], [1], annotator="cy", rationale="It is polite."),
        columns="documented",
    )
    assert rows == [
        {
            "context": HI, "response1": "a", "response2": "b", "overall_preference": 3,
            "individual_preference": [
                {"score": 2, "reasoning": "Clear.", "feedback1": "Long.", "feedback2": "Short."},
                {"score": 3, "reasoning": "", "feedback1": "", "feedback2": "Right."},
                {"score": -1, "reasoning": "It is polite.", "feedback1": "", "feedback2": ""},
            ],
        }
    ]  # fmt: skip
    assert counts == {"annotators_lost": 3}


def test_helpsteer3_has_no_form_for_a_negligible_or_unsaid_strength_and_says_so():
    rows, counts = written("helpsteer3", judged([0, 1], [0]), judged([0, 1], [None], annotator="bob"))
    (row,) = rows
    assert row["overall_preference"] == -1
    assert [(one["score"], one["strength"], one["annotator"]) for one in row["individual_preference"]] == [
        (-1, 0, "ada"), (-1, None, "bob"),
    ]  # fmt: skip
    assert counts == {
        "strengths_0_written_as_1": 1,
        "strengths_missing_written_as_1": 1,
        "overall_raised_to_1": 1,
    }
    assert written("helpsteer3", judged([0, 0], []))[1] == {"ties_dropped": 1, "groups_without_rows": 1}
    (tie,), _ = written("helpsteer3", judged([0, 0], []), ties="soft")
    assert (tie["overall_preference"], tie["individual_preference"][0]["score"]) == (0, 0)


def test_helpsteer3_takes_three_responses_apart_and_counts_it():
    rows, counts = written("helpsteer3", judged([2, 0, 1], [1, 1]))  # b > c > a: b over a by 1 + 1
    assert [(row["response1"], row["response2"], row["overall_preference"]) for row in rows] == [
        ("a", "b", 2), ("a", "c", 1), ("b", "c", -1),
    ]  # fmt: skip
    assert counts == {"groups_of_more_than_two": 1}


def test_kto_takes_the_best_and_the_worst_and_nothing_between():
    rows, counts = written("kto", judged([0, 1, 2, 0], [1, 1]), columns="documented", plain=True)
    assert rows == [
        {"prompt": "Hi", "completion": "a", "label": True},
        {"prompt": "Hi", "completion": "c", "label": False},
        {"prompt": "Hi", "completion": "d", "label": True},
    ]
    assert counts == {"responses_between_left_out": 1, "desirable": 2, "undesirable": 1}
    assert written("kto", judged([0, 0], [])) == (
        [], {"responses_between_left_out": 2, "groups_without_rows": 1},
    )  # fmt: skip


def test_sft_takes_the_best():
    rows, counts = written("sft", judged([0, 1, 0], [1]), columns="documented")
    assert rows == [{"messages": HI + said("a")}, {"messages": HI + said("c")}]
    assert counts == {"responses_not_best_left_out": 1}
    (row,), _ = written("sft", judged([1, 0], [1]), plain=True)
    assert (row["prompt"], row["completion"], row["group_id"]) == ("Hi", "b", "t1")
    assert written("sft", judged([0, 0], []))[1]["groups_without_rows"] == 1


def test_a_ranking_has_ranks_and_the_strengths_of_its_steps():
    rows, _ = written("ranked", judged([1, 0, 1, 2], [3, None]), columns="documented")
    assert rows == [{"prompt": HI, "responses": ["a", "b", "c", "d"], "ranks": [1, 0, 1, 2]}]
    (row,), _ = written("ranked", judged([1, 0, 1, 2], [3, None]))
    assert (row["strengths"], row["n_ties_in_group"], row["n_annotators"]) == ([3, None], 1, 1)


def test_a_tree_is_the_path_of_the_prompt_with_ranked_replies():
    prompt = [*HI, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Tea."}]
    (tree,), counts = written("oasst", judged([1, 0], [2], prompt=prompt), columns="documented")
    assert tree.keys() == {"message_tree_id", "tree_state", "prompt"}
    first = tree["prompt"]
    assert (first["text"], first["role"], first["parent_id"]) == ("Hi", "prompter", None)
    (second,) = first["replies"]
    (third,) = second["replies"]
    assert (second["role"], second["parent_id"], third["role"]) == (
        "assistant",
        first["message_id"],
        "prompter",
    )
    assert [(reply["text"], reply["rank"], reply["role"]) for reply in third["replies"]] == [
        ("a", 1, "assistant"), ("b", 0, "assistant"),
    ]  # fmt: skip
    assert counts == {"strengths_lost": 1}
    assert written("oasst", judged([0, 1, 1], [1]))[1]["groups_with_ties_left_out"] == 1
    (tied,), _ = written("oasst", judged([0, 1, 1], [1]), ties="soft")
    assert [reply["rank"] for reply in tied["prompt"]["replies"]] == [0, 1, 1]


def test_pairs_in_a_circle_are_pairs_and_no_ranking():
    """a > b, b > c, c > a, each said by somebody."""
    votes = []
    for number, (winner, loser) in enumerate([(0, 1), (1, 2), (2, 0)]):
        row = judged([0, 1, 2], [1, 1], annotator=f"w{number}")
        row["responses"] = [row["responses"][place] for place in sorted((winner, loser))]
        row["tiers"], row["strengths"] = [[f"t1-r{winner}"], [f"t1-r{loser}"]], [1]
        votes.append(row)
    assert written("ranked", *votes)[1] == {"intransitive_groups_left_out": 1}
    assert written("oasst", *votes)[1] == {"intransitive_groups_left_out": 1}
    assert len(written("trl", *votes)[0]) == len(written("nemo", *votes)[0]) == 3
    assert written("kto", *votes)[1] == {"responses_between_left_out": 3, "groups_without_rows": 1}


def test_a_spreadsheet_has_a_column_for_each_response_and_its_rank():
    row = judged([1, 0], [2], rationale="=1+1", flags=["odd"], seconds=2.5, supersedes=None,
                 guideline_version=None, settings_version=1, created_at="2026-01-01T00:00:00.000000Z")  # fmt: skip
    (cells,), _ = written("csv", row)
    assert {name: cells[name] for name in ("prompt", "response_1", "rank_1", "response_2", "rank_2")} == {
        "prompt": "Hi", "response_1": "a", "rank_1": 1, "response_2": "b", "rank_2": 0,
    }  # fmt: skip
    assert (cells["strengths"], cells["order_shown"], cells["flags"]) == ("[2]", "[1, 2]", '["odd"]')


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("records", {"plain": True}, "option_without_use"),
        ("nemo", {"plain": True}, "option_without_use"),
        ("trl", {"rows": "rankings"}, "option_without_use"),
        ("csv", {"ties": "soft", "files": "csv"}, "option_without_use"),
        ("csv", {}, "wrong_files"),
        ("trl", {"files": "csv"}, "wrong_files"),
        ("oasst", {}, "wrong_files"),
        ("hh", {"ties": "soft", "columns": "documented"}, "ties_without_column"),
    ],
)
def test_an_option_without_use_is_refused(name, options, code):
    with pytest.raises(ExportRefused) as refused:
        EXPORT_FORMATS[name].require_options(ExportOptions(**options), consensus=False)
    assert refused.value.code == code


def test_every_format_describes_its_options_and_what_it_loses():
    for export_format in EXPORT_FORMATS.values():
        assert set(export_format.options) <= set(EXPORT_OPTIONS)
        assert [option.name for option in export_format.export_options] == [
            name for name in EXPORT_OPTIONS if name in export_format.options
        ]
        assert all(export_format.losses.values()) and export_format.description
    assert all(
        option.description
        and (option.default in option.choices if option.choices else option.default is False)
        for option in EXPORT_OPTIONS.values()
    )


@pytest.mark.parametrize(
    "name", [name for name in EXPORT_FORMATS if "columns" in EXPORT_FORMATS[name].options]
)
def test_documented_columns_are_these(name):
    documented = {
        "trl": "prompt chosen rejected margin", "openrlhf": "prompt chosen rejected margin",
        "nemo": "context completions task_name",
        "helpsteer3": "context response1 response2 overall_preference individual_preference",
        "hh": "chosen rejected", "kto": "prompt completion label", "sft": "messages",
        "oasst": "message_tree_id tree_state prompt", "ranked": "prompt responses ranks",
    }  # fmt: skip
    schema = EXPORT_FORMATS[name].schema
    assert schema(ExportOptions(columns="documented")).names == documented[name].split()
    assert schema(ExportOptions()).names[: len(documented[name].split())] == documented[name].split()
