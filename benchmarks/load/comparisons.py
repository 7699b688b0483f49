"""A file of judged pairs to import."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def comparisons(number: int) -> Iterator[dict[str, Any]]:
    """Pairs of answers of about 330 characters, by twenty annotators, each of its own prompt; none is a tie."""
    chance = random.Random(1)
    words = ["".join(chance.choice("abcdefghij") for _ in range(chance.randint(2, 9))) for _ in range(2000)]

    def text(count: int) -> str:
        return " ".join(chance.choices(words, k=count))

    for row in range(number):
        yield {
            "prompt": f"Question {row}: {text(18)}?",
            "chosen": f"{row} yes, {text(50)}.",
            "rejected": f"{row} no, {text(50)}.",
            "strength": row % 4,
            "annotator": f"annotator {row % 20}",
        }


def write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({**row, "prompt": [{"role": "user", "content": row["prompt"]}]}) + "\n")
