import json
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given

from annotation.importing.rows import RowError
from annotation.importing.source_files import read_rows
from annotation.preferences.weak_orders import ranks_to_tiers
from tests.annotation.importing.conftest import SHARED_DATA
from tests.annotation.importing.readers.conftest import ORDERS, make_reader, problem_with, read_one


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
    assert problem_with("ranked", RANKED | change).startswith(problem)


def test_a_graded_pair_from_two_columns():
    row = {"prompt": "Why?", "x": "a", "y": "b", "choice": "b-is-slightly-better", "who": 17}
    found = read_one("ranked", row, responses=["x", "y"], preference="choice", annotator="who")
    assert (found.ranks, found.strengths, found.annotator) == ([1, 0], [1], "17")


def test_pair_labels_that_are_an_order_are_one_ranking_and_others_stay_pairs():
    row = {"prompt": "Why?", "responses": ["a", "b", "c"]}
    (order,) = make_reader("ranked").read(row | {"pair_labels": [1, 1, 0]}, 3)
    assert (order.ranks, order.strengths, order.flags) == ([0, 1, 1], [None], [])
    circle = make_reader("ranked").read(row | {"pair_labels": [1, 2, 1]}, 3)
    assert [one.responses for one in circle] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert [one.ranks for one in circle] == [[0, 1], [1, 0], [0, 1]]
    assert all(one.flags == ["group:line 3", "intransitive"] for one in circle)


def test_ranks_without_strengths_have_none_and_a_name_may_mean_better_alone():
    row = {"prompt": "Why?", "responses": ["a", "b", "c"], "ranks": [2, 0, 1]}
    assert read_one("ranked", row).strengths == [None, None]
    assert read_one("ranked", row | {"strengths": [None, 2]}).strengths == [None, 2]
    pair = {"prompt": "Why?", "responses": ["a", "b"], "preference": "left"}
    (found,) = make_reader("ranked", named_strengths={"left": "a"}).read(pair, 1)
    assert (found.ranks, found.strengths) == ([0, 1], [None])


@pytest.mark.parametrize("name", ["unsure", "Negligibly better / unsure", "negligibly-better-or-unsure"])
def test_unsure_is_strength_nought(name):
    row = {"prompt": "Why?", "responses": ["a", "b"], "ranks": [0, 1], "strengths": [name]}
    assert read_one("ranked", row).strengths == [0]


@pytest.mark.parametrize(
    ("scores", "ranks"),
    [
        ([8.5, 6.0], [0, 1]),
        ([1, 3, 2], [2, 0, 1]),
        ([0.5, "0.5", 0.7], [1, 1, 0]),
        ([-1, -1], [0, 0]),
        ([Decimal("2.50"), 2.5, 1e-9], [0, 0, 1]),
    ],
)
def test_the_highest_score_is_best_and_equal_scores_tie(scores, ranks):
    responses = [f"r{n}" for n in range(len(scores))]
    found = read_one("ranked", {"prompt": "Why?", "responses": responses, "scores": scores})
    assert (found.ranks, found.strengths) == (ranks, [None] * max(ranks))
    columns = {f"s{n}": score for n, score in enumerate(scores)}
    row = {"prompt": "Why?", "responses": responses} | columns
    assert read_one("ranked", row, scores=list(columns)).ranks == ranks


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"scores": [1, 2, 3]}, "scores: has 3 scores for 2 responses"),
        ({"scores": [1, float("nan")]}, "scores.1: should be a finite number"),
        ({"scores": [1, None]}, "scores.1: should be a finite number but is null"),
        ({"scores": [1, True]}, "scores.1: should be a finite number but is a boolean"),
        ({"scores": None}, "scores: is null: nothing says which response is better"),
        ({"preference": None}, "preference: is null: nothing says which response is better"),
        ({"preference": [None, None]}, "preference: is null: nothing says which response is better"),
        ({"preference": []}, "preference: is an empty list: nothing says"),
        ({"ranks": None}, "ranks: is null: nothing says which response is better"),
        ({}, "ranks: is missing"),
    ],
)
def test_a_row_that_does_not_say_what_is_better_names_its_column(row, problem):
    assert problem_with("ranked", {"prompt": "Why?", "responses": ["a", "b"]} | row).startswith(problem)


THREE = {"instruction": "Shorten.", "input": "It.", "x": "a", "y": "b", "ann1": 1, "ann2": 2, "ann3": 0}
THREE_MAP = {"responses": ["x", "y"], "preference": ["ann1", "ann2", "ann3"]}
LABELS = {"1": "a", "2": "b", "0": "tie"}


def judgments_of(row, names=None, **mapping):
    found = make_reader("ranked", names, **mapping).read(row, 1)
    return [(one.annotator, one.ranks, one.strengths, one.rationale) for one in found]


