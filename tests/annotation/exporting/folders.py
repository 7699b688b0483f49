"""What is in the folder of an export, and what comparisons mean."""

import json
from collections import Counter

import pyarrow.parquet as pq


def rows_of(out):
    for path in sorted((out / "data").iterdir()):
        if path.suffix == ".parquet":
            yield from pq.read_table(path).to_pylist()
        else:
            yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def bytes_of(out):
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def meaning(rows):
    """Comparisons without what an installation calls them: prompt, answers and what is said of each pair."""
    found = Counter()
    for row in rows:
        order = sorted(range(len(row["responses"])), key=lambda place, row=row: row["responses"][place])
        found[
            json.dumps(
                [
                    row["prompt"],
                    [row["responses"][i] for i in order],
                    [[row["grade"][i][j] for j in order] for i in order],
                    [[row["soft_preference"][i][j] for j in order] for i in order],
                    row["ranks"] and [row["ranks"][i] for i in order],
                ]
            )
        ] += 1
    return found
