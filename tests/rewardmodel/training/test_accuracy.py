"""Agreement statistics against figures worked out by hand or published."""

import math

import pytest

from learning.interface.proportions import wilson_interval
from rewardmodel.training.accuracy import ScoredPair, accuracy_report, calibration, margins


def pair(difference, strength=1.0, comparison=0, length_difference=0):
    return ScoredPair(
        comparison=comparison, difference=difference, strength=strength, length_difference=length_difference
    )


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_the_wilson_interval_has_the_published_figures(successes, n, expected):
    assert wilson_interval(successes, n) == pytest.approx(expected, abs=5e-5)


def test_no_trials_give_the_interval_that_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_accuracy_counts_pairs_and_reports_them_by_strength():
    pairs = [pair(1, 0, 0), pair(-1, 1, 0), pair(2, 2.5, 0), pair(3, 3, 1), pair(0, 1.4, 2)]
    report = accuracy_report(pairs)
    assert report["n"] == 5 and report["accuracy"] == pytest.approx(3.5 / 5)
    assert report["interval"] == pytest.approx(list(wilson_interval(3.5, 5)))
    assert report["n_comparisons"] == 3 and report["accuracy_by_comparison"] == pytest.approx(
        (2 / 3 + 1 + 0.5) / 3
    )
    assert {strength: (row["n"], row["accuracy"]) for strength, row in report["by_grade"].items()} == {
        "0": (1, 1.0),
        "1": (2, 0.25),
        "2": (0, None),
        "3": (2, 1.0),
    }


def test_the_longer_response_is_reported_as_a_baseline():
    report = accuracy_report([pair(1, length_difference=3), pair(1, length_difference=-3), pair(1), pair(1)])
    assert report["longer_wins_accuracy"] == pytest.approx(0.5)


def test_of_the_wrong_pairs_it_is_said_how_often_the_longer_answer_was_preferred():
    wrong = [pair(-1, length_difference=length) for length in (-4, -1, 0, 5)]
    report = accuracy_report([pair(2, length_difference=-9), pair(0, length_difference=-9), *wrong])
    # Longer, longer, as long, shorter.
    assert (report["wrong_pairs"], report["wrong_pairs_longer"]) == (4, 2.5 / 4)
    assert report["margins"] == [-1.0, -1.0, -1.0, -1.0, 0.0, 2.0]
    many = margins([float(n) for n in range(1000)], 11)
    assert len(many) == 11 and (many[0], many[5], many[-1]) == (0.0, 500.0, 999.0)


def test_no_pairs_give_no_figures():
    report = accuracy_report([])
    assert (report["wrong_pairs"], report["wrong_pairs_longer"], report["margins"]) == (0, None, [])
    assert report["accuracy"] is None and report["n"] == 0 and report["calibration_error"] is None
    assert all(row["n"] == 0 for row in report["calibration"])


def test_a_calibrated_model_has_no_calibration_error():
    score_difference = math.log(0.9 / 0.1)  # predicts 0.9
    bins, error = calibration([pair(score_difference)] * 9 + [pair(-score_difference)])
    assert error == pytest.approx(0, abs=1e-12)
    filled = [row for row in bins if row["n"]]
    assert len(filled) == 1 and filled[0]["confidence"] == pytest.approx(0.9) and filled[0]["accuracy"] == 0.9


def test_certainty_and_extreme_scores_fall_into_the_last_bin():
    bins, error = calibration([pair(1000.0), pair(-1000.0)])
    assert bins[-1]["n"] == 2 and error == pytest.approx(0.5)


def test_pairs_without_a_strength_stand_apart():
    report = accuracy_report([pair(1, None), pair(-1, None), pair(1, 0)])
    assert report["n"] == 3 and report["by_grade"]["0"]["n"] == 1
    assert (report["without_strength"]["n"], report["without_strength"]["accuracy"]) == (2, 0.5)
