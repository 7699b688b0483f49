import itertools
import random

import pytest

from annotation.datasets.actions import freeze_dataset
from annotation.exporting.actions import export_preferences
from annotation.importing.actions import import_comparisons
from tests.annotation.importing.conftest import (
    GRADED,
    HH,
    QA,
    SHARED_DATA,
    graded_rows,
    hh_rows,
    qa_rows,
    write_rows,  # noqa: F401
)


@pytest.fixture
def bring(project, max_, write_rows):  # noqa: F811
    """Import rows or a file; returns the batch."""

    def bring(rows, format="trl", into=None, **options):
        path = write_rows(rows) if isinstance(rows, list) else rows
        batch, _ = import_comparisons(
            actor=max_, project=into or project, path=path, format=format, **options
        )
        return batch

    return bring


def ranked_rows(count, seed=0):
    """Rankings of 2 to 5 answers with ties and graded steps, by several people."""
    rng = random.Random(seed)
    for number in range(count):
        size = rng.randint(2, 5)
        ranks = [rng.randrange(size) for _ in range(size)]
        yield {
            "prompt": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": f"Question {number}?"},
                {"role": "assistant", "content": "Which one?"},
                {"role": "user", "content": "That one."},
            ]
            if number % 3
            else f"Question {number}?",
            "responses": [
                f"answer {place} to {number}\nwith | signs, “quotes” & 👩‍🍳" for place in range(size)
            ],
            "ranks": ranks,
            "strengths": [rng.randint(0, 3) for _ in range(len(set(ranks)) - 1)],
            "annotator": f"w{number % 4}",
        }


# What to bring in, as (rows or file, format, options): generated always, real files where they are.
SETS = {
    "generated dialogues": (list(hh_rows(120)), *HH[:1], {"skip_bad": True}),
    "generated rankings": (list(ranked_rows(120)), "ranked", {}),
    "generated pair labels": (list(qa_rows(60)), "ranked", {"mapping": QA[1]}),
    "generated grades": (list(graded_rows(60)), "ranked", {"mapping": GRADED[1], "skip_bad": True}),
} | {
    name: (SHARED_DATA / f"{name}.jsonl.gz", *read_as)
    for name, read_as in {
        "hh_rlhf_helpful_base_test": ("hh", {"skip_bad": True}),
        "finegrained_qa_feedback_4way_with_ties": ("ranked", {"mapping": QA[1]}),
        "tulu1_graded_pairs_17_evaluators": ("ranked", {"mapping": GRADED[1], "skip_bad": True}),
    }.items()
    if (SHARED_DATA / f"{name}.jsonl.gz").is_file()
}


@pytest.fixture
def export(max_, tmp_path):
    """Export a dataset into a new folder; returns the folder and its manifest."""
    numbers = itertools.count()

    def export(dataset, **options):
        out = tmp_path / f"out{next(numbers)}"
        return out, export_preferences(actor=max_, dataset=dataset, out=out, **options)

    return export


@pytest.fixture
def dataset(project, max_, bring):
    """Sixty rankings, in all three splits."""
    # A fixed salt: with a random one, sixty prompts miss a split now and then.
    project.split_salt = "a salt of the tests"
    project.save()
    bring(list(ranked_rows(60)), "ranked")
    return freeze_dataset(actor=max_, project=project)
