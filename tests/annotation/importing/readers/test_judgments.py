import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.importing.readers.judgments import ImportedPair, merge_group
from annotation.importing.rows import RowError
from annotation.preferences.weak_orders import dense_ranks
from tests.annotation.importing.readers.conftest import ORDERS, USER


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
