import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.judgments import ImportedPair, merge_group
from annotation.importing.readers.registry import COMPARISON_READERS
from annotation.importing.rows import RowError
from annotation.importing.source_files import read_rows
from annotation.preferences.weak_orders import dense_ranks, ranks_to_tiers
from tests.annotation.importing.conftest import SHARED_DATA, hh_rows
from tests.annotation.importing.readers.test_fields import ANY_JSON

USER = [{"role": "user", "content": "Why?"}]


def reader(name, named_strengths=None, **mapping):
    kind = COMPARISON_READERS[name]
    mapping = {
        field: [columns] if isinstance(columns, str) else columns for field, columns in mapping.items()
    }
    return kind(
        ColumnMap(kind.fields, mapping, format_name=name),
        criterion="helpful",
        named_strengths=named_strengths or {},
    )


def read_one(name, row, **mapping):
    (found,) = reader(name, **mapping).read(row, 1)
    return found


def problem_of(name, row, **mapping):
    with pytest.raises(RowError) as problem:
        reader(name, **mapping).read(row, 1)
    return str(problem.value)


def said(answer):
    return [{"role": "assistant", "content": answer}]


# --- hh ---------------------------------------------------------------------------------------------------------


def test_hh_rows_become_prompt_and_two_answers():
    row = {
        "chosen": "\n\nHuman: A?\n\nAssistant: b.\n\nHuman: C?\n\nAssistant: good",
        "rejected": "\n\nHuman: A?\n\nAssistant: b.\n\nHuman: C?\n\nAssistant: bad",
    }
    found = read_one("hh", row)
    assert [turn["content"] for turn in found.prompt] == ["A?", "b.", "C?"]
    assert (found.responses, found.ranks, found.strengths) == (["good", "bad"], [0, 1], [0])


START = "\n\nHuman: A?\n\nAssistant:"


@pytest.mark.parametrize(
    ("chosen", "rejected", "problem"),
    [
        (START + " x", START + " x", "rejected: is the same text as chosen"),
        (START + " x", START + " x ", "rejected: is the same text as chosen"),
        (START + " x", "\n\nHuman: B?\n\nAssistant: y", "rejected: shares no prompt with chosen"),
        ("x", "y", "rejected: shares no prompt with chosen"),
        (True, START + " y", "chosen: should be text but is a boolean (true)"),
        ("", START + " y", "chosen: is empty"),
        (START + " x\n\nHuman: more", START + " y", "chosen: goes on with another human turn"),
        ("\n\nHuman:  \n\nAssistant: x", "\n\nHuman:  \n\nAssistant: y", "chosen: is empty"),
        (START + " \ud800", START + " y", "chosen: has half of a surrogate pair"),
    ],
)
def test_hh_rows_that_cannot_be_taken_say_why(chosen, rejected, problem):
    assert problem_of("hh", {"chosen": chosen, "rejected": rejected}).startswith(problem)


def test_an_empty_answer_is_an_answer():
    assert read_one("hh", {"chosen": START + " x", "rejected": START}).responses == ["x", ""]


# --- trl --------------------------------------------------------------------------------------------------------

PAIR = {"prompt": USER, "chosen": said("good"), "rejected": said("bad")}


@pytest.mark.parametrize(
    "row",
    [
        PAIR,
        {"prompt": "Why?", "chosen": "good", "rejected": "bad"},
        {"prompt": "\n\nHuman: Why?\n\nAssistant:", "chosen": "good", "rejected": "bad"},
        {"chosen": USER + said("good"), "rejected": USER + said("bad")},
        {"prompt": None, "chosen": USER + said("good"), "rejected": USER + said("bad")},
    ],
)
def test_all_spellings_of_a_trl_pair_mean_the_same(row):
    found = read_one("trl", row)
    assert (found.prompt, found.responses, found.ranks) == (USER, ["good", "bad"], [0, 1])


@pytest.mark.parametrize(("strength", "meaning"), [(2, 2), ("3", 3), ("slightly better", 1), (None, 0)])
def test_trl_strength_is_a_number_or_a_name(strength, meaning):
    assert read_one("trl", PAIR | {"strength": strength}).strengths == [meaning]


