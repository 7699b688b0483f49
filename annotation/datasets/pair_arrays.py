"""Judgments of a Parquet table as arrays of pairs: what counts in a million rows must not pass Python one by one.

Suffixes: M judgments of the same number K of responses.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.preferences.weak_orders import MAX_STRENGTH

Array = Any  # numpy's own types say no more of the shape
NOT_SAID = -1
# Between the two halves of a source's name; no name has it.
SEPARATOR = "\x1f"


@dataclass(frozen=True)
class JudgedPairs:
    """The judgments with K responses each.

    rows_M: their places in the table. rank_MK: 0 best, equal = tie. characters_MK, source_MK: of each response; sources
    as places in `sources`, (kind, policy or "") each.
    """

    rows_M: Array
    rank_MK: Array
    characters_MK: Array
    source_MK: Array
    sources: list[tuple[str, str]]
    _given_MK: Array  # strengths up to a tier, summed
    _count_MK: Array  # how many of them were given

    def pairs(self) -> Iterator[tuple[int, int, Array, Array]]:
        """(i, j, sign_M, strength_M) of every pair of places: sign 1 where i is better, 0 for a tie, -1 where j is;
        strength 0..3 of the decided pairs, NOT_SAID where nobody gave one (as weak_orders.pair_strength).
        """
        judgments = np.arange(len(self.rows_M))
        for i, j in itertools.combinations(range(self.rank_MK.shape[1]), 2):
            upper = np.minimum(self.rank_MK[:, i], self.rank_MK[:, j])
            lower = np.maximum(self.rank_MK[:, i], self.rank_MK[:, j])
            total = self._given_MK[judgments, lower] - self._given_MK[judgments, upper]
            given = self._count_MK[judgments, lower] - self._count_MK[judgments, upper]
            strength = np.where(given > 0, np.minimum(MAX_STRENGTH, total), NOT_SAID)
            yield i, j, np.sign(self.rank_MK[:, j] - self.rank_MK[:, i]), strength


def judged_pairs(table: pa.Table) -> Iterator[JudgedPairs]:
    """One for each number of responses. The table has the columns responses (response_id, text, source, policy), tiers
    and strengths of JUDGMENTS.
    """
    if not table.num_rows:
        return
    responses, tiers, strengths = (
        table[name].combine_chunks() for name in ("responses", "tiers", "strengths")
    )
    size = pc.list_value_length(responses).to_numpy()
    first = np.cumsum(size) - size
    flat = responses.flatten()
    ids = pc.struct_field(flat, "response_id")
    rank = _ranks(ids, size, tiers)
    characters = pc.utf8_length(pc.struct_field(flat, "text")).to_numpy()
    names = pc.binary_join_element_wise(
        pc.struct_field(flat, "source"), pc.fill_null(pc.struct_field(flat, "policy"), ""), SEPARATOR
    ).dictionary_encode()
    sources = [tuple(name.split(SEPARATOR, 1)) for name in names.dictionary.to_pylist()]
    source = names.indices.to_numpy()
    step_row, step_place = _places(pc.list_value_length(strengths).to_numpy())
    steps = strengths.flatten()
    was_given = pc.is_valid(steps).to_numpy(zero_copy_only=False)
    step_value = pc.fill_null(steps, 0).to_numpy()
    for k in np.unique(size):
        rows = np.flatnonzero(size == k)
        place_of_row = np.full(len(size), -1)
        place_of_row[rows] = np.arange(len(rows))
        values, counts = np.zeros((len(rows), k)), np.zeros((len(rows), k))
        mine = place_of_row[step_row] >= 0
        at = place_of_row[step_row[mine]], step_place[mine] + 1
        values[at], counts[at] = step_value[mine], was_given[mine]
        grid = first[rows][:, None] + np.arange(k)
        yield JudgedPairs(
            rows_M=rows,
            rank_MK=rank[grid],
            characters_MK=characters[grid],
            source_MK=source[grid],
            sources=sources,
            _given_MK=values.cumsum(axis=1).astype(int),
            _count_MK=counts.cumsum(axis=1).astype(int),
        )


def _ranks(ids: pa.Array, size: Array, tiers: pa.Array) -> Array:
    """The tier of each response, in the order of `ids`: tiers name the same responses of a row in another order."""
    tier_row, tier_place = _places(pc.list_value_length(tiers).to_numpy())
    inner = tiers.flatten()
    width = pc.list_value_length(inner).to_numpy()
    known = pc.unique(ids)
    row_of_id = np.repeat(np.arange(len(size)), size)
    by_id = np.lexsort((pc.index_in(ids, known).to_numpy(), row_of_id))
    by_tier = np.lexsort((pc.index_in(inner.flatten(), known).to_numpy(), np.repeat(tier_row, width)))
    rank = np.empty(len(ids), dtype=int)
    rank[by_id] = np.repeat(tier_place, width)[by_tier]
    return rank


def _places(lengths: Array) -> tuple[Array, Array]:
    """For each element of lists of these lengths: which list it is in, and at which place."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
