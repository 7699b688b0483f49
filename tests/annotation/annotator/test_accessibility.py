"""The pages of annotators by axe, in both themes, and on a small phone."""

import json

import pytest

from annotation.batches.actions import close_batch
from annotation.models import Judgment
from tests.annotation.annotator.waiting import wait_for_task, wait_until
from tests.axe import axe

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_passes_axe_and_fits_a_small_phone(
    browser, ada, max_, make_batch, address, open_as, key, scheme
):
    code = "```python\ndef f(x):  # c\n    return 'a' + str(1)\n```"
    text = f"# T\n\n{code}\n\n|a|b|\n|-|-:|\n|1|2|\n\n> q [l](http://x.example)"
    pairs = make_batch(tasks=3, texts=[text, "שלום, זו תשובה ארוכה " * 20])
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    checked = {}

    def check(name):
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(150)
            checked[name, width] = axe(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width

    open_as(page, ada).goto(address("overview"))
    check("home")
    page.goto(address("guideline"))
    check("guideline")
    page.goto(address("annotate"))
    wait_for_task(page)
    check("pair")
    page.keyboard.press("2")
    page.keyboard.press("n")
    check("pair, chosen, with a note")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys").click()
    check("keys")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    close_batch(actor=max_, batch=pairs)
    rankings = make_batch(tasks=2, responses_per_task=4)
    page.goto(address("annotate"))
    wait_for_task(page)
    page.keyboard.press("b")
    page.keyboard.press("t")
    page.keyboard.press("1")
    check("ranking")
    page.goto(address("overview"))
    check("home, with answers")
    judgment = Judgment.objects.get()
    open_as(page, max_)
    for name, kwargs in (
        ("batches", {}),
        ("batch", {"pk": pairs.pk}),
        ("batch", {"pk": rankings.pk}),
        ("judgment", {"pk": pairs.pk, "judgment_pk": judgment.pk}),
    ):
        page.goto(address(name, **kwargs))
        check(f"{name} {json.dumps(kwargs)}")
    context.close()
    assert {where: found for where, found in checked.items() if found} == {}
    assert complaints == []


def test_targets_are_large_enough_to_tap(browser, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    context = browser.new_context(viewport={"width": 320, "height": 700})
    page = open_as(context.new_page(), ada)
    page.goto(address("annotate"))
    wait_for_task(page)
    small = page.evaluate(
        """() => [...document.querySelectorAll('#work-page :is(button, summary, .point, .flag, a)')]
        .filter(e => e.offsetParent).map(e => [e.textContent.trim().slice(0, 20), e.getBoundingClientRect()])
        .filter(([_, b]) => b.height < 43.5 || b.width < 43.5).map(([t, b]) => [t, b.width, b.height])"""
    )
    context.close()
    assert small == []