def test_a_soft_label_of_a_half_is_a_tie():
    found = read_one("trl", PAIR | {"soft_label": 0.5, "strength": 0})
    assert (found.ranks, found.strengths) == ([0, 0], [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"soft_label": 0.2}, "soft_label: is 0.2"),
        ({"strength": True}, "strength: should be a whole number but is a boolean"),
        ({"strength": 7}, "strength: is 7; it should be between 0 and 3"),
        ({"rejected": said("good")}, "rejected: is the same text as chosen"),
        ({"rejected": True}, "rejected: should be text but is a boolean"),
        ({"chosen": USER}, "chosen: should be one assistant turn"),
        ({"prompt": ""}, "prompt: is empty"),
        ({"prompt": said("x")}, "prompt: should end with a user or tool turn"),
        ({"group_id": "g", "n_pairs_in_group": 99}, "n_pairs_in_group: is 99"),
    ],
)
def test_trl_rows_that_cannot_be_taken_say_why(change, problem):
    assert problem_of("trl", PAIR | change).startswith(problem)


def test_a_trl_row_without_prompt_and_with_plain_text_misses_its_column():
    assert "prompt: is missing" in problem_of("trl", {"chosen": "a", "rejected": "b"})


def pairs_of(ranks, strengths, *, ties):
    """The pairs a view of this ranking has: a reference that does not use the exporter."""
    tier = dense_ranks(ranks)
    rows = []
    for i, j in itertools.combinations(range(len(ranks)), 2):
        if tier[i] == tier[j]:
            if ties:
                rows.append((i, j, 0, True))
        else:
            a, b = (i, j) if tier[i] < tier[j] else (j, i)
            rows.append((a, b, min(3, sum(strengths[tier[a] : tier[b]])), False))
    return [
        ImportedPair(
            group="g", prompt=USER, chosen=f"r{a}", rejected=f"r{b}", strength=strength, tie=tie, annotator=None,
            pairs_in_group=len(rows),
        )
        for a, b, strength, tie in rows
    ]  # fmt: skip


ORDERS = st.lists(st.integers(0, 4), min_size=2, max_size=6).flatmap(
    lambda ranks: st.tuples(
        st.just(ranks),
        st.lists(st.integers(0, 3), min_size=len(set(ranks)) - 1, max_size=len(set(ranks)) - 1),
    )
)


@given(ORDERS, st.booleans(), st.randoms())
def test_the_pairs_of_a_ranking_are_the_ranking_again(order, ties, rng):
    ranks, strengths = order
    pairs = pairs_of(ranks, strengths, ties=ties)
    rng.shuffle(pairs)
    if not pairs:
        return
    (found,) = merge_group(pairs)
    by_text = dict(zip(found.responses, found.ranks, strict=True))
    assert [by_text[f"r{place}"] for place in range(len(ranks))] == dense_ranks(ranks)
    assert found.strengths == strengths


@pytest.mark.parametrize(
    ("rows", "whole", "found"),
    [
        (["ab", "ac"], True, ["abc"]),  # a over b and c, which are tied
        (["ab", "ac"], False, ["ab", "ac"]),  # nothing says that these are all rows of the group
        (["ab", "bc"], True, ["ab", "bc"]),  # a tie of a and c would contradict the rest: never compared
    ],
)
def test_a_pair_without_a_row_is_a_tie_only_where_that_gives_an_order(rows, whole, found):
    pairs = [
        ImportedPair(
            group="g", prompt=USER, chosen=chosen, rejected=rejected, strength=1, tie=False, annotator=None,
            pairs_in_group=len(rows) if whole else None,
        )
        for chosen, rejected in rows
    ]  # fmt: skip
    assert ["".join(one.responses) for one in merge_group(pairs)] == found


def test_a_group_may_have_as_long_an_id_as_we_write():
    found = read_one("trl", PAIR | {"group_id": "g" * 190, "pair_index": 0, "n_pairs_in_group": 1})
    assert found.group == "g" * 190
    assert problem_of("trl", PAIR | {"group_id": "g" * 201}).startswith("group_id: is longer than 200")


