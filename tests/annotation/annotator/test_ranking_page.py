"""The ranking page in a real browser: what is on the screen is what is stored, by keys, buttons, drags and touch."""

import random

import pytest
from playwright.sync_api import expect

from annotation.models import Judgment
from annotation.preferences.scale import labels_to_responses, tiers_to_labels
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def tiers_on_screen(page):
    """What a person sees, by geometry alone: cards grouped by the tier that surrounds them, from top to bottom."""
    boxes = page.evaluate(
        """() => { const box = e => { const b = e.getBoundingClientRect(); return [b.top, b.bottom]; };
        return { tiers: [...document.querySelectorAll('.tier')].map(box),
          cards: [...document.querySelectorAll('.rank-card')].map(c => [c.dataset.response, ...box(c)]) }; }"""
    )
    tiers = []
    for top, bottom in sorted(boxes["tiers"]):
        inside = [h for h, high, low in boxes["cards"] if top - 1 <= high and low <= bottom + 1]
        tiers.append(sorted(inside))
    return tiers


def one_move(page, chance, handles):
    handle = chance.choice(handles)
    card = page.locator(f".rank-card[data-response={handle}]")
    how = chance.choice(["key", "key", "button", "drag", "tie", "grade"])
    if how == "key":
        card.focus()
        page.keyboard.press(chance.choice(["ArrowUp", "ArrowDown"]))
    elif how == "tie":
        page.keyboard.press(handle.lower())
        page.keyboard.press("t")
    elif how == "grade":
        card.focus()
        page.keyboard.press(chance.choice("1234"))
    elif how == "button":
        button = card.locator(f"[data-move={chance.choice(['up', 'down', 'tie'])}]")
        if button.is_enabled():
            button.click()
    else:
        target = page.locator(chance.choice([".slot-gap", ".slot-tier"]))
        target = target.nth(chance.randrange(target.count()))
        grip = card.locator(".rank-card-head").bounding_box()
        goal = target.bounding_box()
        page.mouse.move(grip["x"] + 30, grip["y"] + 15)
        wait_for_dragging(page)
        page.mouse.down()
        page.mouse.move(grip["x"] + 40, grip["y"] + 25, steps=3)
        page.mouse.move(goal["x"] + 60, goal["y"] + goal["height"] / 2, steps=8)
        page.mouse.move(goal["x"] + 62, goal["y"] + goal["height"] / 2, steps=2)
        page.mouse.up()
        page.wait_for_timeout(200)


@pytest.mark.parametrize(("k", "seed"), [(3, 1), (4, 2), (9, 5)])
def test_the_stored_ranking_is_the_one_on_the_screen(page, ada, make_batch, address, open_as, k, seed):
    chance = random.Random(seed)
    page.set_viewport_size({"width": 1280, "height": 2400})
    make_batch(tasks=3, responses_per_task=k)
    open_as(page, ada).goto(address("annotate"))
    for _ in range(3):
        handle = wait_for_task(page)
        page.wait_for_timeout(100)
        for _ in range(8):
            one_move(page, chance, "ABCDEFGHI"[:k])
        for step in range(page.locator(".step").count()):
            fieldset = page.locator(".step").nth(step)
            if not fieldset.locator("input:checked").count():
                fieldset.locator("input").nth(chance.randrange(4)).check(force=True)
        seen = tiers_on_screen(page)
        grades = page.eval_on_selector_all(
            ".step input:checked", "radios => radios.map(r => Number(r.value))"
        )
        assert sorted(h for tier in seen for h in tier) == list("ABCDEFGHI"[:k])
        page.keyboard.press("Control+Enter")
        wait_for_another(page, handle)
        wait_until(page, lambda handle=handle: Judgment.objects.filter(assignment__public_id=handle).exists())
        stored = Judgment.objects.get(assignment__public_id=handle)
        assert tiers_to_labels(stored.order_shown, stored.tiers) == seen
        assert stored.strengths == grades


def test_digits_grade_the_steps_in_turn_without_touching_an_answer(page, ada, make_batch, address, open_as):
    make_batch(tasks=1, responses_per_task=4)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.keyboard.press("Enter")
    expect(page.locator("#task-problem")).to_contain_text(
        "Say how much better A is than B", use_inner_text=True
    )
    expect(page.locator("[data-step='0'] .step-problem")).to_contain_text(
        "Say how much better A is than B", use_inner_text=True
    )
    for digit in "124":
        page.keyboard.press(digit)
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    assert Judgment.objects.get().strengths == [3, 2, 0]


