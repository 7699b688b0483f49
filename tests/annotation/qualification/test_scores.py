from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.judging.gold import set_gold_judgment
from annotation.models import Assignment
from annotation.qualification.scores import own_score

pytestmark = [pytest.mark.db, pytest.mark.django_db]
# A Wednesday; the week began on Monday the 23rd.
NOW = datetime(2026, 11, 25, 12, tzinfo=ZoneInfo("Europe/Berlin"))
MONDAY = datetime(2026, 11, 23, tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_score_is_of_whole_twenties_before_this_weeks_monday(max_, ada, project, make_batch, client):
    type(project).objects.filter(pk=project.pk).update(time_zone="Europe/Berlin")
    project.refresh_from_db()
    batch = make_batch(tasks=45, task_fields=lambda n: {"purpose": "gold"})
    tasks = list(batch.tasks.order_by("pk"))
    rows = []
    for place, task in enumerate(tasks):
        first, second = task.task_responses.values_list("response_id", flat=True)
        set_gold_judgment(actor=max_, task=task, tiers=[[first], [second]], strengths=[2])
        # Wrong: the third of every five.
        tiers = [[second], [first]] if place % 5 == 2 else [[first], [second]]
        rows.append(
            NewJudgment(
                task=task, annotator=ada, tiers=tiers, strengths=[1], idempotency_key=f"gold-item-{place}",
                created_at=MONDAY - timedelta(hours=45 - place),
            )
        )  # fmt: skip

    def judge(start, end):
        for judgment in add_judgments(actor=ada, batch=batch, rows=rows[start:end]):
            Assignment.objects.filter(pk=judgment.assignment_id).update(submitted_at=judgment.created_at)

    judge(0, 19)
    assert own_score(ada, project, NOW) is None
    judge(19, 39)
    score = own_score(ada, project, NOW)
    assert (score.right, score.items, score.percent) == (16, 20, 80)
    judge(39, 45)
    assert own_score(ada, project, NOW).items == 40
    # What came since Monday waits for the next.
    Assignment.objects.filter(annotator=ada).order_by("-pk").first()
    late = Assignment.objects.filter(annotator=ada).order_by("-pk")[:6]
    Assignment.objects.filter(pk__in=[one.pk for one in late]).update(
        submitted_at=MONDAY + timedelta(minutes=1)
    )
    assert own_score(ada, project, NOW).items == 20
    assert own_score(ada, project, NOW + timedelta(days=7)).items == 40
    client.force_login(ada)
    page = client.get(reverse("annotation:own_score", args=[project.slug]))
    assert page.status_code == 200