def test_pairs_in_a_circle_stay_pairs_that_know_their_group():
    circle = [("a", "b"), ("b", "c"), ("c", "a")]
    pairs = [
        ImportedPair(
            group="g",
            prompt=USER,
            chosen=x,
            rejected=y,
            strength=1,
            tie=False,
            annotator=None,
            pairs_in_group=3,
        )
        for x, y in circle
    ]
    found = merge_group(pairs)
    assert [sorted(one.responses) for one in found] == [["a", "b"], ["a", "c"], ["b", "c"]]
    winners = {frozenset(one.responses): one.responses[one.ranks.index(0)] for one in found}
    assert winners == {frozenset("ab"): "a", frozenset("bc"): "b", frozenset("ca"): "c"}
    assert all(one.flags == ["group:g", "intransitive"] for one in found)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([{}, {}], "two rows with the same two responses"),
        ([{}, {"chosen": "b", "rejected": "a"}], "two rows with the same two responses"),
        (
            [{}, {"prompt": [{"role": "user", "content": "Other"}], "rejected": "c"}],
            "for two different prompts",
        ),
        ([{"pairs_in_group": 3}], "is 3, but group g has 1 rows"),
    ],
)
def test_groups_that_contradict_themselves_are_refused(changes, problem):
    base = {
        "group": "g", "prompt": USER, "chosen": "a", "rejected": "b", "strength": 1, "tie": False, "annotator": None,
        "pairs_in_group": None,
    }  # fmt: skip
    with pytest.raises(RowError, match=problem):
        merge_group([ImportedPair(**(base | change)) for change in changes])


# --- ranked -----------------------------------------------------------------------------------------------------


@given(ORDERS)
def test_ranks_of_any_spelling_are_read_as_the_weak_order_they_mean(order):
    ranks, strengths = order
    row = {"prompt": "Why?", "responses": [f"r{n}" for n in range(len(ranks))], "strengths": strengths}
    expected = ranks_to_tiers(ranks)
    for spelled in (ranks, [rank * 10 + 1 for rank in ranks], [str(rank) for rank in ranks]):
        found = read_one("ranked", row | {"ranks": spelled})
        assert ranks_to_tiers(found.ranks) == expected
        assert found.strengths == strengths


RANKED = {"prompt": "Why?", "responses": ["a", "b", "c"], "ranks": [0, 1, 1]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ranks": [0, 1]}, "ranks: has 2 ranks for 3 responses"),
        ({"ranks": [0, True, 1]}, "ranks.1: should be a whole number but is a boolean"),
        ({"ranks": "0,1,1"}, "ranks: should be a list but is text"),
        ({"strengths": [1, 2]}, "strengths: has 2 strengths for 1 steps"),
        ({"responses": ["a"]}, "responses: has 1 responses"),
        ({"responses": list("abcdefghij")}, "responses: has 10 responses"),
        ({"responses": ["a", "b", "a"]}, "responses: has the same text as responses 1 and 3"),
        ({"responses": ["a", "b", True]}, "responses.2: should be text but is a boolean"),
        ({"preference": 1}, "preference: compares two responses, but there are 3"),
        ({"pair_labels": [0, 1]}, "pair_labels: has 2 labels for the 3 pairs"),
        ({"pair_labels": [0, 1, 3]}, "pair_labels.2: is 3"),
    ],
)
def test_ranked_rows_that_cannot_be_taken_say_why(change, problem):
    assert problem_of("ranked", RANKED | change).startswith(problem)


def test_a_graded_pair_from_two_columns():
    row = {"prompt": "Why?", "x": "a", "y": "b", "choice": "b-is-slightly-better", "who": 17}
    found = read_one("ranked", row, responses=["x", "y"], preference="choice", annotator="who")
    assert (found.ranks, found.strengths, found.annotator) == ([1, 0], [1], "17")


def test_pair_labels_that_are_an_order_are_one_ranking_and_others_stay_pairs():
    row = {"prompt": "Why?", "responses": ["a", "b", "c"]}
    (order,) = reader("ranked").read(row | {"pair_labels": [1, 1, 0]}, 3)
    assert (order.ranks, order.strengths, order.flags) == ([0, 1, 1], [0], [])
    circle = reader("ranked").read(row | {"pair_labels": [1, 2, 1]}, 3)
    assert [one.responses for one in circle] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert [one.ranks for one in circle] == [[0, 1], [1, 0], [0, 1]]
    assert all(one.flags == ["group:line 3", "intransitive"] for one in circle)


