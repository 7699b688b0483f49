"""The report on a split that training and evaluation share."""

import math

import pytest

from rewardmodel.training.comparisons import comparison_from_row
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.reporting import split_report, supply_notes, worst_disagreements
from tests.rewardmodel.training.conftest import comparison_rows


def test_a_report_weighs_comparisons_in_the_loss_and_counts_pairs_in_the_accuracy():
    rows = [row for row in comparison_rows(30) if row["ranks"] == [0, 1]][:2]
    comparisons = [
        comparison_from_row({**row, "weight": weight}) for row, weight in zip(rows, (1.0, 3.0), strict=True)
    ]
    report = split_report(comparisons, [[1.0, 0.0], [0.0, 1.0]], ObjectiveOptions())
    right, wrong = math.log1p(math.exp(-1)), math.log1p(math.exp(1))
    assert report["ranking_loss"] == pytest.approx((right + 3 * wrong) / 4)
    assert report["accuracy"] == 0.5 and report["n"] == 2


def test_the_worst_disagreements_are_the_widest_wrong_pairs():
    rows = [row for row in comparison_rows(60) if len(row["responses"]) == 2 and row["ranks"] == [0, 1]][:4]
    comparisons = [comparison_from_row(row) for row in rows]
    scores = [[0.0, 1.0], [2.0, 1.0], [-1.0, 3.0], [1.0, 1.0]]
    assert worst_disagreements(comparisons, scores) == [(2, 4.0), (0, 1.0)]


def test_a_report_on_nothing_says_nothing():
    report = split_report([], [], ObjectiveOptions())
    assert report["ranking_loss"] is None and report["accuracy"] is None and report["reward_spread"] is None


def test_little_to_learn_from_or_to_measure_with_is_said():
    # 1.96 * sqrt(0.25 / n): 31 points for ten pairs, 98 for one, which cannot be more than 50 off.
    assert supply_notes(100, 30) == []
    few = "Only 3 comparisons to train on: expect little of this model."
    assert supply_notes(3, 0) == [few, "No comparison is held out: how accurate the model is cannot be said."]
    assert supply_notes(99, 10)[1] == (
        "Only 10 comparisons are held out: an accuracy on so few may be 31 points off."
    )
    assert supply_notes(500, 1) == [
        "Only 1 comparison is held out: an accuracy on so few may be 50 points off."
    ]
