import pytest

from annotation.preferences.comparisons import raw_comparisons
from annotation.preferences.consensus import consensus_comparisons
from tests.annotation.preferences.rows import judgment_row, only_comparison


def test_a_raw_row_has_ranks_and_grades_that_add_up_and_ties_as_halves():
    row = only_comparison(raw_comparisons([judgment_row([1, 0, 1, 2], [2, 2])]))
    assert row["ranks"] == [1, 0, 1, 2]
    assert row["grade"] == [
        [None, None, None, 2.0],
        [2.0, None, 2.0, 3.0],  # 2 + 2 is at most 3
        [None, None, None, 2.0],
        [None, None, None, None],
    ]
    assert row["soft_preference"][0] == [None, 0.0, 0.5, 1.0]
    assert row["soft_preference"][1] == [1.0, None, 1.0, 1.0]
    assert (row["n_annotators"], row["agreement"], row["weight"], row["round"]) == (1, None, 1.0, 2)


@pytest.mark.parametrize("change", [{"is_current": False}, {"withdrawn": True}, {"surplus": True}])
def test_what_does_not_count_makes_no_comparison(change):
    assert only_comparison(raw_comparisons([judgment_row([0, 1], [1])]))
    assert list(raw_comparisons([judgment_row([0, 1], [1], **change)])) == []
    assert list(consensus_comparisons([judgment_row([0, 1], [1], **change)])) == []


def test_a_rating_of_one_response_makes_no_comparison():
    assert list(raw_comparisons([judgment_row([0], [])])) == []
