"""Which policy answers which prompt at which temperature: as many answers as the tasks show, none to be thrown away.

The answers of a task come from different policies first and from different temperatures second (Llama 2, 3.2.1: the
answers of a pair come from two model variants, at varying temperature). Over the prompts all pairs of policies meet
equally often, and every policy is asked equally often at each temperature, as evenly as whole numbers allow. Pure and
deterministic: the same numbers give the same plan.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

# All subsets of this many policies are looked at to find the one that has met least; of more policies, those that
# were asked least.
MAX_POLICIES_SEARCHED = 10


@dataclass(frozen=True, order=True)
class Draw:
    """One answer to a prompt: the indices of its policy and of its temperature."""

    policy: int
    temperature: int


def allocate_draws(*, policies: int, temperatures: int, sizes: Sequence[int]) -> list[list[Draw]]:
    """For each prompt the draws of its task, `sizes` of them.

    A policy answers a prompt a second time only when every policy has answered it once, and a second time at the
    same temperature only when it has answered at all of them. The first answers of all policies come first.
    """
    asked: Counter[int] = Counter()
    met: Counter[frozenset[int]] = Counter()
    drawn: Counter[Draw] = Counter()
    drawn_together: Counter[frozenset[Draw]] = Counter()
    allocation = []
    for number, size in enumerate(sizes):
        each, rest = divmod(size, policies)
        once_more = _least_met(policies, rest, asked, met)
        asked.update(once_more)
        met.update(frozenset(pair) for pair in combinations(once_more, 2))
        draws: list[Draw] = []
        turns: list[tuple[int, Draw]] = []
        for policy in range(policies):
            count = each + (policy in once_more)
            own = [Draw(policy, temperature) for temperature in range(temperatures)] * (count // temperatures)
            for _ in range(count % temperatures):
                free = [
                    draw
                    for draw in (Draw(policy, temperature) for temperature in range(temperatures))
                    if draw not in own[len(own) // temperatures * temperatures :]
                ]
                own.append(_least_drawn(free, [*draws, *own], number, drawn, drawn_together))
            draws += own
            turns += enumerate(own)
        drawn.update(draws)
        drawn_together.update(frozenset(pair) for pair in combinations(draws, 2))
        allocation.append([draw for _, draw in sorted(turns)])
    return allocation


def _least_met(
    policies: int, size: int, asked: Counter[int], met: Counter[frozenset[int]]
) -> tuple[int, ...]:
    """The `size` policies that have met each other least, then those that were asked least."""
    pool = sorted(sorted(range(policies), key=lambda policy: asked[policy])[:MAX_POLICIES_SEARCHED])
    return min(
        combinations(pool, size),
        key=lambda chosen: (
            # Twice the count plus one is what one more adds to the sum of squares, which is least when all are even.
            sum(2 * met[frozenset(pair)] + 1 for pair in combinations(chosen, 2)),
            sum(2 * asked[policy] + 1 for policy in chosen),
            chosen,
        ),
    )


def _least_drawn(
    free: Collection[Draw],
    beside: Sequence[Draw],
    number: int,
    drawn: Counter[Draw],
    together: Counter[frozenset[Draw]],
) -> Draw:
    """The temperature a policy was asked at least often, then the one that met the others least.

    What is even then is decided by a hash: in the order of the temperatures some of them would never meet.
    """

    def key(draw: Draw) -> tuple[int, int, bytes]:
        tie_break = hashlib.sha256(f"{number}:{draw.policy}:{draw.temperature}".encode()).digest()
        return drawn[draw], sum(together[frozenset((draw, other))] for other in beside), tie_break

    return min(free, key=key)