# --- every format -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPARISON_READERS)
@given(data=st.data())
def test_no_row_breaks_a_reader(name, data):
    """A row of the right columns with anything in them is read, or is a RowError that names a column."""
    one = reader(name)
    row = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(one.fields[:12], ANY_JSON)))
    try:
        one.row_id(row)
        found = one.read(row, 1)
    except RowError as problem:
        assert problem.column
        assert problem.reason
    else:
        json.dumps([item.as_json() for item in found]).encode()


def qa_rows(count):
    """Four answers and labels of their six pairs; every 20th set of labels goes in a circle."""
    for number in range(count):
        ranks = [(number * step) % 3 for step in (1, 2, 3, 4)]
        labels = [
            (ranks[i] > ranks[j]) * 2 + (ranks[i] < ranks[j]) for i, j in itertools.combinations(range(4), 2)
        ]
        circle = [1, 2, 1, 1, 1, 1]
        answers = {f"prediction {place + 1}": f"answer {place} to {number}" for place in range(4)}
        yield {
            "uid": f"qa:{number}",
            "question": f"Q {number}?",
            "preference": circle if number % 20 == 3 else labels,
        } | answers


def graded_rows(count):
    grades = ["a-is-better", "a-is-slightly-better", "tie", "b-is-slightly-better", "b-is-better"]
    for number in range(count):
        yield {
            "prompt": f"P {number}?",
            "completion_a": f"a {number}",
            "completion_b": f"{'ab'[number % 10 != 9]} {number}",
            "preference": grades[number % 5], "evaluator": f"e{number % 7}",
        }  # fmt: skip


HH = ("hh", {})
QA = (
    "ranked",
    {
        "prompt": ["question"],
        "responses": [f"prediction {n}" for n in (1, 2, 3, 4)],
        "pair_labels": ["preference"],
        "id": ["uid"],
    },
)
GRADED = ("ranked", {"responses": ["completion_a", "completion_b"], "annotator": ["evaluator"]})
# (rows or file, how to read it, judgments, bad rows, flagged groups). Counts of the real files are those of
# the data's README.
FILES = [
    (list(hh_rows(200)), HH, 196, 4, 0),
    (list(qa_rows(100)), QA, 95 + 5 * 6, 0, 5),
    (list(graded_rows(100)), GRADED, 90, 10, 0),
] + [
    (SHARED_DATA / name, *expected)
    for name, *expected in (
        ("hh_rlhf_helpful_base_test.jsonl.gz", HH, 1984, 2, 0),
        ("hh_rlhf_helpful_rejection_sampled_test.jsonl.gz", HH, 2319, 30, 0),
        ("hh_rlhf_harmless_base_test.jsonl.gz", HH, 1974, 0, 0),
        ("finegrained_qa_feedback_4way_with_ties.jsonl.gz", QA, 404 + 21 * 6, 0, 21),
        ("tulu1_graded_pairs_17_evaluators.jsonl.gz", GRADED, 961, 35, 0),
    )
    if (SHARED_DATA / name).is_file()
]


@pytest.mark.parametrize(
    ("source", "read_as", "judgments", "bad", "groups"),
    FILES,
    ids=lambda value: value.name if isinstance(value, Path) else None,
)
def test_whole_files_are_read_as_they_are_known_to_be(write_rows, source, read_as, judgments, bad, groups):
    name, mapping = read_as
    one = reader(name, **mapping)
    good, reasons = [], []
    for line, row in read_rows(source if isinstance(source, Path) else write_rows(source)):
        try:
            good += one.read(row, line)
        except RowError as problem:
            reasons.append(problem.reason)
    assert (len(good), len(reasons)) == (judgments, bad)
    assert all("identical responses carry no preference" in reason for reason in reasons)
    assert len({found.flags[0] for found in good if found.flags}) == groups