def test_three_annotator_columns_of_a_row_are_three_judgments_of_one_task():
    assert judgments_of(THREE, LABELS, **THREE_MAP) == [
        ("ann1", [0, 1], [None], ""),
        ("ann2", [1, 0], [None], ""),
        ("ann3", [0, 0], [], ""),
    ]
    # One who did not judge; names and reasons of their own.
    row = THREE | {"ann2": None, "who": ["kim", "lee", "max"], "why": ["short", None, "same"]}
    assert judgments_of(row, LABELS, **THREE_MAP, annotator="who", rationale="why") == [
        ("kim", [0, 1], [None], "short"),
        ("max", [0, 0], [], "same"),
    ]
    found = make_reader("ranked", LABELS, **THREE_MAP).read(THREE, 1)
    assert {json.dumps([one.prompt, one.responses]) for one in found} == {
        json.dumps([[{"role": "user", "content": "Shorten.\n\nIt."}], ["a", "b"]])
    }


def test_lists_of_several_annotators_are_as_many_judgments():
    row = {"prompt": "Why?", "responses": ["a", "b", "c"]}
    assert judgments_of(row | {"ranks": [[1, 2, 3], [2, 1, 1], None]}) == [
        ("ranks.0", [0, 1, 2], [None, None], ""),
        ("ranks.1", [1, 0, 0], [None], ""),
    ]
    columns = {"r1": [5, 1, 1], "r2": [1, 2, 3]}
    assert judgments_of(row | columns, scores=["r1", "r2"]) == [
        ("r1", [0, 1, 1], [None], ""),
        ("r2", [2, 1, 0], [None, None], ""),
    ]
    assert judgments_of({"prompt": "Why?", "responses": ["a", "b"], "preference": [-1, 2]}) == [
        ("preference.0", [0, 1], [1], ""),
        ("preference.1", [1, 0], [2], ""),
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"who": ["kim"]}, "who: should be 3 different names, one for each of ann1 + ann2 + ann3"),
        ({"who": ["kim", "kim", "lee"]}, "who: should be 3 different names"),
        ({"who": "kim"}, "who: should be a list but is text"),
        ({"ann1": None, "ann2": None, "ann3": None}, "ann1 + ann2 + ann3: is null: nothing says"),
        ({"ann2": 7}, "ann2: is 7, and other numbers were given a meaning"),
    ],
)
def test_annotators_of_a_row_that_do_not_fit_say_why(change, problem):
    row = THREE | {"who": ["kim", "lee", "max"]} | change
    with pytest.raises(RowError) as found:
        make_reader("ranked", LABELS, **THREE_MAP, annotator="who").read(row, 1)
    assert str(found.value).startswith(problem)


def generated_three():
    """Rows of three annotators, every tenth with all the same label; and how often each label is there."""
    rows = []
    for number in range(60):
        labels = [number % 3] * 3 if number % 10 == 0 else [number % 3, (number + 1) % 3, number % 3]
        rows.append(
            {"uid": f"g:{number}", "instruction": "Shorten." if number % 7 else "", "input": f"It {number}.",
             "response1": f"a {number}", "response2": f"b {number}"}
            | {f"annotator{place + 1}": label for place, label in enumerate(labels)}
        )  # fmt: skip
    labels = Counter(row[f"annotator{place}"] for row in rows for place in (1, 2, 3))
    return rows, labels, 6


# The shared file's README counts these labels (0 tie, 1 the first, 2 the second) and 88.3 % unanimous of 831 pairs.
THREE_FILES = [generated_three()] + [
    (path, {2: 1212, 1: 1014, 0: 267}, round(0.883 * 831))
    for path in [SHARED_DATA / "pandalm_pairs_3_annotators.jsonl.gz"]
    if path.is_file()
]


@pytest.mark.parametrize(
    ("source", "labels", "unanimous"), THREE_FILES, ids=["generated", "shared"][: len(THREE_FILES)]
)
def test_a_file_of_three_annotators_a_row_is_read_as_it_is_known_to_be(write_rows, source, labels, unanimous):
    reader = make_reader(
        "ranked", LABELS, responses=["response1", "response2"], id="uid",
        preference=["annotator1", "annotator2", "annotator3"],
    )  # fmt: skip
    path = write_rows(source) if isinstance(source, list) else source
    rows = [reader.read(row, line) for line, row in read_rows(path)]
    label_of = {(0, 0): 0, (0, 1): 1, (1, 0): 2}
    read = [[label_of[tuple(one.ranks)] for one in row] for row in rows]
    assert Counter(label for row in read for label in row) == labels
    assert sum(len(set(row)) == 1 for row in read) == unanimous
    assert {one.annotator for row in rows for one in row} == {"annotator1", "annotator2", "annotator3"}
