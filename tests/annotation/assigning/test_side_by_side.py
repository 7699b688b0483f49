"""One person in several tabs at once: never more than a day or their share of a batch allows."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from annotation.assigning.actions import set_batch_audience, set_daily_limit
from annotation.errors import DailyLimitReached
from annotation.judging.actions import submit_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, DayCount, Judgment
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]
TABS = 4


@pytest.mark.parametrize("limit", ["day", "batch"])
def test_tabs_side_by_side_do_not_pass_a_limit(ada, max_, project, make_batch, limit):
    batch = make_batch(tasks=30)
    if limit == "day":
        set_daily_limit(actor=max_, project=project, daily_limit=7)
    else:
        set_batch_audience(actor=max_, batch=batch, person_quota=7)

    def work(_tab):
        """Each tab prefetches the task after the one on its screen, and submits both."""
        try:
            while True:
                first = claim_task(actor=ada, project=project)
                if first is None:
                    return
                held = [first]
                try:
                    if second := claim_task(actor=ada, project=project, after=first):
                        held.append(second)
                except DailyLimitReached:
                    pass
                for assignment in held:
                    submit(assignment)
        except DailyLimitReached:
            return
        finally:
            connections.close_all()

    def submit(assignment):
        # Another tab may have had the same task and submitted it.
        current = Assignment.objects.select_related("task__batch__project").get(pk=assignment.pk)
        if current.state == Assignment.State.LEASED:
            key = uuid.uuid5(uuid.NAMESPACE_OID, str(current.pk)).hex
            content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
            submit_judgment(actor=ada, assignment=current, content=content, idempotency_key=key)

    with ThreadPoolExecutor(TABS) as tabs:
        list(tabs.map(work, range(TABS)))
    assert Judgment.objects.filter(annotator=ada).count() == 7
    assert DayCount.objects.get(annotator=ada).judged == 7
    assert find_counter_drift() == []
