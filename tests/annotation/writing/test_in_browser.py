"""Texts written in a real browser: a draft outlives a reload, another window and a cut line, and is sent once."""

import pytest
from playwright.sync_api import expect

from annotation.models import Demonstration, WritingItem, WritingVersion
from annotation.writing.actions import claim_item
from tests.annotation.annotator.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SEND = "#writing button[type=submit]"
KEPT = "() => document.querySelector('#writing-state').textContent === 'Kept.'"


@pytest.fixture
def at_work(forgiving_page, ada, answers, address, open_as):
    """The page of a text that is to be written, and its item."""
    item = claim_item(actor=ada, work=answers)
    page = open_as(forgiving_page, ada)  # a refusal is an error on the console
    page.goto(address("write", public_id=item.public_id))
    return page, item


def draft_of(item):
    return WritingItem.objects.get(pk=item.pk).draft


def test_a_text_is_typed_shown_as_it_reads_kept_sent_and_accepted(at_work, ruth, project, address, open_as):
    page, item = at_work
    page.focus("#turn-1")
    page.keyboard.type("In **salted** water.")
    page.wait_for_function(KEPT)
    assert draft_of(item) == ["In **salted** water."]
    assert page.inner_html("[data-preview] strong") == "salted"
    expect(page.locator("[data-words]")).to_have_text("3 words (2 to 9)", use_inner_text=True)
    page.reload()
    page.wait_for_function(KEPT)
    expect(page.locator("#turn-1")).to_have_value("In **salted** water.")
    page.focus(SEND)
    page.keyboard.press("Enter")
    page.wait_for_url("**/annotate/writing/")
    expect(page.locator("main")).to_contain_text("Another person checks it", use_inner_text=True)
    version = WritingVersion.objects.get()
    assert version.turns == ["In **salted** water."]
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('writing:'))") == []
    open_as(page, ruth).goto(address("writing_text", pk=item.pk))
    page.click("text=Accept as it is")
    page.wait_for_selector("text=Accepted and stored")
    assert Demonstration.objects.get().response_text == "In **salted** water."


def test_what_is_refused_stays_on_the_page_with_its_reason(at_work):
    page, _ = at_work
    page.fill("#turn-1", "Boil")
    page.click(SEND)
    page.wait_for_function(
        "() => document.querySelector('#writing-state').textContent.includes('one word; 2 to 9')"
    )
    expect(page.locator("#turn-1")).to_have_value("Boil")
    assert not WritingVersion.objects.exists()
    page.fill("#turn-1", "Boil it.")
    page.click(SEND)
    page.wait_for_url("**/annotate/writing/")
    assert WritingVersion.objects.get().turns == ["Boil it."]


def test_two_windows_ask_which_text_is_kept(at_work):
    page, item = at_work
    other = page.context.new_page()
    other.goto(page.url)
    page.fill("#turn-1", "Of the first.")
    page.wait_for_function(KEPT)
    other.fill("#turn-1", "Of the second.")
    other.wait_for_selector("#other-window:not([hidden])")
    assert draft_of(item) == ["Of the first."]
    other.click("#keep-mine")
    other.wait_for_function(KEPT)
    assert draft_of(item) == ["Of the second."]
    page.fill("#turn-1", "Of the first again.")
    page.wait_for_selector("#other-window:not([hidden])")
    page.click("#take-other")
    wait_until(page, lambda: page.input_value("#turn-1") == "Of the second.")


def test_a_cut_line_loses_nothing_and_sends_nothing_twice(forgiving_page, ada, answers, address, open_as):
    page = forgiving_page
    item = claim_item(actor=ada, work=answers)
    open_as(page, ada).goto(address("write", public_id=item.public_id))
    page.context.set_offline(True)
    page.fill("#turn-1", "Without a line.")
    page.wait_for_function(
        "() => document.querySelector('#writing-state').textContent.includes('no connection')"
    )
    assert draft_of(item) is None
    page.click(SEND)
    page.wait_for_function(
        "() => document.querySelector('#writing-state').textContent.startsWith('Not sent')"
    )
    page.context.set_offline(False)
    page.wait_for_url("**/annotate/writing/")
    assert [version.turns for version in WritingVersion.objects.all()] == [["Without a line."]]


