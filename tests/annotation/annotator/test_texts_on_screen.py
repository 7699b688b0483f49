"""Texts in a real browser: as they were written, white space, code that is copied and wrapped."""

import pytest
from playwright.sync_api import expect

from tests.annotation.annotator.waiting import wait_for_task
from tests.axe import axe

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
    expect(poem.locator(".blank-line")).to_have_count(2)
    page.keyboard.press("u")
    assert poem.locator("[data-written]").inner_text() == POEM
    assert page.locator("[data-rendered]:visible").count() == 0
    expect(page.locator("[data-written]:visible")).to_have_count(3)
    page.reload()
    wait_for_task(page)
    page.wait_for_selector("[data-written]:visible")
    assert page.locator("[data-rendered]:visible").count() == 0
    # One answer goes its own way.
    page.locator("[data-written-switch]").first.click()
    expect(page.locator("[data-written]:visible")).to_have_count(2)
    page.keyboard.press("u")
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


ALIGNED = "\n".join(
    ["Given    that $a$:", "", r"\begin{align*}", r"b &= a \\", r"c &= |b|", r"\end{align*}", ""]
    + ["| norm | is |", "|---|---|", "| $|b|$ | 2 |"]
)


def test_answers_stacked_one_above_the_other_are_whole_and_apart(page, ada, make_batch, address, open_as):
    make_batch(tasks=1, texts=[ALIGNED, CODE])
    page.set_viewport_size({"width": 390, "height": 800})
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.wait_for_selector(".math-display[data-drawn] .katex")
    boxes = [answer.bounding_box() for answer in page.locator(".response").all()]
    assert len(boxes) == 2
    first, second = boxes
    assert first["y"] + first["height"] <= second["y"] and first["x"] == second["x"]
    assert first["width"] == second["width"] and first["x"] + first["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    names = [name.inner_text() for name in page.locator(".response-name").all()]
    assert [name[-1] for name in names[:2]] == ["A", "B"]
    answer = page.locator(".response", has=page.locator(".math-display"))
    # Nothing of an answer lies outside of its box.
    bottom = "getBoundingClientRect().bottom"
    inside = f"e => [...e.querySelectorAll('.prose > *')].every(c => c.{bottom} <= e.{bottom} + 1)"
    assert all(one.evaluate(inside) for one in page.locator(".response").all())
    expect(answer.locator(".math-display .katex")).to_have_count(1)
    assert answer.locator(".math-display .mtable, .math-display mtable").count() >= 1
    expect(answer.locator("td")).to_have_count(2)
    expect(answer.locator("td .katex")).to_have_count(1)
    line = answer.locator(".prose p", has=page.locator(".math-inline")).first
    assert line.evaluate("e => getComputedStyle(e).whiteSpace") == "pre-wrap"
    assert "Given    that" in line.inner_text()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe(page) == []
