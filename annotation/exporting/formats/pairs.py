"""The pairs of a comparison, for the formats that are pairs of responses.

Ties are left out and counted, or written with soft_label 0.5; never turned into a preference. Every pair says how many
pairs, ties and responses its group has: with these a tie that was left out is told from a pair that nobody compared.
"""

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from annotation.exporting.formats.base import MARGINS, NO_MARGINS, ExportOptions
from annotation.exporting.formats.columns import OF_ITS_FILE, TEXT, of_its_file
from annotation.preferences.comparisons import TIE_TOLERANCE
from learning.interface.record_rows import ComparisonRow

PAIR_COLUMNS = [
    pa.field("margin", pa.float64()),
    pa.field("strength", pa.int64()),
    pa.field("weight", pa.float64()),
    pa.field("group_id", TEXT),
    pa.field("pair_index", pa.int64()),
    pa.field("n_pairs_in_group", pa.int64()),
    pa.field("n_ties_in_group", pa.int64()),
    pa.field("n_responses_in_group", pa.int64()),
    pa.field("agreement", pa.float64()),
    pa.field("soft_label", pa.float64()),
    *OF_ITS_FILE,
]
PAIR_LOSSES = {
    "ties_dropped": "tied pairs left out; --ties soft writes them with soft_label 0.5",
    "groups_without_rows": "comparisons of which no pair is written: ties that were left out, or nothing compared",
    "strengths_lost": "pairs with a strength that the columns have no place for",
    "groups_taken_apart": "comparisons of three and more responses whose pairs do not say that they belong together",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses by their places; `share` of those who prefer the chosen, a tie half; `strength` 0..3, mean."""

    chosen: int
    rejected: int
    share: float
    strength: float | None

    @property
    def is_tie(self) -> bool:
        return self.share == 0.5


def compared_pairs(
    row: ComparisonRow, options: ExportOptions, counts: Counter[str]
) -> tuple[list[Pair], dict[str, Any]]:
    """(the pairs to write, the columns that all of them share). In a tie the first response counts as the chosen."""
    pairs: list[Pair] = []
    n_ties = 0
    shares, grades = row["soft_preference"], row["grade"]
    for i, j in itertools.combinations(range(len(row["responses"])), 2):
        share = shares[i][j]
        if share is None:
            counts["pairs_never_compared"] += 1
        elif abs(share - 0.5) < TIE_TOLERANCE:
            n_ties += 1
            counts["ties_written" if options.ties == "soft" else "ties_dropped"] += 1
            if options.ties == "soft":
                pairs.append(Pair(i, j, 0.5, 0.0))
        else:
            pairs.append(
                Pair(i, j, share, grades[i][j]) if share > 0.5 else Pair(j, i, 1 - share, grades[j][i])
            )
    if not pairs:
        counts["groups_without_rows"] += 1
    elif not options.all_columns and len(row["responses"]) > 2:
        counts["groups_taken_apart"] += 1
    return pairs, {
        "weight": row["weight"],
        "group_id": row["group_id"],
        "n_pairs_in_group": len(pairs),
        "n_ties_in_group": n_ties,
        "n_responses_in_group": len(row["responses"]),
        "agreement": row["agreement"],
        **of_its_file(row),
    }


def pair_columns(pair: Pair, index: int, options: ExportOptions, counts: Counter[str]) -> dict[str, Any]:
    """What is said of one pair; the columns of its group are those of `compared_pairs`."""
    margin = _margin(pair.strength, options.margin)
    counts["pairs_without_strength"] += pair.strength is None
    counts["pairs_without_margin"] += margin is None
    return {
        "margin": margin,
        "strength": None if pair.strength is None else int(pair.strength + 0.5),
        "pair_index": index,
        "soft_label": pair.share,
    }


def _margin(strength: float | None, scale: str) -> float | None:
    """Null where nobody gave a strength; 0 for all pairs where the caller wants no margins."""
    if strength is None:
        return 0.0 if scale == NO_MARGINS else None
    return MARGINS[scale](strength)
