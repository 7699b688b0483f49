import pytest
from hypothesis import given

from annotation.preferences.weak_orders import ranks_to_tiers
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
