"""Judgments to tell of, and what is said of them."""

import pytest

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from tests.annotation.conftest import key, make_batch  # noqa: F401


@pytest.fixture
def judge(ada, project, key):  # noqa: F811
    """Ada judges her next task; what is not said is that the second answer is better."""

    def submit(**changes):
        assignment = claim_task(actor=ada, project=project)
        content = JudgmentInput(**({"tiers": [["B"], ["A"]], "strengths": [2]} | changes))
        return submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key=key())

    return submit
