"""Who gets what: audiences, skills, quotas and days, by the claims themselves."""

from datetime import UTC, datetime
from itertools import product

import pytest
from django.utils import timezone

from annotation.assigning.acknowledging import publish_to_acknowledge
from annotation.assigning.actions import (
    batch_audience,
    clean_names,
    member_work,
    set_batch_audience,
    set_daily_limit,
    set_member_work,
)
from annotation.errors import AcknowledgementNeeded, BatchNotOpen, DailyLimitReached, InvalidAssigning
from annotation.judging.actions import submit_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, DayCount, Task
from annotation.queue.actions import claim_task, skip_task, undo_skip
from annotation.queue.counters import find_counter_drift
from workspace.models import AuditEvent, Membership
from workspace.shown_values import ChangedMeanwhile, digest_of

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judge(key):
    def submit(person, assignment):
        content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
        submit_judgment(actor=person, assignment=assignment, content=content, idempotency_key=key())

    return submit


def membership_of(project, user):
    return Membership.objects.get(project=project, user=user)


def tag(max_, project, user, **names):
    return set_member_work(actor=max_, project=project, membership=membership_of(project, user), **names)


def has_work(user, project):
    claimed = claim_task(actor=user, project=project)
    if claimed is not None:
        Assignment.objects.filter(pk=claimed.pk).delete()
        Task.objects.filter(pk=claimed.task_id).update(open_slots=claimed.task.required_judgments)
    return claimed is not None


def test_named_people_and_groups_are_the_audience_and_nobody_else(ada, ruth, max_, project, make_batch):
    batch = make_batch(tasks=3)
    assert has_work(ada, project) and has_work(ruth, project)
    set_batch_audience(actor=max_, batch=batch, people=["ruth"])
    assert not has_work(ada, project) and has_work(ruth, project)
    tag(max_, project, ada, groups=["Experts"])
    set_batch_audience(actor=max_, batch=batch, groups=["experts"])
    assert has_work(ada, project) and has_work(ruth, project)  # a group comes beside the named people
    set_batch_audience(actor=max_, batch=batch, people=[])
    assert has_work(ada, project) and not has_work(ruth, project)
    tag(max_, project, ada, groups=[])
    assert not has_work(ada, project)
    set_batch_audience(actor=max_, batch=batch, groups=[])
    assert has_work(ada, project) and has_work(ruth, project)
    assert find_counter_drift() == []


def test_any_or_all_of_the_skills_as_sets_say(ada, ruth, max_, project, make_batch):
    batch = make_batch(tasks=2)
    tag(max_, project, ruth, skills=["german", "python"])
    asked_for = [[], ["german"], ["german", "python"]]
    for own, asked, rule in product(asked_for, asked_for, ["any", "all"]):
        tag(max_, project, ada, skills=own)
        set_batch_audience(actor=max_, batch=batch, skills=asked, skills_asked=rule)
        met = set(asked) & set(own)
        right = not asked or (bool(met) if rule == "any" else met == set(asked))
        assert has_work(ada, project) == right, (own, asked, rule)


def test_a_task_of_ones_own_and_what_is_on_the_screen_stay(ada, ruth, max_, project, make_batch):
    batch = make_batch(tasks=3)
    held = claim_task(actor=ada, project=project)
    Task.objects.filter(batch=batch).exclude(pk=held.task_id).update(reserved_for=ada)
    set_batch_audience(actor=max_, batch=batch, people=["ruth"])
    assert claim_task(actor=ada, project=project) == held
    assert claim_task(actor=ada, project=project, after=held) is not None  # reserved for her


def test_a_persons_share_of_a_batch_counts_what_they_hold(ada, ruth, max_, project, make_batch, judge):
    batch = make_batch(tasks=5)
    set_batch_audience(actor=max_, batch=batch, person_quota=2)
    judge(ada, claim_task(actor=ada, project=project))
    second = claim_task(actor=ada, project=project)
    assert second is not None and claim_task(actor=ada, project=project, after=second) is None
    judge(ada, second)
    assert claim_task(actor=ada, project=project) is None
    assert claim_task(actor=ruth, project=project) is not None
    set_batch_audience(actor=max_, batch=batch, person_quota=3)
    assert claim_task(actor=ada, project=project) is not None
    assert find_counter_drift() == []


def test_a_day_ends_at_the_limit_and_begins_again_in_the_projects_time_zone(
    ada, ruth, max_, project, make_batch, judge, monkeypatch
):
    type(project).objects.filter(pk=project.pk).update(time_zone="Europe/Berlin")
    project.refresh_from_db()
    make_batch(tasks=8)
    now = [datetime(2026, 11, 29, 22, 30, tzinfo=UTC)]  # 23:30 in Berlin
    monkeypatch.setattr(timezone, "now", lambda: now[0])
    set_daily_limit(actor=max_, project=project, daily_limit=2)
    judge(ada, claim_task(actor=ada, project=project))
    second = claim_task(actor=ada, project=project)
    with pytest.raises(DailyLimitReached, match="are done or open; more tomorrow"):
        claim_task(actor=ada, project=project, after=second)
    judge(ada, second)
    with pytest.raises(DailyLimitReached) as refused:
        claim_task(actor=ada, project=project)
    said = "You have done today's 2 tasks; more tomorrow from 00:00 (Europe/Berlin)."
    assert refused.value.message == said
    assert claim_task(actor=ruth, project=project) is not None  # everybody has a count of their own
    now[0] = datetime(2026, 11, 29, 23, 0, tzinfo=UTC)  # midnight there
    assert claim_task(actor=ada, project=project) is not None
    days = DayCount.objects.filter(annotator=ada).values_list("day", "judged")
    assert [(str(day), judged) for day, judged in days] == [("2026-11-29", 2)]


