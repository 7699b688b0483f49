"""Files to import: generated ones always, the real ones beside them where they are."""

import gzip
import itertools
import json
import os
import random
from pathlib import Path

import pytest

from annotation.importing.actions import import_comparisons
from annotation.models import Batch, Demonstration, Judgment, Prompt, PromptSet, Response, Task
from workspace.models import AuditEvent, User

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


def qa_rows(count):
    """Four answers and labels of their six pairs; every 20th set of labels goes in a circle."""
    for number in range(count):
        ranks = [(number * step) % 3 for step in (1, 2, 3, 4)]
        labels = [
            (ranks[i] > ranks[j]) * 2 + (ranks[i] < ranks[j]) for i, j in itertools.combinations(range(4), 2)
        ]
        circle = [1, 2, 1, 1, 1, 1]
        answers = {f"prediction {place + 1}": f"answer {place} to {number}" for place in range(4)}
        yield {
            "uid": f"qa:{number}",
            "question": f"Q {number}?",
            "preference": circle if number % 20 == 3 else labels,
        } | answers


def graded_rows(count):
    grades = ["a-is-better", "a-is-slightly-better", "tie", "b-is-slightly-better", "b-is-better"]
    for number in range(count):
        yield {
            "prompt": f"P {number}?",
            "completion_a": f"a {number}",
            "completion_b": f"{'ab'[number % 10 != 9]} {number}",
            "preference": grades[number % 5], "evaluator": f"e{number % 7}",
        }  # fmt: skip


# How the rows are read: the format and its column map.
HH = ("hh", {})
QA = (
    "ranked",
    {
        "prompt": ["question"],
        "responses": [f"prediction {n}" for n in (1, 2, 3, 4)],
        "pair_labels": ["preference"],
        "id": ["uid"],
    },
)
GRADED = ("ranked", {"responses": ["completion_a", "completion_b"], "annotator": ["evaluator"]})


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


def write(tmp_path, data, name="rows.jsonl"):
    """A file of these bytes."""
    path = tmp_path / name
    path.write_bytes(data)
    return path


PAIR = {"prompt": "Why?", "chosen": "good", "rejected": "bad"}


def everything():
    """How many rows of each table an import writes to."""
    return [
        model.objects.count()
        for model in (Prompt, Response, Batch, Task, Judgment, Demonstration, PromptSet, User, AuditEvent)
    ]


@pytest.fixture
def bring(project, max_, write_rows):
    def bring(rows, format="trl", name="rows.jsonl", **options):
        path = rows if not isinstance(rows, list) else write_rows(rows, name)
        return import_comparisons(
            actor=max_, project=options.pop("project", project), path=path, format=format, **options
        )

    return bring
