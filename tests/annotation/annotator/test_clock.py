"""The clock of the work page: what counts as active, the pause, and what somebody reads of their day and week."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from annotation.annotator import progress
from annotation.annotator.progress import duration_words, time_worked
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment
from annotation.models import Assignment, Judgment
from annotation.queue.actions import claim_task
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until
from tests.axe import axe
from workspace.models import Project

# A Wednesday, in Tokyo already Thursday the 26th, 5 in the morning.
NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)


@pytest.mark.db
@pytest.mark.django_db
def test_today_and_this_week_are_those_of_the_projects_time_zone(
    project, ada, ruth, make_batch, key, monkeypatch
):
    make_batch(tasks=6, overlap=2)
    monkeypatch.setattr(progress.timezone, "now", lambda: NOW)

    def judge(person, seconds, hours_before, act=submit_judgment, assignment=None):
        default = Judgment._meta.get_field("created_at")
        assignment = assignment or claim_task(actor=person, project=project)
        with monkeypatch.context() as patched:
            patched.setattr(default, "default", lambda: NOW - timedelta(hours=hours_before))
            default.__dict__.pop("_get_default", None)
            content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2], seconds=seconds)
            act(actor=person, assignment=assignment, content=content, idempotency_key=key())
        default.__dict__.pop("_get_default", None)
        return assignment

    first = judge(ada, 100, 4)  # 16 o'clock on Wednesday; in Tokyo 1 o'clock on Thursday
    judge(ada, 10, 6)  # 14 o'clock; in Tokyo 23 o'clock on Wednesday
    judge(ada, 1, 24 * 3)  # Sunday, 20 o'clock; in Tokyo Monday, 5 o'clock
    judge(ada, 5000, 24 * 8)
    judge(ruth, 7000, 1)
    # The time of a change counts as that of the first judgment does.
    judge(ada, 30, 0, revise_judgment, Assignment.objects.get(pk=first.pk))
    in_utc = time_worked(ada, project)
    assert (in_utc.today, in_utc.week) == (140, 140)
    assert (in_utc.day_ends_in, in_utc.week_ends_in) == (4 * 3600, (4 + 4 * 24) * 3600)
    Project.objects.filter(pk=project.pk).update(time_zone="Asia/Tokyo")
    in_tokyo = time_worked(ada, Project.objects.get(pk=project.pk))
    assert (in_tokyo.today, in_tokyo.week) == (130, 141)
    assert in_tokyo.day_ends_in == 19 * 3600


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 min"), (59.9, "0 min"), (3599, "59 min"), (3900, "1 h 05 min")]
)
def test_times_are_written_in_hours_and_minutes(seconds, words):
    assert duration_words(seconds) == words


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_clock_counts_activity_and_stands_still_while_nothing_happens_or_it_is_paused(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=3)
    page.clock.install()
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    expect(page.locator("#work-page-clock-today")).to_have_text("0 min", use_inner_text=True)
    page.keyboard.press("Shift")
    page.clock.run_for(40_000)
    page.keyboard.press("Shift")
    # Of five minutes without a sign of life one counts.
    page.clock.run_for(300_000)
    expect(page.locator("#work-page-clock-today")).to_have_text("1 min", use_inner_text=True)
    expect(page.locator("#work-page-clock-state")).to_have_text(
        "stopped: nothing happens", use_inner_text=True
    )
    page.keyboard.press("p")
    expect(page.locator(".task")).to_be_hidden()
    expect(page.locator("#work-page-paused")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('#work-page-paused') !== null")
    assert axe(page) == []
    # Nothing is judged, skipped or counted meanwhile, whatever is pressed; a reload does not end it.
    for _ in range(2):
        for pressed in ("1", "Control+Enter", "s", "n", "z"):
            page.keyboard.press(pressed)
        page.clock.run_for(120_000)
        page.reload()
        page.wait_for_selector("#work-page-paused:not([hidden])")
    expect(page.locator("#work-page-clock-state")).to_have_text("paused", use_inner_text=True)
    assert Assignment.objects.get(public_id=first).state == "leased"
    page.keyboard.press("Enter")  # on its button, where the focus is
    assert wait_for_task(page) == first
    expect(page.locator(".task")).to_be_visible()
    assert page.locator("input[name=scale]:checked").count() == 0
    page.keyboard.press("1")
    page.clock.run_for(10_000)
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.exists())
    # Whoever had begun nothing begins with a reload at nothing; what passed in the pause is in no case counted.
    assert 10 <= Judgment.objects.get().seconds < 40
    expect(page.locator("#work-page-clock-week")).to_have_text("0 min", use_inner_text=True)
