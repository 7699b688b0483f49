"""The graded model, against crowds of which everything is known and against Bradley-Terry by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from annotation.quality import graded_model
from annotation.quality.graded_model import PairVotes, consensus, fit_crowd
from benchmarks.annotator_models import CUTS, compare, simulate


@pytest.mark.parametrize("seed", range(5))
def test_it_beats_the_majority_vote_and_its_intervals_hold_the_truth(seed):
    found = compare(simulate(seed, pairs=1000))
    assert found["graded model"] > found["majority vote"] + 0.02
    assert found["soft label, error of the model"] < 0.75 * found["soft label, error of the vote"]
    # 1000 pairs: the standard error of the coverage is 0.01, and the parameters are estimates, too.
    assert found["coverage of 90 % intervals"] == pytest.approx(0.9, abs=0.04)
    assert found["ability, correlation"] > 0.9 and found["side, correlation"] > 0.9


def test_it_finds_who_guesses_who_turns_answers_round_and_who_prefers_a_side():
    crowd = simulate(7, votes_each=5)
    fitted = fit_crowd(crowd.votes)
    assert fitted.ability_A == pytest.approx(crowd.ability_A, abs=0.6)
    assert fitted.side_A == pytest.approx(crowd.side_A, abs=0.6)
    assert (np.abs(fitted.ability_A[:6]) < 0.5).all() and fitted.ability_A[6] < -0.5
    assert fitted.cuts == pytest.approx(CUTS, abs=0.15)
    # The errors are what they say: most are within two of them.
    within = np.abs(fitted.ability_A - crowd.ability_A) < 2 * fitted.ability_error_A
    assert within.mean() > 0.85


def test_votes_without_grades_are_enough():
    found = compare(simulate(3, pairs=1000, graded=False))
    assert found["graded model"] > found["majority vote"]
    assert found["coverage of 90 % intervals"] == pytest.approx(0.9, abs=0.05)


def test_one_vote_of_one_person_by_hand():
    """Ability a, no ties, no grades: P(first) is the mean of F(a d) under d's posterior, which one vote tilts by F(a
    d).
    """
    votes = PairVotes(*(np.array(column) for column in ([0], [0], [1], [-1], [0])))
    crowd = replace(fit_crowd(votes), ability_A=np.array([2.0]), mean_ability=2.0, cuts=np.array([0.0]))
    found = consensus(votes, crowd)
    d = np.linspace(-8, 8, 200_001)
    f = 1 / (1 + np.exp(-2 * d))
    posterior = f * np.exp(-(d**2) / 2)
    posterior /= posterior.sum()
    assert found.preference_U[0] == pytest.approx((f * posterior).sum(), abs=2e-3)
    assert found.first_U[0] == pytest.approx(posterior[d > 0].sum(), abs=5e-3)
    low, high = (
        1 / (1 + math.exp(-2 * d[np.searchsorted(posterior.cumsum(), level)])) for level in (0.05, 0.95)
    )
    assert (found.low_U[0], found.high_U[0]) == pytest.approx((low, high), abs=0.02)


def test_the_consensus_does_not_depend_on_which_response_is_the_first():
    votes = simulate(1, pairs=300).votes
    turned = replace(votes, sign_N=-votes.sign_N, side_N=-votes.side_N)
    one, other = (consensus(v, fit_crowd(v)) for v in (votes, turned))
    assert one.preference_U == pytest.approx(1 - other.preference_U, abs=1e-6)
    assert one.low_U == pytest.approx(1 - other.high_U, abs=1e-6)


def test_a_stronger_grade_says_more_and_a_tie_says_even():
    votes = simulate(2, pairs=500).votes
    crowd = fit_crowd(votes)
    grades = np.array([-1, 0, 1, 2, 3])
    asked = PairVotes(
        np.arange(6),
        np.zeros(6, dtype=int) + 20,
        np.array([0, 1, 1, 1, 1, 1]),
        grades[[0, 0, 1, 2, 3, 4]],
        np.zeros(6, dtype=int),
    )
    found = consensus(asked, replace(crowd, mean_side=0.0))
    tie, no_grade, *by_grade = found.preference_U.tolist()
    assert tie == pytest.approx(0.5, abs=1e-9)
    assert by_grade == sorted(by_grade) and by_grade[0] < no_grade < by_grade[-1]


def test_a_pair_with_more_votes_is_known_better():
    votes = simulate(2, pairs=500).votes
    crowd = fit_crowd(votes)
    unit = np.repeat([0, 1], [1, 6])
    agreeing = PairVotes(
        unit, np.r_[10, 10:16], np.ones(7, dtype=int), np.ones(7, dtype=int), np.zeros(7, dtype=int)
    )
    found = consensus(agreeing, crowd)
    assert found.high_U[1] - found.low_U[1] < found.high_U[0] - found.low_U[0]
    assert found.preference_U[1] > found.preference_U[0]


def test_many_votes_are_fitted_from_a_part_and_all_get_a_consensus(monkeypatch):
    crowd = simulate(5, pairs=1500)
    whole = fit_crowd(crowd.votes)
    monkeypatch.setattr(graded_model, "FITTED_VOTES", 2500)
    monkeypatch.setattr(graded_model, "UNITS_AT_ONCE", 101)
    part = fit_crowd(crowd.votes)
    assert np.corrcoef(whole.ability_A, part.ability_A)[0, 1] > 0.9
    assert len(part.ability_A) == len(whole.ability_A)
    found = consensus(crowd.votes, part)
    assert len(found.preference_U) == 1500
    monkeypatch.undo()
    assert consensus(crowd.votes, part).preference_U == pytest.approx(found.preference_U)
