import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.preferences.comparisons import raw_comparisons
from annotation.preferences.consensus import annotator_weights, consensus_comparisons
from tests.annotation.preferences.rows import judgment_row, only_comparison


def test_a_consensus_takes_shares_means_and_agreement():
    row = only_comparison(
        consensus_comparisons(
            [
                judgment_row([0, 1], [3], annotator="ada"),
                judgment_row([0, 1], [2], annotator="bo"),
                judgment_row([1, 0], [1], annotator="cy"),
                judgment_row([0, 0], [], annotator="di"),
            ]
        )
    )
    assert row["soft_preference"] == [[None, 2.5 / 4], [1.5 / 4, None]]
    assert row["grade"] == [[None, 2.5], [1.0, None]]
    assert row["ranks"] == [0, 1]
    assert row["n_annotators"] == 4
    assert row["agreement"] == 1 / 6  # of the six pairs of annotators only ada and bo say the same
    assert row["group_id"] == "t1"


def test_an_even_share_is_a_tie():
    rows = [judgment_row([0, 1], [3], annotator="ada"), judgment_row([1, 0], [1], annotator="bo")]
    row = only_comparison(consensus_comparisons(rows))
    assert row["soft_preference"][0][1] == 0.5
    assert row["ranks"] == [0, 0]


def test_a_consensus_that_is_no_weak_order_keeps_its_pairs_and_has_no_ranks():
    """Condorcet: a over b, b over c, c over a, two against one each."""
    rows = [
        judgment_row([0, 1, 2], [1, 1], annotator="ada"),
        judgment_row([2, 0, 1], [1, 1], annotator="bo"),
        judgment_row([1, 2, 0], [1, 1], annotator="cy"),
    ]
    row = only_comparison(consensus_comparisons(rows))
    assert row["ranks"] is None
    for i, j in ((0, 1), (1, 2), (2, 0)):
        assert row["soft_preference"][i][j] == pytest.approx(2 / 3)
    assert row["grade"][0][1] == 1.0


def test_people_and_machines_are_never_merged():
    rows = [
        judgment_row([0, 1], [1]),
        judgment_row([1, 0], [1], annotator="robot", annotator_kind="simulated"),
    ]
    merged = list(consensus_comparisons(rows))
    assert [(row["group_id"], row["annotator_kind"], row["n_annotators"]) for row in merged] == [
        ("t1", "person", 1),
        ("t1:simulated", "simulated", 1),
    ]


def test_imported_pairs_of_one_group_are_one_row_of_a_consensus():
    pairs = []
    for number, (i, j) in enumerate(itertools.combinations("abc", 2)):
        row = judgment_row([0, 1] if (i, j) != ("a", "c") else [1, 0], [1], task=f"t{number}")
        ids = [f"r-{i}", f"r-{j}"]
        row["responses"] = [{"response_id": name, "text": name} for name in ids]
        row["tiers"] = [[ids[0]], [ids[1]]] if (i, j) != ("a", "c") else [[ids[1]], [ids[0]]]
        pairs.append(row | {"flags": ["group:7", "intransitive"]})
    row = only_comparison(consensus_comparisons(pairs))
    assert row["group_id"] == "b/7"
    assert row["response_ids"] == ["r-a", "r-b", "r-c"]
    assert row["ranks"] is None
    assert row["soft_preference"] == [[None, 1.0, 0.0], [0.0, None, 1.0], [1.0, 0.0, None]]
    assert len(list(raw_comparisons(pairs))) == 3


def test_answers_to_different_prompts_are_never_merged_whatever_a_file_calls_a_group():
    rows = [
        judgment_row(
            [0, 1], [1], task=f"t{number}", prompt=[{"role": "user", "content": f"Question {number}?"}]
        )
        | {"flags": ["group:7"]}
        for number in (1, 1, 2, 3)
    ]
    merged = list(consensus_comparisons(rows))
    assert [(row["group_id"], row["prompt"][0]["content"], len(row["responses"])) for row in merged] == [
        ("b/7", "Question 1?", 2),
        ("b/7/t2", "Question 2?", 2),
        ("b/7/t3", "Question 3?", 2),
    ]


def test_weights_move_the_share_towards_the_reliable():
    rows = [judgment_row([0, 1], [1], annotator="ada"), judgment_row([1, 0], [1], annotator="bo")]
    row = only_comparison(consensus_comparisons(rows, {"ada": 0.9, "bo": 0.3}))
    assert row["soft_preference"][0][1] == pytest.approx(0.75)
    assert row["ranks"] == [0, 1]


def test_reliability_is_agreement_with_the_others():
    rows = []
    for task in range(40):
        rows += [
            judgment_row([0, 1], [1], annotator="ada", task=f"t{task:02}"),
            judgment_row([0, 1], [1], annotator="bo", task=f"t{task:02}"),
            judgment_row([task % 2, (task + 1) % 2], [1], annotator="coin", task=f"t{task:02}"),
        ]
    weights = annotator_weights([*rows, judgment_row([0, 1], [1], annotator="alone", task="t99")])
    # ada agrees with bo always and with the coin half the time: 60 of 80; the coin 40 of 80.
    assert weights["ada"] == weights["bo"] == pytest.approx((60 + 3) / 84)
    assert weights["coin"] == pytest.approx((40 + 3) / 84)
    assert weights["alone"] == 0.75


WEAK_ORDERS = st.integers(2, 5).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(0, k - 1), min_size=k, max_size=k).flatmap(
            lambda ranks: st.tuples(
                st.just(ranks),
                st.lists(st.integers(0, 3), min_size=len(set(ranks)) - 1, max_size=len(set(ranks)) - 1),
            )
        ),
        min_size=1,
        max_size=5,
    )
)


@given(WEAK_ORDERS)
def test_shares_of_both_sides_add_up_to_one_and_grades_stand_where_somebody_preferred(orders):
    rows = [judgment_row(ranks, strengths, annotator=f"a{n}") for n, (ranks, strengths) in enumerate(orders)]
    row = only_comparison(consensus_comparisons(rows))
    size = len(row["responses"])
    for i, j in itertools.permutations(range(size), 2):
        wins = [ranks[i] < ranks[j] for ranks, _ in orders]
        ties = [ranks[i] == ranks[j] for ranks, _ in orders]
        assert row["soft_preference"][i][j] == pytest.approx((sum(wins) + sum(ties) / 2) / len(orders))
        assert row["soft_preference"][i][j] + row["soft_preference"][j][i] == pytest.approx(1)
        assert (row["grade"][i][j] is not None) == any(wins)
        assert row["grade"][i][j] is None or 0 <= row["grade"][i][j] <= 3
    if row["ranks"] is not None:
        for i, j in itertools.combinations(range(size), 2):
            share = row["soft_preference"][i][j]
            assert (row["ranks"][i] < row["ranks"][j]) == (share > 0.5 + 1e-9)
            assert (row["ranks"][i] == row["ranks"][j]) == (abs(share - 0.5) < 1e-9)


def test_a_mean_strength_is_over_those_who_gave_one():
    rows = [
        judgment_row([0, 1, 2], [3, None], annotator="ada"),
        judgment_row([0, 1, 2], [None, None], annotator="bo"),
        judgment_row([0, 1, 2], [2, None], annotator="cy"),
    ]
    row = only_comparison(consensus_comparisons(rows))
    # a over b: 3 and 2; b over c: nobody; a over c: ada's 3 and cy's 2 hold for c as well.
    assert row["grade"] == [[None, 2.5, 2.5], [None, None, None], [None, None, None]]
    assert row["soft_preference"][1][2] == 1.0  # the preference itself counts all the same
