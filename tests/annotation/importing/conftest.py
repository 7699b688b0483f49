"""Files to import: generated ones always, the real ones beside them where they are."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest

# Cases with real files are added where the folder is there; the generated ones cover the same ground.
SHARED_DATA = Path(
    os.environ.get("ROUNDTABLE_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")
)

WORDS = "tea pan salt oil knife bread stir boil chop peel spoon oven rice lemon stock".split()


def words(rng, least, most):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(least, most)))


def hh_rows(count, seed=0):
    """Dialogues of one to three turns with two answers; every 50th pair has identical responses."""
    rng = random.Random(seed)
    for number in range(count):
        before = "".join(
            f"\n\nHuman: {words(rng, 2, 8)}?\n\nAssistant: {words(rng, 1, 9)}."
            for _ in range(rng.randint(0, 2))
        )
        before += f"\n\nHuman: {words(rng, 3, 9)} {number}?\n\nAssistant:"
        chosen, rejected = f"{before} A{words(rng, 1, 12)}", f"{before} B{words(rng, 1, 12)}"
        yield {"uid": f"hh:{number}", "chosen": chosen, "rejected": chosen if number % 50 == 7 else rejected}


@pytest.fixture
def write_rows(tmp_path):
    def write(rows, name="rows.jsonl"):
        path = tmp_path / name
        opener = gzip.open if name.endswith(".gz") else open
        with opener(path, "wt", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(row if isinstance(row, str) else json.dumps(row))
                file.write("\n")
        return path

    return write