def test_a_drag_makes_a_tie_and_a_gap_makes_a_rank(page, ada, make_batch, address, open_as):
    page.set_viewport_size({"width": 1280, "height": 1600})
    make_batch(tasks=1, responses_per_task=4)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)

    def drag(handle, target):
        grip = page.locator(f".rank-card[data-response={handle}] .rank-card-head").bounding_box()
        goal = target.bounding_box()
        page.mouse.move(grip["x"] + 30, grip["y"] + 15)
        wait_for_dragging(page)
        page.mouse.down()
        page.mouse.move(grip["x"] + 40, grip["y"] + 25, steps=3)
        page.mouse.move(goal["x"] + 80, goal["y"] + goal["height"] / 2, steps=10)
        page.mouse.move(goal["x"] + 84, goal["y"] + goal["height"] / 2, steps=3)
        page.mouse.up()
        page.wait_for_timeout(250)

    drag("D", page.locator(".slot-tier").first)
    assert tiers_on_screen(page) == [["A", "D"], ["B"], ["C"]]
    drag("C", page.locator(".slot-gap").first)
    assert tiers_on_screen(page) == [["C"], ["A", "D"], ["B"]]
    expect(page.locator("#work-page-announcer")).to_contain_text("rank 1 of 3", use_inner_text=True)


def wait_for_dragging(page):
    """Its script comes with the first ranking, behind the task."""
    page.wait_for_function("() => Boolean(window.Sortable?.get(document.querySelector('.slot-tier')))")


def drag_to(page, handle, x, y, *, steps=12, settle=True):
    """Takes an answer by its bar and lets it go at a point of the window."""
    grip = page.locator(f".rank-card[data-response={handle}] .rank-card-head").bounding_box()
    page.mouse.move(grip["x"] + 30, grip["y"] + 15)
    wait_for_dragging(page)
    page.mouse.down()
    page.mouse.move(grip["x"] + 40, grip["y"] + 25, steps=3)
    page.mouse.move(x, y, steps=steps)
    if settle:
        page.mouse.move(x + 2, y, steps=2)
    page.mouse.up()
    page.wait_for_timeout(50)


@pytest.mark.parametrize("k", [4, 9])
@pytest.mark.parametrize("fast", [False, True])
def test_dropped_on_the_row_between_two_answers_it_lies_between_them(
    page, ada, make_batch, address, open_as, k, fast
):
    page.set_viewport_size({"width": 1280, "height": 2600})
    make_batch(tasks=1, responses_per_task=k)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    chance = random.Random(k)
    for _ in range(12):
        before = tiers_on_screen(page)
        assert all(len(tier) == 1 for tier in before)
        order = [tier[0] for tier in before]
        moved, row = chance.choice(order), chance.randrange(k - 1)
        box = page.locator(".step-row").nth(row).bounding_box()
        # Anywhere on the row, its question and its grades included.
        x = box["x"] + box["width"] * chance.choice([0.02, 0.1, 0.3, 0.7])
        y = box["y"] + box["height"] * chance.choice([0.1, 0.5, 0.9])
        drag_to(page, moved, x, y, steps=1 if fast else 12, settle=not fast)
        above = [handle for handle in order[: row + 1] if handle != moved]
        below = [handle for handle in order[row + 1 :] if handle != moved]
        assert tiers_on_screen(page) == [[handle] for handle in [*above, moved, *below]]


def test_dropped_beside_the_ranking_an_answer_goes_back(page, ada, make_batch, address, open_as):
    page.set_viewport_size({"width": 1280, "height": 1600})
    make_batch(tasks=1, responses_per_task=4)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
    drag_to(page, "C", 500, 20)
    assert tiers_on_screen(page) == [["A"], ["B"], ["C"], ["D"]]
    assert page.locator(".is-moving, .is-target").count() == 0
    top = page.locator(".gap").first.bounding_box()
    drag_to(page, "C", 500, top["y"] - 10)
    assert tiers_on_screen(page) == [["C"], ["A"], ["B"], ["D"]]
    assert wait_for_task(page) == handle


def test_where_ties_are_not_allowed_none_can_be_made(page, ada, max_, project, make_batch, address, open_as):
    from workspace.actions import change_question_settings

    change_question_settings(actor=max_, project=project, allow_ties=False, ask_rationale=False)
    make_batch(tasks=1, responses_per_task=3)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.keyboard.press("b")
    page.keyboard.press("t")
    assert tiers_on_screen(page) == [["A"], ["B"], ["C"]]
    assert page.locator("[data-move=tie]").count() == 0


