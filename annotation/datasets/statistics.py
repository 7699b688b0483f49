"""What is in a dataset, counted from its files: judgments, pairs, ties, people, lengths, agreement, sources.

Only judgments that count are counted further (as annotation.preferences.comparisons has them): current, not withdrawn,
not surplus, of two responses or more. A group is a task as judged by one kind of annotators; unlike in a consensus, the
pairs that an import brought as parts of one question are groups of their own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from annotation.datasets.files import verified_files
from annotation.datasets.pair_arrays import NOT_SAID, Array, JudgedPairs, judged_pairs
from annotation.models import PreferenceDataset

# Raised when a figure is added or means something else: what was remembered is counted anew.
STATISTICS_VERSION = 1
ROWS_AT_ONCE = 20_000
LONGEST_COUNTED = 20_000  # characters; longer answers are counted as so long for the median
LENGTH_STEPS = (0, 100, 250, 500, 1_000, 2_000, 4_000)  # characters
AGREEMENT_STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # the last: all agree
LISTED = 200  # sources and batches named one by one

_RESPONSE_FIELDS = ("response_id", "text", "source", "policy")
_COLUMNS = [
    *("is_current", "withdrawn", "surplus", "batch", "round", "criterion", "purpose", "task_id"),
    *(f"responses.list.element.{name}" for name in _RESPONSE_FIELDS),
    *("tiers", "strengths", "annotator", "annotator_kind", "split", "created_at"),
]


def dataset_statistics(dataset: PreferenceDataset) -> dict[str, Any]:
    """The figures as JSON. Memory does not grow with the dataset, but for one number an annotator, batch, source and
    day. Raises DatasetDamaged.
    """
    tally = _Tally()
    for table in _whole_tasks(verified_files(dataset)):
        tally.add(table)
    return tally.result()


def _whole_tasks(files: Iterator[Path]) -> Iterator[pa.Table]:
    """The columns in parts that never cut a task in two."""
    rest: pa.Table | None = None
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=_COLUMNS):
                table = pa.Table.from_batches([batch])
                if rest is not None:
                    table = pa.concat_tables([rest, table])
                tasks = table["task_id"]
                in_last = pc.equal(tasks, tasks[-1]).combine_chunks().to_numpy(zero_copy_only=False)
                others = np.flatnonzero(~in_last)
                cut = int(others[-1]) + 1 if len(others) else 0
                rest = table.slice(cut)
                if cut:
                    yield table.slice(0, cut)
    if rest is not None:
        yield rest


class _Tally:
    """Sums over parts of a dataset."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.by: dict[str, Counter[str]] = defaultdict(Counter)
        self.rounds: dict[str, int | None] = {}
        self.annotators: Counter[tuple[str, str]] = Counter()
        self.grades: Array = np.zeros(5, dtype=int)  # not said, 0, 1, 2, 3
        self.characters: Array = np.zeros(LONGEST_COUNTED + 1, dtype=int)
        self.agreement: Array = np.zeros(len(AGREEMENT_STEPS), dtype=int)
        self.agreement_sum = 0.0
        self.sources: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add(self, table: pa.Table) -> None:
        current = pc.and_not(table["is_current"], table["withdrawn"])
        self.counts["judgments"] += table.num_rows
        self.counts["superseded"] += _count(pc.invert(table["is_current"]))
        self.counts["withdrawn"] += _count(pc.and_(table["is_current"], table["withdrawn"]))
        self.counts["surplus"] += _count(pc.and_(current, table["surplus"]))
        has_pair = pc.greater(pc.list_value_length(table["responses"]), 1)
        counted = table.filter(pc.and_(pc.and_not(current, table["surplus"]), has_pair))
        if not counted.num_rows:
            return
        self.counts["counted"] += counted.num_rows
        for name in ("split", "criterion", "purpose", "annotator_kind", "batch"):
            self.by[name].update(_value_counts(counted[name]))
        self.by["day"].update(_value_counts(pc.utf8_slice_codeunits(counted["created_at"], 0, 10)))
        for batch, round_number in zip(
            *(counted[name].to_pylist() for name in ("batch", "round")), strict=True
        ):
            self.rounds[batch] = round_number
        pairs_of = counted.group_by(["annotator", "annotator_kind"]).aggregate([([], "count_all")])
        for row in pairs_of.to_pylist():
            self.annotators[row["annotator"], row["annotator_kind"]] += row["count_all"]
        groups = _codes(counted["task_id"]) * 10 + _codes(counted["annotator_kind"])
        firsts = np.zeros(counted.num_rows, dtype=bool)
        firsts[np.unique(groups, return_index=True)[1]] = True
        splits = np.array(counted["split"].to_pylist())
        self.counts["groups"] += int(firsts.sum())
        for split, number in Counter(splits[firsts].tolist()).items():
            self.by["groups_by_split"][split] += number
        first_of_task = np.zeros(counted.num_rows, dtype=bool)
        first_of_task[np.unique(_codes(counted["task_id"]), return_index=True)[1]] = True
        for judged in judged_pairs(counted):
            self._add_pairs(judged, splits, groups)
            lengths = judged.characters_MK[first_of_task[judged.rows_M]].ravel()
            self.characters += np.bincount(
                np.minimum(lengths, LONGEST_COUNTED), minlength=LONGEST_COUNTED + 1
            )
            self.counts["answers"] += len(lengths)
            self.counts["characters"] += int(lengths.sum())

    def _add_pairs(self, judged: JudgedPairs, splits: Array, groups: Array) -> None:
        _, group_M = np.unique(groups[judged.rows_M], return_inverse=True)
        same = np.zeros(group_M.max() + 1)
        compared = np.zeros_like(same)
        for i, j, sign, strength in judged.pairs():
            decided = sign != 0
            self.counts["pairs"] += len(sign)
            self.counts["ties"] += int((~decided).sum())
            self.grades += np.bincount(strength[decided] - NOT_SAID, minlength=len(self.grades))
            for split, number in Counter(splits[judged.rows_M].tolist()).items():
                self.by["pairs_by_split"][split] += number
            longer = judged.characters_MK[:, i] - judged.characters_MK[:, j]
            of_two_lengths = decided & (longer != 0)
            self.counts["pairs_of_two_lengths"] += int(of_two_lengths.sum())
            self.counts["longer_preferred"] += int((of_two_lengths & ((longer > 0) == (sign > 0))).sum())
            self._add_sources(judged, i, j, sign)
            votes = np.array([np.bincount(group_M, sign == value, len(same)) for value in (-1, 0, 1)])
            same += (votes * (votes - 1) / 2).sum(axis=0)
            compared += votes.sum(axis=0) * (votes.sum(axis=0) - 1) / 2
        shares = same[compared > 0] / compared[compared > 0]
        places = np.searchsorted(AGREEMENT_STEPS, shares + 1e-12, side="right") - 1
        self.agreement += np.bincount(places, minlength=len(AGREEMENT_STEPS))
        self.agreement_sum += float(shares.sum())

    def _add_sources(self, judged: JudgedPairs, i: int, j: int, sign: Array) -> None:
        """How each source fared against the others."""
        one, other = judged.source_MK[:, i], judged.source_MK[:, j]
        differ = one != other
        number = len(judged.sources)
        for place, outcome in ((one, sign), (other, -sign)):
            for name, value in (("wins", 1), ("ties", 0), ("losses", -1)):
                found = np.bincount(place[differ & (outcome == value)], minlength=number)
                for at in np.flatnonzero(found).tolist():
                    self.sources[judged.sources[at]][name] += int(found[at])
            for at, shown in enumerate(np.bincount(place, minlength=number).tolist()):
                self.sources[judged.sources[at]]["pairs"] += int(shown)

    def result(self) -> dict[str, Any]:
        names = ("judgments", "counted", "superseded", "withdrawn", "surplus", "groups", "pairs", "ties")
        kinds: Counter[str] = Counter(kind for _, kind in self.annotators)
        work = np.array(sorted(self.annotators.values()) or [0])
        answers, groups = self.counts["answers"], int(self.agreement.sum())
        bounds = [*LENGTH_STEPS, LONGEST_COUNTED + 1]
        return {
            "statistics_version": STATISTICS_VERSION,
            "counts": {name: self.counts[name] for name in names} | {"annotators": len(self.annotators)},
            "splits": {
                split: {
                    "judgments": number,
                    "groups": self.by["groups_by_split"][split],
                    "pairs": self.by["pairs_by_split"][split],
                }
                for split, number in sorted(self.by["split"].items())
            },
            "criteria": dict(sorted(self.by["criterion"].items())),
            "purposes": dict(sorted(self.by["purpose"].items())),
            "annotator_kinds": {
                kind: {"judgments": number, "annotators": kinds[kind]}
                for kind, number in sorted(self.by["annotator_kind"].items())
            },
            "judgments_per_annotator": {
                "least": int(work[0]),
                "median": float(np.median(work)),
                "most": int(work[-1]),
            },
            "days": dict(sorted(self.by["day"].items())),
            "batches": [
                {"batch": name, "round": self.rounds[name], "judgments": number}
                for name, number in self.by["batch"].most_common(LISTED)
            ],
            "grades": dict(zip(("not_said", "0", "1", "2", "3"), self.grades.tolist(), strict=True)),
            "characters": {
                "answers": answers,
                "mean": self.counts["characters"] / answers if answers else None,
                "median": _median(self.characters),
                "from": {
                    str(low): int(self.characters[low:high].sum())
                    for low, high in zip(bounds, bounds[1:], strict=False)
                },
                "pairs_of_two_lengths": self.counts["pairs_of_two_lengths"],
                "longer_preferred": self.counts["longer_preferred"],
            },
            "agreement": {
                "groups": groups,
                "mean": self.agreement_sum / groups if groups else None,
                "from": {
                    str(low): int(number) for low, number in zip(AGREEMENT_STEPS, self.agreement, strict=True)
                },
            },
            "sources": [
                {"source": kind, "policy": policy or None}
                | {name: found[name] for name in ("pairs", "wins", "ties", "losses")}
                for (kind, policy), found in sorted(
                    self.sources.items(), key=lambda item: (-item[1]["pairs"], item[0])
                )[:LISTED]
            ],
        }


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _value_counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(column).to_pylist()}


def _codes(column: pa.ChunkedArray) -> Array:
    """A number for each value of this column."""
    return column.combine_chunks().dictionary_encode().indices.to_numpy()


def _median(histogram: Array) -> float | None:
    """Of the numbers 0, 1, ... that occur so often; the mean of the two in the middle where their number is even."""
    total = int(histogram.sum())
    if not total:
        return None
    upto = np.cumsum(histogram)
    low, high = (int(np.searchsorted(upto, place, side="right")) for place in ((total - 1) // 2, total // 2))
    return (low + high) / 2
