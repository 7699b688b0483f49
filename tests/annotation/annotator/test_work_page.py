"""The work page in a real browser: judging by keys, taking back, skipping, and where the focus is."""

import pytest
from playwright.sync_api import expect

from annotation.models import Assignment, Judgment
from annotation.preferences.scale import tiers_to_labels
from annotation.queue.actions import claim_task
from tests.annotation.annotator.waiting import (
    wait_for_agreeing_counters,
    wait_for_another,
    wait_for_task,
    wait_until,
)
from workspace.actions import publish_guideline

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_ten_pairs_are_judged_by_keyboard_alone(page, ada, make_batch, address, open_as):
    make_batch(tasks=10)
    open_as(page, ada).goto(address("overview"))
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Start").focus()
    page.keyboard.press("Enter")
    keys = ["1", "2", "3", "4", "5", "6", "7", "8", "0", "1"]
    pressed = {}
    for pressed_key in keys:
        handle = wait_for_task(page)
        page.keyboard.press(pressed_key)
        page.keyboard.press("Enter")
        pressed[handle] = pressed_key
        wait_for_another(page, handle)
    page.wait_for_selector(".no-tasks")
    wait_until(page, lambda: Judgment.objects.count() == 10)
    expected = {"1": ("A", 3), "2": ("A", 2), "3": ("A", 1), "4": ("A", 0)}
    expected |= {"5": ("B", 0), "6": ("B", 1), "7": ("B", 2), "8": ("B", 3)}
    for judgment in Judgment.objects.select_related("assignment"):
        said = pressed[str(judgment.assignment.public_id)]
        tiers = tiers_to_labels(judgment.order_shown, judgment.tiers)
        if said == "0":
            assert (tiers, judgment.strengths) == ([["A", "B"]], [])
        else:
            assert (tiers[0], judgment.strengths) == ([expected[said][0]], [expected[said][1]])


def test_enter_without_a_choice_says_what_is_missing(page, begin_work):
    handle = begin_work(page, tasks=1)
    page.keyboard.press("Enter")
    expect(page.locator("#task-problem")).to_contain_text("First choose which answer", use_inner_text=True)
    assert wait_for_task(page) == handle
    assert not Judgment.objects.exists()


def test_the_next_task_is_there_at_once(page, begin_work):
    handle = begin_work(page, tasks=4)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    page.wait_for_timeout(200)
    page.keyboard.press("7")
    held = []
    # The server hears of it, and answers, only when the next task is on screen.
    page.route("**/submit/", lambda route: held.append(route))
    page.keyboard.press("Enter")
    wait_for_another(page, handle)
    wait_until(page, lambda: held)
    assert not Judgment.objects.exists()
    for route in held:
        route.continue_()
    wait_until(page, lambda: Judgment.objects.count() == 1)


def test_the_last_answer_is_changed_and_the_task_on_screen_comes_back(page, begin_work):
    first = begin_work(page, tasks=3)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    second = wait_for_task(page)
    page.keyboard.press("n")
    page.keyboard.type("a thought about the second")
    page.keyboard.press("Escape")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    page.keyboard.press("z")
    page.wait_for_selector(".task-revising")
    expect(page.locator(".task")).to_have_attribute("data-public-id", first)
    expect(page.locator("input[name=scale][value='1']")).to_be_checked()
    page.keyboard.press("8")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    assert wait_for_task(page) == second
    expect(page.locator("[name=rationale]")).to_have_value("a thought about the second")
    wait_until(page, lambda: Judgment.objects.count() == 2)
    newest = Judgment.objects.current().get()
    assert tiers_to_labels(newest.order_shown, newest.tiers) == [["B"], ["A"]]


def test_skipping_by_key_leaves_the_task_to_others(page, begin_work, ruth, project):
    first = begin_work(page, tasks=2)
    page.keyboard.press("s")
    wait_for_another(page, first)
    skipped = Assignment.objects.get(public_id=first)
    wait_until(page, lambda: Assignment.objects.get(pk=skipped.pk).state == "skipped")
    # The other one is on the screen.
    assert claim_task(actor=ruth, project=project).task == skipped.task


