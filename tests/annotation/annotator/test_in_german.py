"""The work page in German, in a real browser: what its scripts say, beside what its templates say."""

import pytest
from playwright.sync_api import expect

from annotation.models import Assignment, Judgment
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Cards whose tools lie on their letter or outside of them.
CROWDED = """() => [...document.querySelectorAll(".rank-card")].filter((card) => {
  const box = (selector) => card.querySelector(selector).getBoundingClientRect();
  const [letter, tools, edge] = [box(".response-label"), box(".rank-card-tools"), card.getBoundingClientRect()];
  const last = [...card.querySelectorAll(".tool")].at(-1).getBoundingClientRect();
  return (tools.left < letter.right && tools.top < letter.bottom) || tools.left < edge.left || last.right > edge.right;
}).map((card) => card.dataset.response)"""


@pytest.fixture
def german_page(browser):
    """Of a browser that asks for German. Its errors on the console are left alone: tests break its network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="de-DE")
    context.set_default_timeout(300_000)
    yield context.new_page()
    context.close()


def wait_for_words(page, selector, words):
    page.wait_for_function(
        "([selector, words]) => document.querySelector(selector).textContent.replace(/\\s+/g, ' ').includes(words)",
        arg=[selector, words],
    )


def fits(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    return page.evaluate("document.documentElement.scrollWidth") <= width


def test_pairs_are_judged_in_german_and_a_lost_connection_is_told_so(
    german_page, ada, make_batch, address, open_as
):
    page = german_page
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    wait_for_words(page, "#work-page-progress", "0 erledigt")
    page.keyboard.press("Enter")
    expect(page.locator("#task-problem")).to_have_text(
        "Wählen Sie zuerst, welche Antwort besser ist.", use_inner_text=True
    )
    assert fits(page, 320) and fits(page, 1280)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    second = wait_for_task(page)
    wait_for_words(page, "#work-page-progress", "1 erledigt")
    # The next one is here as well, and nothing waits to be sent.
    wait_until(page, lambda: Judgment.objects.count() == 1 and Assignment.objects.count() == 3)
    page.wait_for_function("() => document.getElementById('work-page-sync').textContent === ''")
    page.context.set_offline(True)
    page.keyboard.press("7")
    page.keyboard.press("Enter")
    wait_for_words(
        page,
        "#work-page-sync",
        "Sie sind offline. 1 Urteil ist in diesem Browser gespeichert und wird später gesendet.",
    )
    assert fits(page, 320)
    page.context.set_offline(False)
    wait_until(page, lambda: Judgment.objects.filter(assignment__public_id=second).exists())


def test_a_ranking_is_announced_in_german(german_page, ada, make_batch, address, open_as):
    page = german_page
    make_batch(tasks=1, responses_per_task=3)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    for key, said in [
        ("ArrowUp", "Antwort B, Rang 1 von 3"),
        ("t", "Antwort B, Rang 1 von 2, gleichauf mit A"),
        ("1", "A und B über C: "),
    ]:
        page.keyboard.press("b")
        page.keyboard.press(key)
        wait_for_words(page, "#work-page-announcer", said)
    expect(page.locator("#ranking legend")).to_have_text(
        "Um wie viel besser sind A und B als C?", use_inner_text=True
    )
    expect(page.locator(".tier.is-tie")).to_have_attribute("aria-label", "Rang 1, Gleichstand")
    assert fits(page, 320)
    assert page.evaluate(CROWDED) == []
    page.keyboard.press("Escape")
    page.keyboard.press("q")
    wait_for_words(page, "#guided-title", "Welche ist besser, A oder B?")
    expect(page.locator("#guided-count")).to_have_text("Frage 1 von höchstens 3", use_inner_text=True)
    expect(page.locator(".guided-answer[data-better='1'] span")).to_have_text(
        "B ist besser", use_inner_text=True
    )
    assert fits(page, 320)
