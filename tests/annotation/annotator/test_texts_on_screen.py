"""Texts in a real browser: as they were written, white space, code that is copied and wrapped."""

import pytest

from tests.annotation.annotator.test_work_page import axe, wait_for_task

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
POEM = "  so much\n    depends\nupon\n\n\n\na red C:\\*wheel \\{1\\}"
CODE = "```python\nx = " + " + ".join(f"y{n}" for n in range(60)) + "\n```"


def test_the_plain_switch_shows_everything_as_written_and_is_remembered(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=1, texts=[POEM, CODE])
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    poem = page.locator(".response", has_text="so much")
    shown = poem.locator(".prose").inner_text().splitlines()
    assert [line for line in shown if line] == [line for line in POEM.splitlines() if line]
    assert poem.locator(".blank-line").count() == 2
    page.get_by_role("button", name="All as written").click()
    assert poem.locator("[data-written]").inner_text() == POEM
    assert page.locator("[data-rendered]:visible").count() == 0
    assert page.locator("[data-written]:visible").count() == 3
    page.reload()
    wait_for_task(page)
    page.wait_for_selector("[data-written]:visible")
    assert page.locator("[data-rendered]:visible").count() == 0
    # One answer goes its own way.
    page.locator("[data-written-switch]").first.click()
    assert page.locator("[data-written]:visible").count() == 2
    page.get_by_role("button", name="All as written").click()
    assert page.locator("[data-written]:visible").count() == 0


def test_wide_code_is_copied_and_wrapped(page, ada, make_batch, address, open_as):
    make_batch(tasks=1, texts=[POEM, CODE])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    block = page.locator("pre.code-block")
    assert block.evaluate("e => e.scrollWidth > e.clientWidth")
    page.get_by_role("button", name="Wrap").click()
    assert block.evaluate("e => e.scrollWidth <= e.clientWidth")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == CODE.split("\n")[1] + "\n"
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