def test_a_skip_is_undone_with_what_was_typed_and_the_task_behind_it_follows(page, begin_work):
    first = begin_work(page, tasks=3)
    page.keyboard.press("n")
    page.keyboard.type("a long thought")
    page.keyboard.press("Escape")
    page.keyboard.press("7")
    page.keyboard.press("s")
    wait_for_another(page, first)
    second = wait_for_task(page)
    expect(page.locator("#work-page-undo")).to_contain_text("Undo", use_inner_text=True)
    page.keyboard.press("2")
    page.keyboard.press("z")
    wait_for_another(page, second)
    assert wait_for_task(page) == first
    expect(page.locator("[name=rationale]")).to_have_value("a long thought")
    expect(page.locator("input[name=scale][value='7']")).to_be_checked()
    expect(page.locator("#work-page-undo")).not_to_be_visible()
    assert Assignment.objects.get(public_id=first).state == "leased"
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    assert wait_for_task(page) == second
    expect(page.locator("input[name=scale][value='2']")).to_be_checked()
    wait_until(page, lambda: Judgment.objects.count() == 1)
    assert Judgment.objects.get().rationale == "a long thought"
    wait_for_agreeing_counters(page)
    # By the button as well; and after an answer nothing is left to undo.
    page.keyboard.press("s")
    wait_for_another(page, second)
    page.click("#work-page-undo button")
    page.wait_for_function("old => document.querySelector('.task')?.dataset.publicId === old", arg=second)


def test_a_skipped_task_that_somebody_else_took_stays_away_and_says_so(
    forgiving_page, begin_work, ruth, project
):
    page = forgiving_page
    first = begin_work(page, tasks=2)
    page.keyboard.press("s")
    wait_for_another(page, first)
    wait_until(page, lambda: Assignment.objects.get(public_id=first).state == "skipped")
    assert claim_task(actor=ruth, project=project) is not None
    second = wait_for_task(page)
    page.keyboard.press("z")
    page.wait_for_selector("#work-page-notice:not([hidden])")
    expect(page.locator("#work-page-notice")).to_contain_text(
        "somebody else has taken it", use_inner_text=True
    )
    assert wait_for_task(page) == second
    expect(page.locator("#work-page-undo")).not_to_be_visible()


@pytest.mark.parametrize("width", [1280, 1000, 800, 600, 320])
def test_choosing_a_grade_moves_nothing(page, begin_work, width):
    page.set_viewport_size({"width": width, "height": 900})
    begin_work(page, tasks=1)
    height = "document.querySelector('.task-footer').getBoundingClientRect().height"
    before = page.evaluate(height)
    for digit in "123456780":
        page.keyboard.press(digit)
        assert page.evaluate(height) == before


def test_a_tie_is_shown_on_both_answers(page, begin_work):
    begin_work(page, tasks=1)
    rings = "[...document.querySelectorAll('.response')].map(e => getComputedStyle(e).boxShadow)"
    assert page.evaluate(rings) == ["none", "none"]
    page.keyboard.press("0")
    first, second = page.evaluate(rings)
    assert first == second != "none"


@pytest.mark.parametrize("responses", [2, 3])
@pytest.mark.parametrize("name", ["Guideline", "Keys"])
@pytest.mark.parametrize("close", ["Escape", "Close"])
def test_after_the_guideline_or_the_keys_enter_submits(
    page, begin_work, max_, project, responses, name, close
):
    publish_guideline(actor=max_, project=project, text="Prefer the kinder answer.")
    begin_work(page, tasks=1, responses_per_task=responses)
    page.set_viewport_size({"width": 900, "height": 900})  # no room beside the task: a dialog
    page.get_by_role("button", name=name).click()
    if close == "Escape":
        page.keyboard.press("Escape")
    else:
        page.get_by_role("button", name="Close").click()
    for digit in "3" * (responses - 1):
        page.keyboard.press(digit)
    page.get_by_role("button", name=name).click()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_selector(".no-tasks")
    assert page.locator("dialog[open]").count() == 0
    wait_until(page, lambda: Judgment.objects.exists())
    assert Judgment.objects.get().strengths == [1] * (responses - 1)


def test_after_a_click_on_the_theme_or_on_as_written_enter_submits(page, begin_work):
    begin_work(page, tasks=1)
    page.keyboard.press("3")
    page.locator("#theme-toggle").click()
    theme = page.get_attribute("html", "data-bs-theme")
    page.get_by_role("button", name="Answer A as written").click()
    page.keyboard.press("Enter")
    page.wait_for_selector(".no-tasks")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)


def test_after_a_refused_enter_the_ring_is_on_what_is_chosen(page, begin_work):
    begin_work(page, tasks=1)
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    focused = page.evaluate("document.activeElement.value")
    assert focused == page.locator("input[name=scale]:checked").get_attribute("value") == "2"
    page.keyboard.press("ArrowRight")  # counts from what is chosen
    expect(page.locator("input[name=scale]:checked")).to_have_attribute("value", "3")


def test_after_a_click_on_a_point_the_arrow_keys_scroll(page, begin_work):
    begin_work(page, tasks=1)
    page.locator(".point").nth(1).click()
    page.keyboard.press("ArrowDown")
    expect(page.locator("input[name=scale]:checked")).to_have_attribute("value", "2")
