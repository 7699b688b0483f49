"""Whatever order a person makes, the stored tiers are those they sent: a property through the action."""

import pytest
from hypothesis import HealthCheck, given, settings

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.preferences.scale import labels_to_responses
from annotation.queue.actions import claim_task
from tests.annotation.preferences.strategies import weak_orders

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=weak_orders())
def test_the_stored_tiers_are_those_on_the_screen(ada, project, make_batch, key, order):
    items, tiers, strengths = order
    batch = make_batch(tasks=1, responses_per_task=len(items))
    assignment = claim_task(actor=ada, project=project, batch=batch)
    judgment = submit_judgment(
        actor=ada,
        assignment=assignment,
        content=JudgmentInput(tiers=tiers, strengths=strengths),
        idempotency_key=key(),
    )
    judgment.refresh_from_db()
    key_of = labels_to_responses(assignment.order_shown)
    assert judgment.tiers == [[key_of[handle] for handle in tier] for tier in tiers]
    assert judgment.strengths == strengths
