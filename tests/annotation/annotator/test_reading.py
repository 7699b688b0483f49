"""How a task is read, in a real browser: folded turns, differences, search, columns, the guideline, the dock."""

import pytest
from playwright.sync_api import expect

from annotation.content.actions import add_prompts
from annotation.models import Judgment, Task
from tests.annotation.annotator.waiting import wait_for_task, wait_until
from tests.axe import axe
from workspace.actions import publish_guideline

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NEAR = "Keep the **living** room at 24 degrees in winter, and air it twice a day for ten minutes."
TURNS = [
    {"role": ("user", "assistant")[place % 2], "content": f"turn{place} " + "word " * 60}
    for place in range(7)
]


@pytest.fixture
def at_work(page, ada, max_, project, make_batch, address, open_as):
    """The page of a long conversation with two answers of which one number differs."""
    make_batch(tasks=1, texts=[NEAR, NEAR.replace("24", "42")])
    [prompt] = add_prompts(actor=max_, project=project, rows=[{"messages": TURNS}])
    Task.objects.update(prompt=prompt)
    publish_guideline(actor=max_, project=project, text="Prefer the kinder answer.")
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    return page


def test_earlier_turns_come_folded_open_by_key_and_by_search(at_work):
    page = at_work
    expect(page.get_by_role("button", name="Show 6 earlier turns")).to_be_visible()
    expect(page.locator("#earlier-turns p", has_text="turn0")).not_to_be_visible()
    assert page.locator(".response").first.bounding_box()["y"] < 500
    page.keyboard.press(".")
    expect(page.locator("#earlier-turns p", has_text="turn0")).to_be_visible()
    page.keyboard.press(".")
    page.keyboard.press("/")
    page.keyboard.type("TURN3")
    page.wait_for_selector("mark.search-match.is-current")
    expect(page.locator("#task-search-count")).to_have_text("1 of 1, prompt", use_inner_text=True)
    expect(page.locator("#earlier-turns p", has_text="turn3")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.locator("mark").count() == 0
    expect(page.locator("#task-search")).not_to_be_visible()


def test_what_differs_is_marked_and_the_judgment_goes_on_as_before(at_work):
    page = at_work
    page.get_by_role("button", name="Mark the differences").click()
    page.wait_for_selector("mark.difference")
    marked = {page.locator(f"[data-response={label}] mark.difference").all_inner_texts()[0] for label in "AB"}
    assert marked == {"24", "42"}
    expect(page.locator("mark.difference")).to_have_count(2)
    assert axe(page) == []
    page.keyboard.press("y")
    assert page.locator("mark").count() == 0
    assert page.locator(".response .prose").first.inner_text() in (
        NEAR.replace("**", ""),
        NEAR.replace("**", "").replace("24", "42"),
    )
    page.keyboard.press("6")
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.filter(strengths=[1]).exists())


def test_the_readers_choices_outlive_a_reload_and_the_guideline_stands_beside(at_work):
    page = at_work

    def side_by_side():
        first, second = [one.bounding_box() for one in page.locator(".response").all()]
        return first["y"] == second["y"]

    size = "getComputedStyle(document.querySelector('.response .prose')).fontSize"
    assert side_by_side() and page.evaluate(size) == "16px"
    page.keyboard.press("l")
    page.keyboard.press(">")
    page.keyboard.press("g")
    page.reload()
    wait_for_task(page)
    assert not side_by_side() and page.evaluate(size) == "18.4px"
    panel, task = page.locator("#guideline-dialog").bounding_box(), page.locator(".task").bounding_box()
    assert panel["x"] >= task["x"] + task["width"]
    page.keyboard.press("3")  # the keys of the task go on working
    expect(page.locator("input[name=scale][value='3']")).to_be_checked()
    page.keyboard.press("r")
    expect(page.locator("#guideline-dialog")).not_to_be_visible()


def test_the_scale_is_in_the_window_at_every_size(at_work):
    page = at_work
    for width, height in ((1280, 720), (390, 800), (320, 568), (667, 375)):
        page.set_viewport_size({"width": width, "height": height})
        for name in (".scale", ".btn-submit"):
            box = page.locator(name).bounding_box()
            assert box["y"] >= 0 and box["y"] + box["height"] <= height, (width, name)
        assert page.locator(".task-footer").bounding_box()["height"] <= 0.45 * height
        assert page.evaluate("document.documentElement.scrollWidth") == width
        wide = (
            "[...document.querySelectorAll('.point-face')].filter(e => e.scrollWidth > e.clientWidth).length"
        )
        assert page.evaluate(wide) == 0
