"""Which policy a rule chooses: figures worked out by hand, enumeration, and the formulas of the sources."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_training.selection_rules import (
    Candidate,
    best_reward,
    best_win_rate,
    last,
    one_standard_error,
    paired_difference,
    pareto_front,
    reward_within_kl,
    runner_up,
    standard_error,
)


def named(name, scores, kl=None, wins=None):
    keys = [f"p{n}" for n in range(len(scores))]
    return Candidate(
        name=name,
        scores=dict(zip(keys, scores, strict=True)),
        kl=kl,
        wins=dict(zip(keys, wins, strict=True)) if wins else None,
    )


# Means 2, 3, 2.9; the last is behind the best by 0, 0, 0.4, 0: mean 0.1, variance 0.04, standard error 0.2 / sqrt(4).
SMALL = named("small", (1.0, 2.0, 3.0, 2.0), kl=1.0)
BEST = named("best", (2.0, 3.0, 4.0, 3.0), kl=9.0)
NEAR = named("near", (2.0, 3.0, 3.6, 3.0), kl=4.0)
THREE = [SMALL, BEST, NEAR]


def test_each_rule_chooses_what_its_sentence_says():
    assert best_reward(THREE).chosen == 1
    assert reward_within_kl(THREE, 5.0).chosen == 2
    assert reward_within_kl(THREE, 4.0).chosen == 2  # at most, not below
    assert reward_within_kl(THREE, 3.9).chosen == 0
    assert reward_within_kl(THREE, 0.5) is None
    chosen = one_standard_error(THREE)
    assert (chosen.chosen, chosen.admitted) == (2, (1, 2))
    assert last(THREE).chosen == 2
    assert runner_up([one.reward for one in THREE], best_reward(THREE)) == 2
    assert runner_up([one.reward for one in THREE], chosen) == 1
    assert runner_up([2.0], best_reward([SMALL])) is None
    # The spread between prompts, 0.8 of a mean of 3, would have let in one that is 0.2 worse on every prompt.
    always_behind = named("behind", (1.8, 2.8, 3.8, 2.8), kl=0.1)
    assert one_standard_error([*THREE, always_behind]).chosen == 2


def test_of_equal_rewards_the_lower_kl_is_chosen_and_then_the_first():
    twins = [named("a", (1.0, 3.0), kl=2.0), named("b", (3.0, 1.0), kl=1.0), named("c", (2.0, 2.0), kl=1.0)]
    assert best_reward(twins).chosen == 1
    assert best_reward(twins[1:]).chosen == 0
    assert best_reward([named("d", (2.0, 2.0)), twins[2]]).chosen == 1  # an unknown KL is not the lower one


def test_a_win_rate_counts_a_tie_as_half():
    draws = named("draws", (9.0, 9.0, 9.0, 9.0), wins=(0.5, 0.5, 0.5, 0.5))
    wins = named("wins", (1.0, 1.0, 1.0, 1.0), wins=(1.0, 1.0, 0.5, 0.0))  # 2.5 of 4
    assert best_win_rate([draws, wins]).chosen == 1
    with pytest.raises(ValueError, match="no verdicts"):
        best_win_rate([SMALL, wins])


@pytest.mark.parametrize("rule", [one_standard_error, lambda found: reward_within_kl(found, 1.0)])
def test_a_rule_about_kl_refuses_a_policy_without_one(rule):
    with pytest.raises(ValueError, match="no KL"):
        rule([named("a", (1.0, 2.0)), named("b", (1.0, 2.0))])


def test_the_interval_of_three_prompts_is_that_of_all_27_draws():
    one, other = named("a", (0.0, 4.0, 8.0)).scores, named("b", (0.0, 1.0, 2.0)).scores
    means = sorted(sum(drawn) / 3 for drawn in itertools.product((0.0, 3.0, 6.0), repeat=3))
    assert means.count(0.0) / 27 > 0.025 and means.count(6.0) / 27 > 0.025
    found = paired_difference(one, other)
    assert (found.mean, found.low, found.high, found.prompts) == (3.0, 0.0, 6.0, 3)
    assert found.standard_error == pytest.approx(3.0 / math.sqrt(3))  # the variance of 0, 3, 6 is 9
    assert not found.is_settled


def test_of_many_prompts_the_interval_is_near_the_normal_one_and_the_same_each_time():
    chance = np.random.default_rng(3)
    easy = chance.normal(0.0, 10.0, 400)  # how easy a prompt is, for both: it cancels
    one = {f"p{n}": float(value) for n, value in enumerate(easy + chance.normal(0.3, 1.0, 400))}
    other = {f"p{n}": float(value) for n, value in enumerate(easy)}
    found = paired_difference(one, other)
    half = 1.959964 * float(np.std([one[key] - other[key] for key in one], ddof=1)) / 20
    assert found.low == pytest.approx(found.mean - half, abs=0.1 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.1 * half)
    assert found.is_settled
    assert paired_difference(dict(reversed(one.items())), other) == found
    turned = paired_difference(other, one)
    assert (turned.mean, turned.low, turned.high) == pytest.approx((-found.mean, -found.high, -found.low))


def test_five_prompts_that_all_say_the_same_settle_nothing_and_six_do():
    # Two-sided sign test: 2 / 2^5 > 0.05 >= 2 / 2^6.
    five, six = ({f"p{n}": 1.0 for n in range(count)} for count in (5, 6))
    assert not paired_difference(five, dict.fromkeys(five, 0.0)).is_settled
    assert paired_difference(six, dict.fromkeys(six, 0.0)).is_settled


def test_figures_of_other_prompts_have_no_difference():
    for other in ({"q": 1.0}, {}):
        with pytest.raises(ValueError, match="same prompts"):
            paired_difference({"p": 1.0}, other)
    with pytest.raises(ValueError, match="same prompts"):
        paired_difference({}, {})


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_front_is_what_nothing_beats(points):
    def beats(one, other):
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    found = pareto_front(points)
    assert set(found) == {
        place for place, point in enumerate(points) if not any(beats(other, point) for other in points)
    }
    assert [points[place][0] for place in found] == sorted(points[place][0] for place in found)


def test_the_standard_error_is_the_textbooks():
    assert standard_error([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == pytest.approx(math.sqrt(32 / 7 / 8))
    assert standard_error([3.0]) == 0.0
