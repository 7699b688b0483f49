"""A training of five tasks, of which a try has four and three have to be right; on, and asked of everybody."""

import pytest

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import GoldJudgment, Judgment
from annotation.qualification.actions import add_practice, change_training, create_training, submit_practice
from annotation.queue.actions import claim_task


@pytest.fixture
def training(max_, ruth, project, criterion, make_batch, key):
    make_batch(tasks=5, name="Source of the training")
    made = create_training(
        actor=max_, project=project, name="Basics", criterion=criterion, items=4, needed=3, max_tries=2
    )
    while held := claim_task(actor=ruth, project=project):
        content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2], rationale="It **helps** more.")
        submit_judgment(actor=ruth, assignment=held, content=content, idempotency_key=key())
    assert add_practice(actor=max_, training=made, judgments=list(Judgment.objects.all())) == 5
    return change_training(actor=max_, training=made, is_on=True)


def known_first(assignment) -> str:
    """The label of the answer that is right."""
    best = GoldJudgment.objects.get(task=assignment.task).tiers[0][0]
    return "A" if assignment.order_shown[0] == best else "B"


@pytest.fixture
def answer(project, key):
    def answer(person, right=True):
        held = claim_task(actor=person, project=project)
        assert held.task.purpose == "practice"
        first = known_first(held)
        first = first if right else {"A": "B", "B": "A"}[first]
        content = JudgmentInput(tiers=[[first], ["B" if first == "A" else "A"]], strengths=[1])
        return submit_practice(actor=person, assignment=held, content=content, idempotency_key=key()).answer

    return answer
