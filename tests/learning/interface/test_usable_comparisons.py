from itertools import product

import pytest

from learning.interface.usable_comparisons import can_train, row_can_train, shortfall, training_supply


def row(table, ranks=None, split="train", weight=1.0):
    return {"soft_preference": table, "ranks": ranks, "split": split, "weight": weight}


PREFERENCE = row([[None, 1.0], [0.0, None]], [0, 1])
TIE = row([[None, 0.5], [0.5, None]], [0, 0])


def test_what_each_loss_learns_from_by_enumeration():
    """Three responses, every pair preferred either way, tied or never compared."""
    values = {1: 1.0, -1: 0.0, 0: 0.5, None: None}
    for signs in product(values, repeat=3):
        table = [[None] * 3 for _ in range(3)]
        for (i, j), sign in zip([(0, 1), (0, 2), (1, 2)], signs, strict=True):
            table[i][j] = values[sign]
            table[j][i] = None if sign is None else 1 - values[sign]
        comparison = row(table)
        assert row_can_train(comparison, "pairwise") == (1 in signs or -1 in signs)
        assert row_can_train(comparison, "soft_labels") == any(sign is not None for sign in signs)
        assert not row_can_train(comparison, "plackett_luce") and not row_can_train(comparison, "best_of_k")


@pytest.mark.parametrize(("ranks", "usable"), [(None, False), ([0, 0, 0], False), ([0, 1, 0], True)])
def test_losses_of_orders_need_one_with_two_tiers(ranks, usable):
    for loss in ("plackett_luce", "best_of_k"):
        assert can_train(loss, weight=1.0, ranks=ranks, shares=[]) == usable
    assert not can_train("pairwise", weight=0.0, ranks=[0, 1], shares=[1.0])


def test_counting_ends_when_there_are_enough_and_sees_the_training_split_only():
    supply = training_supply([TIE, PREFERENCE, {**PREFERENCE, "split": "test"}], "pairwise")
    assert (supply.comparisons, supply.usable, supply.is_enough) == (2, 1, False)

    def endless():
        while True:
            yield PREFERENCE

    assert training_supply(endless(), "pairwise").is_enough


def test_the_sentence_counts_what_is_there():
    assert shortfall(training_supply([TIE] * 6, "pairwise"), "pairwise") == (
        "0 usable comparisons of 6 in the split train; ties alone teach the pairwise loss nothing; training needs at "
        "least 2"
    )
    assert shortfall(training_supply([PREFERENCE], "pairwise"), "pairwise") == (
        "1 usable comparison in the split train; training needs at least 2"
    )
