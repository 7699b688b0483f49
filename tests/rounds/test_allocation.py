"""Which policy answers what, by counting: over all numbers of policies, temperatures and responses a task."""

from collections import Counter
from itertools import combinations, combinations_with_replacement, product
from math import comb

import pytest

from rounds.allocation import Draw, allocate_draws
from rounds.plans import SamplingPlan

PROMPTS = 200


def spread(counts):
    return max(counts.values(), default=0) - min(counts.values(), default=0)


def meetings(policies, tasks):
    """How often two answers of different policies stand in one task, for every pair of policies."""
    counts = Counter(dict.fromkeys(combinations(range(policies), 2), 0))
    for draws in tasks:
        counts.update(
            (one.policy, other.policy)
            for one, other in combinations(sorted(draws), 2)
            if one.policy != other.policy
        )
    return counts


def least_spread(policies, size):
    """The smallest spread of meetings that 200 tasks can have, by enumeration.

    All policies answer `each` times and some once more; going through all choices of those equally often is even, so
    only what is left over after that can differ. Left over are few, so that all of their combinations are tried.
    """
    each, once_more = divmod(size, policies)
    choices = list(combinations(range(policies), once_more))
    left_over = PROMPTS % comb(policies, once_more)
    best = None
    for chosen in combinations_with_replacement(choices, left_over):
        counts = Counter(dict.fromkeys(combinations(range(policies), 2), 0))
        for choice in chosen:
            for one, other in counts:
                counts[one, other] += (each + (one in choice)) * (each + (other in choice))
        best = spread(counts) if best is None else min(best, spread(counts))
    return best


@pytest.mark.parametrize("size", range(2, 10))
@pytest.mark.parametrize("policies", range(1, 6))
def test_every_pair_of_policies_meets_equally_often(policies, size):
    for temperatures in range(1, 4):
        tasks = allocate_draws(policies=policies, temperatures=temperatures, sizes=[size] * PROMPTS)
        # As many answers as the task shows, so that none is left unused; every policy before any policy twice.
        assert all(len(draws) == size for draws in tasks)
        for draws in tasks:
            answers = Counter(draw.policy for draw in draws)
            assert len({draw.policy for draw in draws[:policies]}) == min(policies, size)
            assert max(answers.values()) - min(answers.get(p, 0) for p in range(policies)) <= 1
        counts = meetings(policies, tasks)
        assert spread(counts) <= max(1, least_spread(policies, size))
        if size <= policies:
            assert spread(counts) <= 1
        # Every policy at every temperature equally often, and not at one temperature twice before all were used.
        cells = Counter(dict.fromkeys((Draw(p, t) for p in range(policies) for t in range(temperatures)), 0))
        cells.update(draw for draws in tasks for draw in draws)
        assert spread(cells) <= 1
        assert all(max(Counter(draws).values()) <= -(-size // (policies * temperatures)) for draws in tasks)


def test_two_policies_at_two_temperatures_make_pairs_of_both_policies_at_all_temperatures():
    """The pairs that were policy 1 against itself in 200 of 200 cases."""
    tasks = allocate_draws(policies=2, temperatures=2, sizes=[2] * PROMPTS)
    pairs = Counter(tuple(draw.temperature for draw in sorted(draws)) for draws in tasks)
    assert meetings(2, tasks) == {(0, 1): 200}
    assert set(pairs) == set(product((0, 1), repeat=2))
    assert spread(pairs) <= 6  # of 50 each


def test_the_same_numbers_give_the_same_plan_and_a_longer_one_begins_alike():
    longer = allocate_draws(policies=3, temperatures=2, sizes=[4] * 40)
    assert allocate_draws(policies=3, temperatures=2, sizes=[4] * 25) == longer[:25]


def test_sizes_that_differ_from_prompt_to_prompt_come_equally_often():
    """InstructGPT, 3.5: between 4 and 9 responses a prompt."""
    sizes = SamplingPlan(responses_per_task=9, min_responses_per_task=4).task_sizes(PROMPTS)
    assert Counter(sizes) == {4: 34, 5: 34, 6: 33, 7: 33, 8: 33, 9: 33}
    tasks = allocate_draws(policies=2, temperatures=1, sizes=sizes)
    assert [len(draws) for draws in tasks] == sizes
    answers = Counter(draw.policy for draws in tasks for draw in draws)
    assert abs(answers[0] - answers[1]) <= 1


@pytest.mark.parametrize("least", [1, 5])
def test_a_least_size_beyond_the_most_or_below_two_is_refused(least):
    with pytest.raises(ValueError, match="min_responses_per_task"):
        SamplingPlan(responses_per_task=4, min_responses_per_task=least)
