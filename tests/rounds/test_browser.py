"""The round page in a browser: buttons that ask and stay where they are, a focus that stays, a session that ends."""

import re

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from rounds.models import Stage
from rounds.stages.transitions import enter_stage

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def round_(annotating_round):
    return annotating_round


@pytest.fixture
def logged_in(client, live_server, max_):
    def give(page):
        client.force_login(max_)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
        )
        return page

    return give


@pytest.fixture
def address(live_server, project):
    return live_server.url + reverse("rounds:round", args=[project.slug, 1])


def place_of(page, name):
    return page.get_by_role("button", name=name, exact=True).bounding_box()


@pytest.mark.parametrize("width", [1280, 320])
def test_cancelling_never_comes_to_where_another_button_was(page, logged_in, round_, address, width):
    page.set_viewport_size({"width": width, "height": 900})
    logged_in(page).goto(address)
    before = {name: place_of(page, name) for name in ("End annotation now", "Cancel the round")}
    enter_stage(round_, Stage.REWARD_MODEL, "ended by somebody else")
    page.get_by_role("button", name="End annotation now").wait_for(state="detached")
    ended, cancel = before["End annotation now"], place_of(page, "Cancel the round")
    x, y = ended["x"] + ended["width"] / 2, ended["y"] + ended["height"] / 2
    inside = cancel["x"] <= x <= cancel["x"] + cancel["width"]
    assert not (inside and cancel["y"] <= y <= cancel["y"] + cancel["height"])


def test_what_ends_or_cancels_asks_first_with_the_count(page, logged_in, round_, address, project, ada):
    logged_in(page).goto(address)
    page.get_by_role("button", name="End annotation now").click()
    dialog = page.get_by_role("dialog")
    assert "End with 0 of 4 judgments?" in dialog.inner_text()
    page.keyboard.press("Enter")  # the harmless button has the focus
    dialog.wait_for(state="hidden")
    page.get_by_role("button", name="Cancel the round").click()
    assert "Cancel round 1 for good?" in dialog.inner_text()
    page.keyboard.press("Escape")
    round_.refresh_from_db()
    assert round_.stage == Stage.ANNOTATING
    page.get_by_role("button", name="Cancel the round").click()
    # While the question is open, the page does not change under it.
    assignment = claim_task(actor=ada, project=project)
    submit_judgment(
        actor=ada,
        assignment=assignment,
        content=JudgmentInput(tiers=[["A", "B"]], strengths=[]),
        idempotency_key="a tie of all",
    )
    page.wait_for_timeout(2500)
    assert page.locator(".timeline :text('0 of 4 judgments')").count() == 1
    dialog.get_by_role("button", name="Cancel the round").click()
    page.locator(".badge-state:text-is('Cancelled')").wait_for()
    round_.refresh_from_db()
    assert round_.stage == Stage.CANCELLED


def test_a_poll_leaves_the_keyboard_where_it_was(page, logged_in, round_, address, project, ada):
    logged_in(page).goto(address)
    for number, where in enumerate(("cancel-round", "end-annotation", "chain-batch"), start=1):
        page.locator(f"#{where}").focus()
        assignment = claim_task(actor=ada, project=project)
        submit_judgment(
            actor=ada,
            assignment=assignment,
            content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
            idempotency_key=where,
        )
        page.locator(f".timeline :text('{number} of 4 judgments')").wait_for()
        assert page.evaluate("document.activeElement.id") == where
    # What is gone cannot keep the focus; the reader stays in the page.
    page.locator("#end-annotation").focus()
    enter_stage(round_, Stage.REWARD_MODEL, "ended by somebody else")
    page.locator("#end-annotation").wait_for(state="detached")
    page.wait_for_timeout(100)
    assert page.evaluate("document.activeElement.id") == "content"


def test_when_the_session_ends_the_page_leaves_for_the_login_and_comes_back(
    browser, logged_in, round_, address
):
    page = logged_in(browser.new_context().new_page())
    page.goto(address)
    Session.objects.all().delete()
    enter_stage(round_, Stage.REWARD_MODEL, "ended by somebody else")
    page.wait_for_url(re.compile("/login/"))
    page.get_by_label("Username").fill("max")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(address)
    page.get_by_role("heading", name="Round 1").wait_for()
    page.context.close()


def test_a_button_pressed_after_the_session_ended_leads_back_to_the_round(
    browser, logged_in, round_, address
):
    page = logged_in(browser.new_context().new_page())
    page.goto(address)
    page.evaluate("document.getElementById('round-live').removeAttribute('hx-get')")
    page.get_by_role("button", name="Cancel the round").click()
    Session.objects.all().delete()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the round").click()
    page.get_by_text("That was not done").wait_for()
    page.get_by_label("Username").fill("max")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(address)
    round_.refresh_from_db()
    assert round_.stage == Stage.ANNOTATING
    page.context.close()
