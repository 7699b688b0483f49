"""A project of which the agreement is known."""

import pytest

from tests.annotation.datasets.conftest import judge_all

FIRST, SECOND, TIE = [[0], [1]], [[1], [0]], [[0, 1]]


@pytest.fixture
def judged(project, max_, make_annotators, make_batch):
    """Six tasks of two people; they are apart on the last two, by far on the last."""
    one, other = make_annotators(2)
    batch = make_batch(tasks=6, overlap=2)
    tasks = list(batch.tasks.order_by("pk"))
    said = [(FIRST, [2]), (SECOND, [1]), (FIRST, [3]), (TIE, []), (FIRST, [1]), (FIRST, [3])]
    against = [*said[:3], (TIE, []), (TIE, []), (SECOND, [3])]
    rows = [(task, one, *answer) for task, answer in zip(tasks, said, strict=True)]
    rows += [(task, other, *answer) for task, answer in zip(tasks, against, strict=True)]
    judge_all(max_, batch, rows)
    return batch, tasks, one, other
