import pytest

from tests.annotation.importing.readers.conftest import COMPARISON, changed, problem_with, read_records


def test_a_comparison_is_one_judgment_with_its_steps():
    (found,) = read_records(COMPARISON)
    assert (found.ranks, found.strengths) == ([1, 0, 1], [2])
    assert found.response_ids == ["x", "y", "z"]


def test_a_comparison_without_ranks_stays_pairs():
    found = read_records(
        changed(COMPARISON, {"ranks": None, "soft_preference": [[None, 1, 0], [0, None, 1], [1, 0, None]]})
    )
    assert [one.responses for one in found] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert [one.ranks for one in found] == [[0, 1], [1, 0], [0, 1]]
    assert all(one.flags == ["group:g1", "intransitive"] for one in found)
    assert [one.response_ids for one in found] == [["x", "y"], ["x", "z"], ["y", "z"]]


def test_pairs_never_compared_are_not_made_up():
    soft = [[None, 1.0, None], [0.0, None, 0.8], [None, 0.2, None]]
    found = read_records(changed(COMPARISON, {"ranks": None, "soft_preference": soft}))
    assert [one.responses for one in found] == [["a", "b"], ["b", "c"]]
    assert all(one.flags == ["group:g1"] for one in found)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ranks": [0, 1]}, "ranks: has 2 ranks for 3 responses"),
        ({"ranks": None, "soft_preference": [[None] * 3] * 3}, "soft_preference: compares no two"),
        ({"ranks": None, "soft_preference": [[None] * 2] * 3}, "soft_preference: should be a 3 x 3 table"),
        ({"grade": [[None, 9, 1], [1, None, 1], [1, 1, None]]}, "grade: has numbers outside 0 to 3"),
        (
            {"ranks": None, "soft_preference": [[None, 2, 1], [-1, None, 1], [0, 0, None]]},
            "soft_preference: has numbers outside 0 to 1",
        ),
        (
            {"ranks": None, "soft_preference": [[None, 1, 1], [0, None, 1], [0, 0.2, None]]},
            "soft_preference: contradicts itself on responses 2 and 3",
        ),
        (
            {"ranks": None, "soft_preference": [[None, 1, 1], [0, None, None], [0, 0.2, None]]},
            "soft_preference: contradicts itself on responses 2 and 3",
        ),
        ({"response_ids": ["x", "y"]}, "response_ids: should be 3 different ids"),
        ({"response_ids": ["x", "y", "x"]}, "response_ids: should be 3 different ids"),
        ({"response_ids": ["x", "y", True]}, "response_ids.2: should be text"),
    ],
)
def test_comparisons_that_cannot_be_taken_say_why(change, problem):
    assert problem_with("records", changed(COMPARISON, change)).startswith(problem)


def test_a_grade_that_nobody_gave_stays_away():
    nobody = [[None] * 3] * 3
    assert read_records(changed(COMPARISON, {"grade": nobody}))[0].strengths == [None]
    one_of_two = [[None] * 3, [2.0, None, None], [None] * 3]
    assert read_records(changed(COMPARISON, {"grade": one_of_two}))[0].strengths == [2]