def test_a_dialogue_grows_and_shrinks_by_two_turns(page, ada, dialogues, address, open_as):
    item = claim_item(actor=ada, work=dialogues)
    open_as(page, ada).goto(address("write", public_id=item.public_id))
    page.fill("#turn-1", "Hello?")
    page.fill("#turn-2", "Hello.")
    page.click("#add-turns")
    expect(page.locator("#turn-3")).to_be_focused()
    expect(page.locator("label[for=turn-4]")).to_have_text("Assistant, turn 4", use_inner_text=True)
    page.fill("#turn-3", "Rice?")
    page.fill("#turn-4", "Boil it.")
    page.click("#remove-turns")
    expect(page.locator("#writing-state")).to_contain_text("Press again", use_inner_text=True)
    expect(page.locator("#turn-4")).to_have_count(1)
    page.click("#add-turns")
    page.fill("#turn-5", "Thank you")
    page.fill("#turn-6", "You are welcome.")
    page.click("#remove-turns")
    page.click("#remove-turns")
    expect(page.locator("#turns textarea")).to_have_count(4)
    page.click(SEND)
    page.wait_for_url("**/annotate/writing/")
    assert WritingVersion.objects.get().turns == ["Hello?", "Hello.", "Rice?", "Boil it."]


def test_formatted_text_is_pasted_as_markdown(at_work):
    page, _ = at_work
    html = (
        "<h2>Rice</h2><p>Boil <b>salted</b> water, see <a href='https://example.org/a'>this</a>.</p>"
        "<ol><li>Wash</li><li>Boil<ul><li>covered</li></ul></li></ol><pre>x = 1\ny</pre>"
        "<table><tr><th>a|b</th><th>c</th></tr><tr><td>1</td></tr></table><script>alert(1)</script>"
    )
    text = page.evaluate("(html) => window.Roundtable.htmlToMarkdown(html)", html)
    assert text == (
        "## Rice\n\nBoil **salted** water, see [this](https://example.org/a).\n\n"
        "1. Wash\n2. Boil\n   - covered\n\n```\nx = 1\ny\n```\n\n| a\\|b | c |\n| --- | --- |\n| 1 |  |"
    )


def test_what_is_only_in_one_window_outlives_the_other(at_work):
    page, item = at_work
    other = page.context.new_page()
    other.goto(page.url)
    page.context.set_offline(True)
    for window, text in ((page, "Of the first window."), (other, "Of the second window.")):
        window.fill("#turn-1", text)
        window.wait_for_function(
            "() => document.querySelector('#writing-state').textContent.includes('no connection')"
        )
    other.close()
    page.context.set_offline(False)
    page.wait_for_function(KEPT)
    assert draft_of(item) == ["Of the first window."]
    page.reload()
    # The other window's text was nowhere else: it is asked about, and nothing is sent before that.
    page.wait_for_selector("#other-window:not([hidden])")
    page.click(SEND)
    expect(page.locator("#keep-mine")).to_be_focused()
    assert not WritingVersion.objects.exists()
    page.click("#take-other")
    page.wait_for_function(KEPT)
    assert draft_of(item) == ["Of the second window."]
    page.reload()
    page.wait_for_function(KEPT)
    expect(page.locator("#other-window")).to_be_hidden()
    expect(page.locator("#turn-1")).to_have_value("Of the second window.")


def test_a_text_that_was_bettered_after_a_lost_answer_is_not_said_to_be_sent(at_work):
    page, item = at_work

    def lose(route):
        route.fetch()
        route.abort()

    page.fill("#turn-1", "As it was.")
    page.wait_for_function(KEPT)
    page.route("**/send/", lose, times=1)
    page.click(SEND)
    page.wait_for_function(
        "() => document.querySelector('#writing-state').textContent.startsWith('Not sent')"
    )
    page.fill("#turn-1", "As it is now, bettered.")
    page.click(SEND)
    page.wait_for_function(
        "() => document.querySelector('#writing-state').textContent.includes('as it was before')"
    )
    assert [version.turns for version in WritingVersion.objects.all()] == [["As it was."]]
    expect(page.locator("#turn-1")).to_have_value("As it is now, bettered.")
    kept = page.evaluate("Object.entries(localStorage).filter(([key]) => key.includes('writing:'))")
    assert len(kept) == 1 and "As it is now, bettered." in kept[0][1]
