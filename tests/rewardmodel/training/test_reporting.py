"""The report on a split that training and evaluation share."""

import math

import pytest

from rewardmodel.training.comparisons import comparison_from_row
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.reporting import split_report
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


def test_a_report_on_nothing_says_nothing():
    report = split_report([], [], ObjectiveOptions())
    assert report["ranking_loss"] is None and report["accuracy"] is None and report["reward_spread"] is None
