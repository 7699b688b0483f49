"""With everything that decides who gets what in use, a request of the work page costs no statement more."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation.assigning.acknowledging import acknowledge_guideline, publish_to_acknowledge
from annotation.assigning.actions import set_batch_audience, set_daily_limit, set_member_work
from annotation.models import Assignment, Prompt, Response
from annotation.rendering.html_cache import message_fragment, response_fragment, show
from tests.annotation.annotator.test_one_request import answer, post, statements

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_next_and_submit_stay_at_eight_statements(client, ada, max_, project, make_batch, key):
    client.force_login(ada)
    batch = make_batch(tasks=8)
    member = project.memberships.get(user=ada)
    tags = {"groups": ["experts"], "skills": ["german"], "daily_limit": 40}
    set_member_work(actor=max_, project=project, membership=member, **tags)
    set_daily_limit(actor=max_, project=project, daily_limit=50)
    set_batch_audience(actor=max_, batch=batch, groups=["experts"], skills=["german"], person_quota=6)
    new = publish_to_acknowledge(actor=max_, project=project, text="Be kind.", must_acknowledge=True)
    acknowledge_guideline(actor=ada, project=project, version=new.version)
    show([message_fragment(message) for prompt in Prompt.objects.all() for message in prompt.messages])
    show([response_fragment(response.answer) for response in Response.objects.all()])
    cache.clear()
    post(client, project, "next_task")  # the guideline's text is read once a process
    first = Assignment.objects.get()
    for name, body, kwargs in (
        ("next_task", {"after_assignment": str(first.public_id)}, {}),
        ("submit", answer(key(), guideline_version=new.version), {"public_id": first.public_id}),
    ):
        with CaptureQueriesContext(connection) as captured:
            response = post(client, project, name, body, **kwargs)
        assert response.status_code in (200, 201), response.content
        assert len(statements(captured)) <= 8