def test_a_ranking_is_made_by_touch_on_a_small_phone(browser, ada, make_batch, address, open_as):
    make_batch(tasks=1, responses_per_task=3)
    context = browser.new_context(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    page = open_as(context.new_page(), ada)
    page.goto(address("annotate"))
    wait_for_task(page)
    page.get_by_role("button", name="Move answer C up").tap()
    wait_until(page, lambda: tiers_on_screen(page) == [["A"], ["C"], ["B"]])
    for step in range(2):
        page.locator(".step").nth(step).locator(".strength").first.tap()
    page.get_by_role("button", name="Submit").tap()
    page.wait_for_selector(".no-tasks")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    key_of = labels_to_responses(Judgment.objects.get().order_shown)
    assert Judgment.objects.get().tiers == [[key_of["A"]], [key_of["C"]], [key_of["B"]]]
    context.close()


def test_a_finger_drags_an_answer_between_two_others(browser, ada, make_batch, address, open_as):
    make_batch(tasks=1, responses_per_task=3)
    context = browser.new_context(viewport={"width": 400, "height": 1400}, has_touch=True, is_mobile=True)
    page = open_as(context.new_page(), ada)
    page.goto(address("annotate"))
    wait_for_task(page)
    grip = page.locator(".rank-card[data-response=C] .rank-card-head").bounding_box()
    goal = page.locator(".step-row").first.bounding_box()
    touches = context.new_cdp_session(page)

    def touch(kind, *points):
        points = [{"x": x, "y": y} for x, y in points]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = grip["x"] + 60, grip["y"] + 20
    touch("touchStart", (x, y))
    page.wait_for_timeout(300)
    for part in range(1, 11):
        touch("touchMove", (x, y + (goal["y"] + goal["height"] / 2 - y) * part / 10))
    expect(page.locator(".step-row.is-target")).to_have_count(1)
    touch("touchEnd")
    wait_until(page, lambda: tiers_on_screen(page) == [["A"], ["C"], ["B"]])
    context.close()


def test_reading_and_scrolling_moves_no_answer(page, ada, make_batch, address, open_as):
    """A click into a text and arrow-down, as people read a long answer: the order and the grades stay."""
    page.set_viewport_size({"width": 1280, "height": 500})
    make_batch(tasks=1, responses_per_task=4)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    for label in "ABCD":
        page.locator(f".rank-card[data-response={label}] .rank-card-body").click()
        for key in ("ArrowDown", "ArrowUp", "ArrowDown", "ArrowDown", "t"):
            page.keyboard.press(key)
    assert tiers_on_screen(page) == [["A"], ["B"], ["C"], ["D"]]
    wait_until(page, lambda: page.evaluate("window.scrollY") > 0)
    # After a click on a strength too: on its radio button the arrow keys would choose another one.
    page.locator(".step").first.locator(".strength").nth(1).click()
    page.keyboard.press("ArrowDown")
    assert page.eval_on_selector_all(".step input:checked", "radios => radios.map(r => r.value)") == ["2"]


@pytest.mark.parametrize("how", ["letter", "bar", "button"])
def test_arrows_move_the_answer_that_was_picked(page, ada, make_batch, address, open_as, how):
    page.set_viewport_size({"width": 1280, "height": 1600})
    make_batch(tasks=1, responses_per_task=4)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.locator(".rank-card[data-response=A] .rank-card-body").click()
    if how == "letter":
        page.keyboard.press("d")
        page.keyboard.press("ArrowUp")
    elif how == "bar":
        page.locator(".rank-card[data-response=D] .rank-card-head").click(position={"x": 60, "y": 20})
        page.keyboard.press("ArrowUp")
    else:
        page.get_by_role("button", name="Move answer D up").click()
    assert tiers_on_screen(page) == [["A"], ["B"], ["D"], ["C"]]
    outline = page.locator(".rank-card[data-response=D]").evaluate(
        "card => getComputedStyle(card).outlineStyle"
    )
    assert outline == "solid"  # what the keys act on is marked
    page.keyboard.press("ArrowUp")
    assert tiers_on_screen(page) == [["A"], ["D"], ["B"], ["C"]]
    page.locator(".rank-card[data-response=D] .rank-card-body").click()
    page.keyboard.press("ArrowUp")
    assert tiers_on_screen(page) == [["A"], ["D"], ["B"], ["C"]]


def test_the_same_digit_says_the_same_in_the_pair_and_in_the_ranking_behind_it(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=1)
    make_batch(tasks=1, responses_per_task=4)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    assert page.locator(".step").first.locator("kbd").all_inner_texts() == ["1", "2", "3", "4", "0"]
    for digit in "1014":  # A over B; B and C tie; asked anew, A over both; both over D
        page.keyboard.press(digit)
    assert tiers_on_screen(page) == [["A"], ["B", "C"], ["D"]]
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.count() == 2)
    pair, ranking = Judgment.objects.order_by("pk")
    assert (pair.strengths, ranking.strengths) == ([3], [3, 0])
    assert tiers_to_labels(ranking.order_shown, ranking.tiers) == [["A"], ["B", "C"], ["D"]]
