"""What the work page keeps and says when the network, the session, its token or the membership is gone."""

import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from annotation.models import Assignment, Judgment
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until
from workspace.members import remove_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_without_a_connection_going_back_says_so(forgiving_page, begin_work):
    page = forgiving_page
    first = begin_work(page, tasks=3)
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1 and Assignment.objects.count() == 3)
    page.wait_for_timeout(300)
    page.context.set_offline(True)
    page.keyboard.press("z")
    page.wait_for_selector("#work-page-notice:not([hidden])")
    expect(page.locator("#work-page-notice")).to_contain_text("You are offline", use_inner_text=True)


def test_an_ended_session_with_nothing_prefetched_is_not_called_a_lost_connection(
    forgiving_page, begin_work, ada, open_as, client
):
    page = forgiving_page
    first = begin_work(page, tasks=1)
    page.wait_for_timeout(300)
    Session.objects.all().delete()
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    page.wait_for_selector(".task-waiting:has-text('Log in')")
    expect(page.locator("#work-page-notice")).to_contain_text("Log in again", use_inner_text=True)
    assert "connection" not in page.locator("#work-page").inner_text()
    # Logged in again in another tab: what waited is sent, and the work goes on.
    open_as(page, ada)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.wait_for_selector(".no-tasks")
    wait_until(page, lambda: Judgment.objects.filter(assignment__public_id=first).exists())


def test_a_dropped_network_loses_nothing(forgiving_page, begin_work, address):
    page = forgiving_page
    first = begin_work(page, tasks=4)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    page.wait_for_timeout(300)
    page.context.set_offline(True)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    second = wait_for_task(page)
    page.wait_for_function(
        "() => document.getElementById('work-page-sync').textContent.includes('You are offline')"
    )
    page.keyboard.press("6")
    page.keyboard.press("n")
    page.keyboard.type("half a thou")
    assert not Judgment.objects.exists()
    page.context.set_offline(False)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    page.wait_for_function("() => document.getElementById('work-page-sync').textContent === ''")
    # A reload in the middle of the second task brings back what was on the screen.
    page.goto(address("annotate"))
    assert wait_for_task(page) == second
    expect(page.locator("input[name=scale][value='6']")).to_be_checked()
    expect(page.locator("[name=rationale]")).to_have_value("half a thou")


def test_an_answer_whose_receipt_was_lost_is_stored_once(forgiving_page, begin_work):
    page = forgiving_page
    first = begin_work(page, tasks=2)
    lost = []

    def lose(route):
        # The server gets it, the browser never hears of it.
        if not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route(re.compile("/submit/$"), lose)
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    page.wait_for_function(
        "() => document.getElementById('work-page-sync').textContent === ''", timeout=15000
    )
    assert lost == [201]
    assert Judgment.objects.count() == 1


def test_an_ended_session_keeps_the_answer_until_after_the_login(forgiving_page, begin_work, live_server):
    page = forgiving_page
    first = begin_work(page, tasks=3)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    page.wait_for_timeout(300)
    Session.objects.all().delete()
    page.keyboard.press("8")
    page.keyboard.press("n")
    page.keyboard.type("clearly")
    page.keyboard.press("Control+Enter")
    page.get_by_role("link", name="Log in again").click()
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "correct horse battery")
    page.click("main button[type=submit]")
    assert wait_for_task(page) != first
    judgment = Judgment.objects.get()
    assert str(judgment.assignment.public_id) == first
    assert (judgment.rationale, judgment.strengths) == ("clearly", [3])


def test_another_answer_from_a_second_window_is_given_back_and_not_dropped(page, begin_work, address):
    handle = begin_work(page, tasks=2)
    page.keyboard.press("3")
    # The draft, and its key with it, must be there for the second window.
    wait_until(page, lambda: bool(Assignment.objects.get(public_id=handle).draft))
    second = page.context.new_page()
    second.goto(address("annotate"))
    assert wait_for_task(second) == handle
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    second.keyboard.press("7")
    second.keyboard.press("Enter")
    second.wait_for_selector("#work-page-notice:not([hidden])")
    expect(second.locator("#work-page-notice")).to_contain_text(
        "You have judged this task already", use_inner_text=True
    )
    wait_for_another(second, handle)
    expect(
        second.locator("#work-page-notice")
    ).to_be_visible()  # the next task does not take the sentence away
    assert Judgment.objects.get().strengths == [1]
    second.click("#work-page-notice a")
    # The page that is left still has its task for a moment.
    second.wait_for_function("old => document.querySelector('.task')?.dataset.publicId === old", arg=handle)
    second.keyboard.press("Enter")  # what was chosen here is still chosen: now it is a correction
    wait_until(second, lambda: Judgment.objects.count() == 2)
    assert Judgment.objects.latest("pk").strengths == [2]


def test_a_csrf_token_that_went_away_is_renewed_unseen(forgiving_page, begin_work):
    page = forgiving_page
    first = begin_work(page, tasks=2)
    page.wait_for_timeout(300)
    page.context.clear_cookies(name="csrftoken")
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    assert "csrftoken" in {cookie["name"] for cookie in page.context.cookies()}


def test_who_is_removed_is_told_so_and_keeps_what_was_typed(page, begin_work, ada, max_, project):
    first = begin_work(page, tasks=3)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    remove_member(actor=max_, project=project, user=ada)
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.wait_for_selector("#work-page-notice >> text=no longer a member")
    notice = page.inner_text("#work-page-notice")
    assert "You are no longer a member of “Kitchen”" in notice and "There is no such task" not in notice
    assert page.locator("#work-page-notice a").count() == 0
    draft = page.evaluate(
        "id => JSON.parse(Object.entries(localStorage).find(([name]) => name.endsWith(`draft:${id}`))[1])",
        first,
    )
    assert draft["value"] == 3
    page.goto("about:blank")  # the page asks again every few seconds
    page.complaints.clear()  # the browser's own, of the answers with 404
