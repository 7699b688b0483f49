"""One request a judgment, in a real browser: what was asked of the server, and by whom it falls back to `next`."""

import json
import re

import pytest

from annotation.models import Judgment
from annotation.queue.counters import find_counter_drift
from tests.annotation.annotator.waiting import (
    wait_for_agreeing_counters,
    wait_for_another,
    wait_for_task,
    wait_until,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def asked():
    """[(verb, body)] of what the page has asked, in order."""
    return []


@pytest.fixture
def watch(asked):
    def note(request):
        if request.method == "POST" and (verb := request.url.rstrip("/").rsplit("/", 1)[1]) != "draft":
            asked.append((verb, json.loads(request.post_data or "{}")))

    return lambda page: page.on("request", note)


def wait_for_prefetch(page, number):
    """Until so many answers have arrived that bring a task."""
    page.wait_for_function(
        "n => performance.getEntriesByType('resource')"
        ".filter(e => /\\/(next|submit)\\/$/.test(e.name) && e.responseEnd > 0).length >= n",
        arg=number,
    )
    page.evaluate("() => new Promise((done) => setTimeout(done))")


def test_after_the_first_task_a_judgment_is_one_request(
    page, ada, project, make_batch, address, open_as, asked, watch
):
    make_batch(tasks=8)
    watch(page)
    open_as(page, ada).goto(address("annotate"))
    seen = []
    for number in range(6):
        seen.append(wait_for_task(page))
        wait_for_prefetch(page, 2 + number)
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        wait_for_another(page, seen[-1])
    wait_until(page, lambda: Judgment.objects.count() == 6)
    assert len(set(seen)) == 6
    submits = [body for verb, body in asked if verb == "submit"]
    claiming = [body for body in submits if "claim_next" in body]
    # A page that is slower than the person asks by itself: that is the only other request.
    assert len(submits) == 6 and len(claiming) >= 3
    assert len([verb for verb, _ in asked if verb == "next"]) == 2 + len(submits) - len(claiming)
    for body, on_screen in zip(submits, seen[1:], strict=False):
        assert body.get("claim_next", {"after_assignment": on_screen}) == {"after_assignment": on_screen}
    wait_for_agreeing_counters(page)


def test_without_a_next_task_in_the_answer_the_page_asks_for_it(
    page, ada, make_batch, address, open_as, asked, watch
):
    make_batch(tasks=6)
    watch(page)

    def leave_out(route):
        body = json.loads(route.request.post_data)
        body.pop("claim_next", None)
        route.continue_(post_data=json.dumps(body))

    page.route(re.compile("/submit/$"), leave_out)
    open_as(page, ada).goto(address("annotate"))
    for _ in range(6):
        shown = wait_for_task(page)
        page.keyboard.press("7")
        page.keyboard.press("Enter")
        wait_for_another(page, shown)
    page.wait_for_selector(".no-tasks")
    wait_until(page, lambda: Judgment.objects.count() == 6)
    # As many as tasks: with the next one in the answers it asks for the first two, and where the person is faster.
    assert len([verb for verb, _ in asked if verb == "next"]) >= 6
    wait_for_agreeing_counters(page)


def test_skips_and_their_undoing_in_between_take_nothing_twice(
    page, ada, make_batch, address, open_as, asked, watch
):
    make_batch(tasks=7)
    watch(page)
    open_as(page, ada).goto(address("annotate"))
    shown = wait_for_task(page)
    for number, keys in enumerate((["2", "Enter"], ["s"], ["3", "Enter"], ["s"], ["z"], ["4", "Enter"])):
        wait_for_prefetch(page, 2 + min(number, 2))
        for pressed in keys:
            page.keyboard.press(pressed)
        wait_for_another(page, shown)
        shown = wait_for_task(page)
    wait_until(page, lambda: Judgment.objects.count() >= 3)
    ids = list(Judgment.objects.values_list("assignment", flat=True))
    assert len(set(ids)) == len(ids)
    wait_for_agreeing_counters(page)


def test_two_tabs_of_one_person_lose_nothing_and_double_nothing(
    forgiving_page, ada, make_batch, address, open_as
):
    """Both judge at once, each what it shows; the browser's storage is one."""
    one = open_as(forgiving_page, ada)
    two = one.context.new_page()
    batch = make_batch(tasks=6)
    for tab in (one, two):
        tab.goto(address("annotate"))
        wait_for_task(tab)
    for _ in range(12):
        shown = [
            (tab, tab.get_attribute(".task", "data-public-id"))
            for tab in (one, two)
            if tab.query_selector(".task")
        ]
        if not shown:
            break
        for tab, _ in shown:
            tab.bring_to_front()
            tab.keyboard.press("2")
            tab.keyboard.press("Enter")
        for tab, handle in shown:
            wait_for_another(tab, handle)
    for tab in (one, two):
        tab.wait_for_selector(".no-tasks")
    wait_until(one, lambda: Judgment.objects.count() == 6)
    # Each task once, as it was said, and no change of another.
    assert set(Judgment.objects.values_list("task", flat=True)) == set(
        batch.tasks.values_list("pk", flat=True)
    )
    assert {tuple(strengths) for strengths in Judgment.objects.values_list("strengths", flat=True)} == {(2,)}
    assert not Judgment.objects.filter(supersedes__isnull=False).exists()
    assert find_counter_drift() == []
    # Nothing waits to be sent.
    for tab in (one, two):
        tab.wait_for_function("() => !document.getElementById('work-page-sync').textContent.trim()")
        tab.reload()
        tab.wait_for_selector(".no-tasks")
    assert Judgment.objects.count() == 6
