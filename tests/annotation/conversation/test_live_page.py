"""A live conversation in a real browser: keyboard alone, two tabs, a reload, a logout, an answer that fails."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from annotation.models import Conversation, ConversationTurn, Judgment
from tests.annotation.annotator.right_to_left import faults
from tests.annotation.annotator.waiting import wait_until
from tests.axe import run_axe

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def opened(page, talk, ada, address, open_as):
    open_as(page, ada).goto(address("conversation", public_id=talk.public_id))
    page.wait_for_selector("#live-form:not([hidden])")
    return page


def write(page, text):
    page.wait_for_selector("#live-form:not([hidden])")
    page.fill("#live-message", text)
    page.press("#live-message", "Enter")
    page.wait_for_selector("#live-open:not([hidden])")


def both_done(writer, number):
    writer.lay_down("old", "done", f"Rice, number {number}.")
    writer.lay_down("new", "done", f"Noodles, number {number}.")


def test_two_turns_by_keyboard_alone_and_the_better_answer_stays(opened, talk, writer):
    page = opened
    expect(page.locator("#live-message")).to_be_focused()
    page.keyboard.type("What can I cook?")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live-open:not([hidden])")
    writer.lay_down("old", "writing", "Ri")
    page.wait_for_function("() => document.querySelector('#live-answers').textContent.includes('Ri')")
    assert page.get_attribute(".response[aria-busy=true]", "data-label") in ("A", "B")
    both_done(writer, 1)
    page.wait_for_selector(".task")
    page.wait_for_function(
        "document.querySelector('#work-page-announcer').textContent.includes('Both answers')"
    )
    better = page.inner_text("[data-response=B] [data-rendered]")
    page.keyboard.press("8")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live-form:not([hidden])")
    expect(page.locator("#live-transcript .turn")).to_have_count(2)
    expect(page.locator("#live-transcript")).to_contain_text(better, use_inner_text=True)
    expect(page.locator("#live-message")).to_be_focused()
    judgment = Judgment.objects.get()
    assert judgment.strengths == [3] and judgment.tiers[0] == [judgment.order_shown[1]]
    writer.says.clear()
    write(page, "And then?")
    both_done(writer, 2)
    page.wait_for_selector(".task")
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#live-transcript .turn').length === 4")
    assert ConversationTurn.objects.get(number=2).chosen_at_random
    expect(page.locator("#live-progress")).to_have_text("Turn 3 of 3", use_inner_text=True)


def test_what_is_typed_and_what_is_written_outlive_a_reload(opened, talk, writer):
    page = opened
    page.fill("#live-message", "Half a mess")
    page.reload()
    page.wait_for_selector("#live-form:not([hidden])")
    expect(page.locator("#live-message")).to_have_value("Half a mess")
    write(page, "What can I cook?")
    writer.lay_down("old", "writing", "Rice is")
    page.reload()
    page.wait_for_function("() => document.querySelector('#live-answers').textContent.includes('Rice is')")
    expect(page.locator("#live-sent")).to_have_text("What can I cook?", use_inner_text=True)
    expect(page.locator("#live-message")).to_have_value("")
    both_done(writer, 1)
    page.wait_for_selector(".task")
    page.keyboard.press("2")
    page.reload()
    page.wait_for_selector(".task input[name=scale]:checked")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live-form:not([hidden])")
    assert Judgment.objects.get().strengths == [2]


def test_two_tabs_lead_one_conversation_and_neither_overwrites_the_other(opened, talk, writer, address):
    page = opened
    other = page.context.new_page()
    other.goto(address("conversation", public_id=talk.public_id))
    other.wait_for_selector("#live-form:not([hidden])")
    write(page, "From the first tab")
    other.fill("#live-message", "From the second tab")
    other.press("#live-message", "Enter")
    other.wait_for_function(
        "() => document.querySelector('#live-refusal').textContent.includes('another window')"
    )
    expect(other.locator("#live-message")).to_have_value("From the second tab")
    assert [turn.message for turn in talk.turns.all()] == ["From the first tab"]
    both_done(writer, 1)
    page.wait_for_selector(".task")
    other.reload()
    other.wait_for_selector(".task")
    for tab in (page, other):
        tab.keyboard.press("1")
        tab.keyboard.press("Enter")
    for tab in (page, other):
        tab.wait_for_selector("#live-form:not([hidden])")
    assert Judgment.objects.count() == 1 and talk.turns.get().outcome == "judged"


def test_a_logout_amid_a_turn_loses_nothing(forgiving_page, talk, writer, ada, open_as, address):
    page = forgiving_page
    open_as(page, ada).goto(address("conversation", public_id=talk.public_id))
    write(page, "What can I cook?")
    Session.objects.all().delete()
    page.wait_for_selector("#work-page-notice:not([hidden]) a")
    expect(page.locator("#work-page-notice")).to_contain_text("logged out", use_inner_text=True)
    both_done(writer, 1)
    open_as(page, ada)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.wait_for_selector(".task")
    page.keyboard.press("5")
    Session.objects.all().delete()
    page.keyboard.press("Enter")
    page.wait_for_selector("#work-page-notice:not([hidden]) a")
    assert not Judgment.objects.exists()
    open_as(page, ada)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    page.wait_for_selector("#live-form:not([hidden])")


def test_an_answer_that_fails_is_asked_for_again_or_left_out(opened, talk, writer):
    page = opened
    write(page, "What can I cook?")
    writer.lay_down("old", "done", "Rice.")
    writer.lay_down("new", "failed", message="The model could not write an answer.")
    page.wait_for_selector("#live-problem:not([hidden])")
    expect(page.locator("#live-answers")).to_contain_text("could not write an answer", use_inner_text=True)
    expect(page.locator("#live-again")).to_be_focused()
    page.keyboard.press("Enter")
    wait_until(page, lambda: talk.turns.get().answers.get(source__name="new").attempt == 2)
    page.wait_for_selector("#live-problem:not([hidden])")
    page.click("#live-one")
    page.wait_for_selector("#live-form:not([hidden])")
    expect(page.locator("#live-transcript")).to_contain_text("Rice.", use_inner_text=True)
    assert talk.turns.get().outcome == "one_answer"


def test_the_end_is_asked_about_and_an_opener_is_taken(opened, talk):
    page = opened
    page.select_option("#live-opener", "What can I cook with rice?")
    expect(page.locator("#live-message")).to_have_value("What can I cook with rice?")
    asked = page.get_by_role("dialog", name="End this conversation? You cannot go on with it later.")
    page.click("#live-end")
    asked.wait_for()
    assert run_axe(page) == []
    page.keyboard.press("Enter")  # the focus is on going on
    asked.wait_for(state="hidden")
    page.click("#live-end")
    asked.wait_for()
    page.keyboard.press("Escape")
    asked.wait_for(state="hidden")
    assert Conversation.objects.get().ended_at is None
    page.click("#live-end")
    asked.get_by_role("button", name="End the conversation").click()
    page.wait_for_selector("#live-over:not([hidden])")
    assert Conversation.objects.get().ended_at is not None


@pytest.mark.parametrize("width", [1280, 320])
def test_axe_finds_nothing_while_writing_reading_and_judging(opened, writer, width):
    page = opened
    page.set_viewport_size({"width": width, "height": 800})
    assert run_axe(page) == []
    write(page, "What can I cook?")
    writer.lay_down("old", "writing", "Rice is")
    page.wait_for_function("() => document.querySelector('#live-answers').textContent.includes('Rice is')")
    assert run_axe(page) == []
    both_done(writer, 1)
    page.wait_for_selector(".task")
    assert run_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_from_right_to_left_nothing_of_a_conversation_is_cut(
    hebrew_page, talk, writer, ada, open_as, address
):
    page = hebrew_page
    open_as(page, ada).goto(address("conversation", public_id=talk.public_id))
    page.wait_for_selector("#live-form:not([hidden])")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    assert faults(page) == []
    write(page, "What can I cook with rice?")
    both_done(writer, 1)
    page.wait_for_selector(".task")
    assert faults(page) == []
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live-form:not([hidden])")
    expect(page.locator("#live-transcript .turn")).to_have_count(2)
    assert faults(page) == []
    judgment = Judgment.objects.get()
    assert judgment.strengths == [2] and judgment.tiers[0] == [judgment.order_shown[0]]
