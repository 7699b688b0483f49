"""Ratings of single answers become comparisons of one annotator's answers to one prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.preferences.rated_comparisons import MAX_TOGETHER, RatingChoice, rated_comparisons

CHOICE = RatingChoice(mark="overall")


def rating(answer, score, *, annotator="ada", prompt="Tea?", mark="overall", **changes):
    return {
        "judgment_id": f"{annotator}-{prompt}-{answer}", "is_current": True, "withdrawn": False, "surplus": False,
        "criterion": "helpful", "task_id": f"t-{prompt}-{answer}", "annotator": annotator, "annotator_kind": "person",
        "prompt": [{"role": "user", "content": prompt}], "round": None, "split": "train", "flags": [],
        "responses": [{"response_id": f"r-{prompt}-{answer}", "text": answer, "marks": {mark: score}, "ended": True}],
        "tiers": [[f"r-{prompt}-{answer}"]], "strengths": [], "created_at": "2026-01-01T00:00:00Z",
    } | changes  # fmt: skip


def test_what_one_annotator_rated_higher_is_better_and_equal_ratings_are_ties():
    rows = list(rated_comparisons([rating("a", 4), rating("b", 6), rating("c", 4)], CHOICE))
    (row,) = rows
    assert row["responses"] == ["a", "b", "c"]
    assert row["ranks"] == [1, 0, 1]
    assert row["soft_preference"] == [[None, 0.0, 0.5], [1.0, None, 1.0], [0.5, 0.0, None]]
    assert row["grade"] == [[None] * 3] * 3
    assert (row["group_id"], row["n_annotators"], row["split"]) == ("ratings/ada-Tea?-a", 1, "train")


def test_of_an_answer_rated_twice_the_later_rating_counts_whichever_task_comes_first():
    later = rating("a", 7, created_at="2026-02-01T00:00:00Z", judgment_id="second")
    for both in ([rating("a", 1), later], [later, rating("a", 1)]):
        (row,) = rated_comparisons([*both, rating("b", 4)], CHOICE)
        assert row["ranks"] == [0, 1]


def test_the_grade_of_a_pair_is_its_distance_in_points():
    scores = [1, 3, 7.5]
    (row,) = rated_comparisons(
        [rating(str(n), score) for n, score in enumerate(scores)],
        RatingChoice(mark="overall", points_per_grade=2),
    )
    assert row["grade"] == [[None, None, None], [1.0, None, None], [3, 2.25, None]]  # 6.5 / 2 is at most 3


@pytest.mark.parametrize(
    "other",
    [
        rating("b", 1, annotator="ben"),  # whose fours mean something else
        rating("b", 1, prompt="Milk?"),
        rating("b", 1, criterion="harmless"),
        rating("b", 1, annotator_kind="ai"),
        rating("b", 1, mark="tone"),
        rating("b", 1, withdrawn=True),
        rating("b", 1, surplus=True),
        rating("b", 1, is_current=False),
        rating("b", float("nan")),
        rating(
            "a", 1
        ),  # the same answer again: the later rating counts, and there is nothing to compare it with
    ],
)
def test_what_does_not_belong_together_is_not_compared(other):
    assert list(rated_comparisons([rating("a", 4), rating("b", 1)], CHOICE))
    assert list(rated_comparisons([rating("a", 4), other], CHOICE)) == []


def test_a_judgment_of_several_answers_is_no_rating():
    pair = rating("a", 4)
    pair["responses"] = pair["responses"] + rating("b", 1)["responses"]
    assert list(rated_comparisons([pair], CHOICE)) == []


@given(st.lists(st.integers(1, 7), max_size=40))
def test_many_answers_are_divided_evenly_and_each_order_is_that_of_the_scores(scores):
    rows = list(rated_comparisons([rating(str(n), score) for n, score in enumerate(scores)], CHOICE))
    sizes = [len(row["responses"]) for row in rows]
    assert sum(sizes) == (len(scores) if len(scores) > 1 else 0)
    assert not sizes or (max(sizes) <= MAX_TOGETHER and max(sizes) - min(sizes) <= 1)
    for row in rows:
        of_row = [scores[int(text)] for text in row["responses"]]
        for i, a in enumerate(of_row):
            for j, b in enumerate(of_row):
                if i != j:
                    assert row["soft_preference"][i][j] == (1.0 if a > b else 0.0 if a < b else 0.5)
