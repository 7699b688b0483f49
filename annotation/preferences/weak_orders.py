"""Weak orders: tiers, ranks and the signs of pairs, as plain lists of positions.

A weak order over K things is a list of tiers, best first; the things of one tier are tied. Its steps (one
between neighbouring tiers) carry strengths 0..3. Between tiers further apart the steps add up, to at most 3.
Knows nothing of responses, people or the database.
"""

from collections.abc import Mapping, Sequence

MAX_STRENGTH = 3


def tiers_to_ranks(tiers: Sequence[Sequence[int]]) -> list[int]:
    """[[2], [0, 1]] -> [1, 1, 0]: the tier of each of the things 0..K-1.

    Raises ValueError when the tiers are not a partition of 0..K-1 into non-empty parts.
    """
    places = [(thing, tier) for tier, things in enumerate(tiers) for thing in things]
    if any(not things for things in tiers) or sorted(thing for thing, _ in places) != list(
        range(len(places))
    ):
        raise ValueError(f"not a partition of {len(places)} things into tiers: {list(map(list, tiers))}")
    return [tier for _, tier in sorted(places)]


def ranks_to_tiers(ranks: Sequence[int]) -> list[list[int]]:
    """[1, 1, 0] -> [[2], [0, 1]]. Ranks need not be dense_ranks: [5, 5, 1] means the same."""
    return [[thing for thing, rank in enumerate(ranks) if rank == value] for value in sorted(set(ranks))]


def dense_ranks(ranks: Sequence[int]) -> list[int]:
    order = {value: place for place, value in enumerate(sorted(set(ranks)))}
    return [order[rank] for rank in ranks]


def pair_strength(strengths: Sequence[int], upper: int, lower: int) -> int:
    """The grade of a pair from the steps between its tiers; `upper` is the better tier, upper < lower."""
    return min(MAX_STRENGTH, sum(strengths[upper:lower]))


def compare(a: float, b: float) -> int:
    return (a > b) - (a < b)


def ranks_from_pairs(things: int, signs: Mapping[tuple[int, int], int]) -> list[int] | None:
    """The weak order that all the pairs agree with, as ranks (0 best), or None when there is none.

    `signs[i, j]` with i < j: 1 when i beats j, -1 when j beats i, 0 for a tie; a missing pair means None as
    well: what was never compared has no known place. In a weak order the number of things that beat a thing
    grows strictly from tier to tier and is equal within one; so those counts are the only candidate, and
    checking every pair against them decides.
    """
    beaten_by = [0] * things
    for i in range(things):
        for j in range(i + 1, things):
            if (i, j) not in signs:
                return None
            if signs[i, j] > 0:
                beaten_by[j] += 1
            elif signs[i, j] < 0:
                beaten_by[i] += 1
    for (i, j), value in signs.items():
        if compare(beaten_by[j], beaten_by[i]) != compare(value, 0):
            return None
    return dense_ranks(beaten_by)
