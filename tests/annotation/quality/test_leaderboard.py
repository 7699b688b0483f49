import numpy as np
import pytest

from annotation.quality.leaderboard import NotConnected, fit_leaderboard
from tests.annotation.quality.cases import CASES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("choix_testcase_pairwise_1", "recomputed_ml"),
        ("choix_testcase_pairwise_2", "recomputed_ml"),
        ("choix_intro_notebook", "recomputed"),
    ],
)
def test_winners_and_losers_of_choix(name, expected):
    case = CASES[name]
    winner, loser = np.array(case["data"]["data"]).T
    found = fit_leaderboard(
        winner, loser, np.ones(len(winner)), case["data"]["n_items"], with_side=False, prior_precision=0
    )
    assert found.score_S == pytest.approx(case["expected"][expected], abs=1e-5)


def test_stiglers_journals():
    case = CASES["stigler_1994_journal_citations"]
    wins, names = np.array(case["data"]["wins_row_over_column"]), case["data"]["names"]
    first, second = np.nonzero(wins)
    found = fit_leaderboard(
        first,
        second,
        np.ones(len(first)),
        4,
        weight_N=wins[first, second],
        with_side=False,
        prior_precision=0,
    )
    relative = dict(zip(names, (found.score_S - found.score_S[0]).tolist(), strict=True))
    assert relative == pytest.approx(case["expected"]["recomputed"], abs=1e-3)


def test_agrestis_baseball_with_the_advantage_of_the_field_at_home():
    case = CASES["agresti_baseball_1987"]
    teams = sorted({row[0] for row in case["data"]["home_away_homewins_awaywins"]})
    rows = [
        (teams.index(home), teams.index(away), outcome, times)
        for home, away, won, lost in case["data"]["home_away_homewins_awaywins"]
        for outcome, times in ((1, won), (-1, lost))
    ]
    home, away, outcome, times = np.array(rows).T
    for with_side, key in ((False, "recomputed"), (True, "recomputed_with_home_advantage")):
        found = fit_leaderboard(
            home, away, outcome, len(teams), weight_N=times, with_side=with_side, prior_precision=0
        )
        expected = dict(case["expected"][key])
        assert found.side == pytest.approx(expected.pop("home", 0), abs=1e-3)
        relative = found.score_S - found.score_S[teams.index("Baltimore")]
        assert dict(zip(teams, relative.tolist(), strict=True)) == pytest.approx(expected, abs=1e-3)
    # BradleyTerry2's summary of the same fit: the standard error of the home advantage is 0.1308.
    assert found.side_error == pytest.approx(0.131, abs=1e-3)


def test_davidsons_puddings_with_ties():
    case = CASES["davidson_1970_pudding_with_ties"]
    rows = [
        (i - 1, j - 1, outcome, times)
        for i, j, _, i_wins, j_wins, ties in case["data"]["rows"]
        for outcome, times in ((1, i_wins), (-1, j_wins), (0, ties))
    ]
    first, second, outcome, times = np.array(rows).T
    found = fit_leaderboard(first, second, outcome, 6, weight_N=times, with_side=False, prior_precision=0)
    worth = np.exp(found.score_S) / np.exp(found.score_S).sum()
    expected = case["expected"]["recomputed_converged"]
    assert worth == pytest.approx(expected["worth"], abs=1e-4)
    assert np.exp(found.tie) == pytest.approx(expected["tie"], abs=1e-4)


def test_who_won_everything_gets_a_score_that_is_finite():
    found = fit_leaderboard(np.array([3, 2, 1]), np.array([2, 1, 0]), np.ones(3), 4, with_side=False)
    assert np.isfinite(found.score_S).all() and (np.diff(found.score_S) > 0).all()


def test_two_groups_that_never_met_have_no_leaderboard():
    with pytest.raises(NotConnected):
        fit_leaderboard(np.array([0, 2]), np.array([1, 3]), np.ones(2), 4)
