"""Weak orders: tiers, ranks and pairwise outcomes, as plain lists of positions.

A weak order over K items is a list of tiers, best first; the items of one tier are tied. Its steps (one between
neighbouring tiers) carry strengths 0..3, or None where nobody gave one, which is not 0. Between tiers further apart
the given strengths add up, to at most 3. Knows nothing of responses, people or the database.
"""

from collections.abc import Mapping, Sequence

MAX_STRENGTH = 3


def tiers_to_ranks(tiers: Sequence[Sequence[int]]) -> list[int]:
    """[[2], [0, 1]] -> [1, 1, 0]: the tier of each of the items 0..K-1.

    Raises ValueError when the tiers are not a partition of 0..K-1 into non-empty parts.
    """
    item_ranks = [(item, rank) for rank, items in enumerate(tiers) for item in items]
    if any(not items for items in tiers) or sorted(item for item, _ in item_ranks) != list(
        range(len(item_ranks))
    ):
        raise ValueError(f"not a partition of {len(item_ranks)} items into tiers: {list(map(list, tiers))}")
    return [rank for _, rank in sorted(item_ranks)]


def ranks_to_tiers(ranks: Sequence[int]) -> list[list[int]]:
    """[1, 1, 0] -> [[2], [0, 1]]. Ranks need not be dense: [5, 5, 1] means the same."""
    return [[item for item, rank in enumerate(ranks) if rank == value] for value in sorted(set(ranks))]


def dense_ranks(ranks: Sequence[float]) -> list[int]:
    """[5, 5, 1] -> [1, 1, 0]: the same order in ranks 0, 1, 2, ..."""
    dense = {value: index for index, value in enumerate(sorted(set(ranks)))}
    return [dense[rank] for rank in ranks]


def pair_strength(strengths: Sequence[int | None], upper: int, lower: int) -> int | None:
    """The strength of a pair from the steps between its tiers; `upper` is the better tier, upper < lower.

    Only given strengths add up: what was said of one step holds at least as much of the tiers around it, so a pair
    further apart is never weaker than one inside it. None where no step between them has a strength.
    """
    given = [strength for strength in strengths[upper:lower] if strength is not None]
    return min(MAX_STRENGTH, sum(given)) if given else None


def compare(a: float, b: float) -> int:
    """1 when a > b, -1 when a < b, 0 when they are equal."""
    return (a > b) - (a < b)


def ranks_from_pairs(n_items: int, signs: Mapping[tuple[int, int], int]) -> list[int] | None:
    """The weak order that all the pairs agree with, as ranks (0 best), or None when there is none.

    `signs[i, j]` with i < j: 1 when i beats j, -1 when j beats i, 0 for a tie; a missing pair means None as well:
    what was never compared has no known rank. In a weak order the number of items that beat an item grows strictly
    from tier to tier and is equal within one; so those counts are the only candidate, and checking every pair
    against them decides.
    """
    beaten_by = [0] * n_items
    for i in range(n_items):
        for j in range(i + 1, n_items):
            if (i, j) not in signs:
                return None
            if signs[i, j] > 0:
                beaten_by[j] += 1
            elif signs[i, j] < 0:
                beaten_by[i] += 1
    for (i, j), sign in signs.items():
        if compare(beaten_by[j], beaten_by[i]) != compare(sign, 0):
            return None
    return dense_ranks(beaten_by)
