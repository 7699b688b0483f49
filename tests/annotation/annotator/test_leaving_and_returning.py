"""Back, Forward and reload on the work page; the jump to the top; what a phone's page and forced colours show."""

import pytest
from playwright.sync_api import expect

from annotation.models import Judgment
from tests.annotation.annotator.test_stored_work import now, store, unsent
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# What a browser says when Back brings a page that it kept as it was.
KEPT_PAGE = "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


def test_back_after_an_offline_answer_shows_another_task(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=4)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.goto(address("overview"))
    page.goto(address("task", public_id=first))
    assert wait_for_task(page) == first
    page.context.set_offline(True)
    page.keyboard.press("7")
    page.keyboard.press("Enter")
    page.wait_for_function("old => document.querySelector('.task')?.dataset.publicId !== old", arg=first)
    page.context.set_offline(False)
    page.goto(address("overview"))
    page.go_back()
    second = wait_for_task(page)
    assert second != first
    assert page.url == address("annotate")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    # A reload as well.
    page.reload()
    assert wait_for_task(page) == second


@pytest.mark.parametrize("way", ["kept page", "new page"])
def test_a_task_judged_a_moment_ago_in_another_window_that_could_not_send_it_is_not_shown(
    page, ada, make_batch, address, open_as, way
):
    make_batch(tasks=4)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    store(page, "outbox", [unsent(first, address, by="another-window", at=now() + 60_000)])
    if way == "kept page":
        page.evaluate(KEPT_PAGE)
    else:
        page.reload()
    wait_for_another(page, first)
    assert wait_for_task(page) != first


def test_a_kept_page_shows_its_task_again_only_where_it_was_not_judged_since(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    other = page.context.new_page()
    other.goto(address("annotate"))
    assert wait_for_task(other) == first
    page.keyboard.press("2")
    page.evaluate(KEPT_PAGE)
    page.wait_for_load_state("networkidle")
    assert wait_for_task(page) == first
    expect(page.locator("input[name=scale][value='2']")).to_be_checked()
    other.keyboard.press("7")
    other.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    page.evaluate(KEPT_PAGE)
    wait_for_another(page, first)
    assert wait_for_task(page) != first


def test_after_a_submit_the_next_task_is_seen_from_its_top_at_once(page, ada, make_batch, address, open_as):
    make_batch(tasks=3, texts=["word " * 4000, "another " * 4000])
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("2")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    positions = page.evaluate(
        """() => new Promise((resolve) => {
        const before = window.scrollY;
        new MutationObserver(() => requestAnimationFrame(() => resolve([before, window.scrollY])))
          .observe(document.getElementById('work-page-task'), { childList: true });
        document.querySelector('.btn-submit').click(); })"""
    )
    assert positions[0] > 2000
    assert positions[1] == 0


TABLE = f"| {' | '.join(['a long heading'] * 9)} |\n|{'---|' * 9}\n| {' | '.join(['150.0 GB'] * 9)} |"
WIDE = f"```python\n{'x = 1; ' * 60}\n```\n\n{TABLE}"


@pytest.mark.parametrize("width", [320, 390])
def test_code_and_tables_in_a_prompt_scroll_and_do_not_widen_a_phones_page(
    page, ada, make_batch, address, open_as, width
):
    page.set_viewport_size({"width": width, "height": 800})
    make_batch(tasks=1, prompt=WIDE, texts=[WIDE, "Short."])
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    boxes = page.locator(".turn pre:not(.as-written), .turn .table-scroll")
    expect(boxes).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    inner = boxes.evaluate_all("boxes => boxes.map(box => box.scrollWidth > box.clientWidth)")
    assert inner == [True, True]


def test_the_chosen_grade_is_seen_in_forced_colours(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    page.emulate_media(forced_colors="active")
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.keyboard.press("2")
    colours = page.evaluate(
        """() => ['2', '3'].map(value => getComputedStyle(
        document.querySelector(`input[name=scale][value="${value}"]`).nextElementSibling).backgroundColor)"""
    )
    assert len(set(colours)) == 2