def test_a_skipped_task_comes_back_only_to_who_may_have_a_new_one(ada, max_, project, make_batch, judge):
    batch = make_batch(tasks=4)
    set_daily_limit(actor=max_, project=project, daily_limit=2)
    judge(ada, claim_task(actor=ada, project=project))
    skipped = claim_task(actor=ada, project=project)
    skip_task(actor=ada, assignment=skipped)
    other = claim_task(actor=ada, project=project)  # in its place
    with pytest.raises(DailyLimitReached, match="are done or open"):
        undo_skip(actor=ada, assignment=skipped)
    skip_task(actor=ada, assignment=other)
    assert undo_skip(actor=ada, assignment=skipped).state == "leased"
    skip_task(actor=ada, assignment=skipped)
    tag(max_, project, max_, skills=["german"])
    set_batch_audience(actor=max_, batch=batch, skills=["german"])
    with pytest.raises(BatchNotOpen, match="for other people"):
        undo_skip(actor=ada, assignment=skipped)
    # What is theirs by name stays theirs.
    Task.objects.filter(pk=skipped.task_id).update(reserved_for=ada)
    skipped.refresh_from_db()
    assert undo_skip(actor=ada, assignment=skipped).state == "leased"
    skip_task(actor=ada, assignment=skipped)
    publish_to_acknowledge(actor=max_, project=project, text="Be kind.", must_acknowledge=True)
    with pytest.raises(AcknowledgementNeeded):
        undo_skip(actor=ada, assignment=skipped)
    assert find_counter_drift() == []


def test_a_members_own_limit_comes_before_the_projects(ada, max_, project, make_batch, judge):
    make_batch(tasks=4)
    set_daily_limit(actor=max_, project=project, daily_limit=1)
    tag(max_, project, ada, daily_limit=2)
    judge(ada, claim_task(actor=ada, project=project))
    judge(ada, claim_task(actor=ada, project=project))
    with pytest.raises(DailyLimitReached):
        claim_task(actor=ada, project=project)
    tag(max_, project, ada, daily_limit=0)
    with pytest.raises(DailyLimitReached, match="today's one task;"):
        claim_task(actor=ada, project=project)
    set_daily_limit(actor=max_, project=project, daily_limit=0)
    assert claim_task(actor=ada, project=project) is not None


def test_names_are_one_whatever_their_case_and_refused_where_nobody_has_them(ada, max_, project, make_batch):
    assert clean_names([" Deep  Learning", "deep learning", ""], "skill") == ["deep learning"]
    with pytest.raises(InvalidAssigning, match="no comma"):
        clean_names(["a,b"], "group")
    batch = make_batch(tasks=1)
    before = batch_audience(batch)
    with pytest.raises(InvalidAssigning, match="No member has the group “expert”"):
        set_batch_audience(actor=max_, batch=batch, groups=["expert"])
    with pytest.raises(InvalidAssigning, match="olga: not on the project"):
        set_batch_audience(actor=max_, batch=batch, people=["ada", "olga"])
    with pytest.raises(InvalidAssigning):
        set_batch_audience(actor=max_, batch=batch, person_quota=-1)
    assert batch_audience(batch) == before


def test_one_audit_row_a_change_and_none_where_nothing_changes(ada, max_, project, make_batch):
    batch = make_batch(tasks=1)
    rows = AuditEvent.objects.filter(action__in=["membership.set_work", "batch.set_audience"])
    for _ in range(2):
        tag(max_, project, ada, groups=["a"], skills=["b"], daily_limit=9)
        set_batch_audience(actor=max_, batch=batch, people=["ada"], priority=4)
    assert rows.count() == 2


def test_two_managers_do_not_overwrite_each_other(ada, ruth, max_, project, make_batch):
    membership, batch = membership_of(project, ada), make_batch(tasks=1)
    seen, seen_batch = digest_of(member_work(membership)), digest_of(batch_audience(batch))
    tag(max_, project, ada, groups=["a"])
    set_batch_audience(actor=max_, batch=batch, people=["ada"])
    with pytest.raises(ChangedMeanwhile):
        tag(max_, project, ada, groups=["b"], shown={seen})
    with pytest.raises(ChangedMeanwhile):
        set_batch_audience(actor=max_, batch=batch, people=["ruth"], shown={seen_batch})
    assert member_work(membership)["groups"] == ["a"]
    assert batch_audience(batch)["people"] == ["ada"]
