"""The work page in a real browser: keys, drags, a dropped network, an ended session, hostile text, accessibility."""

import json
import random
import re
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from annotation import actions
from annotation.models import Assignment, Judgment, Response
from annotation.ordering import handles_of, to_handles
from tests.annotation.test_rendering import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def address(live_server, project):
    def build(name, **kwargs):
        return live_server.url + reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})

    return build


@pytest.fixture
def open_as(live_server, client):
    """Gives a browser page the session of somebody."""

    def give(page, person):
        client.force_login(person)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        page.context.add_cookies([cookie])
        return page

    return give


@pytest.fixture
def forgiving_page(browser):
    """For tests that break the network: its failed requests are errors on the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def wait_for_task(page):
    page.wait_for_selector(".task")
    return page.get_attribute(".task", "data-handle")


def wait_for_another(page, handle):
    page.wait_for_function(
        "old => { const t = document.querySelector('.task'); return t ? t.dataset.handle !== old"
        " : document.querySelector('.nothing-left'); }",
        arg=handle,
    )


def wait_until(page, holds, seconds=15):
    for _ in range(seconds * 20):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen in time")


def test_ten_pairs_are_judged_by_keyboard_alone(page, ada, make_batch, address, open_as):
    make_batch(tasks=10)
    open_as(page, ada).goto(address("home"))
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
    page.wait_for_selector(".nothing-left")
    wait_until(page, lambda: Judgment.objects.count() == 10)
    expected = {"1": ("A", 3), "2": ("A", 2), "3": ("A", 1), "4": ("A", 0)}
    expected |= {"5": ("B", 0), "6": ("B", 1), "7": ("B", 2), "8": ("B", 3)}
    for judgment in Judgment.objects.select_related("assignment"):
        said = pressed[str(judgment.assignment.handle)]
        tiers = to_handles(judgment.order_shown, judgment.tiers)
        if said == "0":
            assert (tiers, judgment.strengths) == ([["A", "B"]], [])
        else:
            assert (tiers[0], judgment.strengths) == ([expected[said][0]], [expected[said][1]])


def test_enter_without_a_choice_says_what_is_missing(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("work"))
    handle = wait_for_task(page)
    page.keyboard.press("Enter")
    assert "Choose a point" in page.inner_text("#task-problem")
    assert wait_for_task(page) == handle
    assert not Judgment.objects.exists()


def test_the_next_task_is_there_at_once(page, ada, make_batch, address, open_as):
    make_batch(tasks=4)
    open_as(page, ada).goto(address("work"))
    handle = wait_for_task(page)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    page.wait_for_timeout(200)
    page.keyboard.press("7")
    took = page.evaluate(
        """old => new Promise(done => { const begun = performance.now();
        new MutationObserver(() => { const t = document.querySelector('.task');
          if (t && t.dataset.handle !== old) done(performance.now() - begun); })
          .observe(document.getElementById('bench-task'), { childList: true });
        document.querySelector('.btn-submit').click(); })""",
        handle,
    )
    assert took < 100


def test_the_last_answer_is_changed_and_the_task_on_screen_comes_back(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=3)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
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
    assert page.get_attribute(".task", "data-handle") == first
    assert page.is_checked("input[name=scale][value='1']")
    page.keyboard.press("8")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    assert wait_for_task(page) == second
    assert page.input_value("[name=rationale]") == "a thought about the second"
    wait_until(page, lambda: Judgment.objects.count() == 2)
    newest = Judgment.objects.current().get()
    assert to_handles(newest.order_shown, newest.tiers) == [["B"], ["A"]]


def test_skipping_by_key_leaves_the_task_to_others(page, ada, make_batch, address, open_as):
    make_batch(tasks=2)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    page.keyboard.press("s")
    wait_for_another(page, first)
    wait_until(page, lambda: Assignment.objects.get(handle=first).state == "skipped")


def test_a_skip_is_undone_with_what_was_typed_and_the_task_behind_it_follows(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=3)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    page.keyboard.press("n")
    page.keyboard.type("a long thought")
    page.keyboard.press("Escape")
    page.keyboard.press("7")
    page.keyboard.press("s")
    wait_for_another(page, first)
    second = wait_for_task(page)
    assert "Undo" in page.inner_text("#bench-undo")
    page.keyboard.press("2")
    page.keyboard.press("z")
    wait_for_another(page, second)
    assert wait_for_task(page) == first
    assert page.input_value("[name=rationale]") == "a long thought"
    assert page.is_checked("input[name=scale][value='7']")
    assert not page.is_visible("#bench-undo")
    assert Assignment.objects.get(handle=first).state == "leased"
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    assert wait_for_task(page) == second
    assert page.is_checked("input[name=scale][value='2']")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    assert Judgment.objects.get().rationale == "a long thought"
    assert actions.reconcile() == []
    # By the button as well; and after an answer nothing is left to undo.
    page.keyboard.press("s")
    wait_for_another(page, second)
    page.click("#bench-undo button")
    page.wait_for_function("old => document.querySelector('.task')?.dataset.handle === old", arg=second)


def test_a_skipped_task_that_somebody_else_took_stays_away_and_says_so(
    forgiving_page, ada, ruth, project, make_batch, address, open_as
):
    page = forgiving_page
    make_batch(tasks=2)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    page.keyboard.press("s")
    wait_for_another(page, first)
    wait_until(page, lambda: Assignment.objects.get(handle=first).state == "skipped")
    assert actions.claim_task(actor=ruth, project=project) is not None
    second = wait_for_task(page)
    page.keyboard.press("z")
    page.wait_for_selector("#bench-notice:not([hidden])")
    assert "somebody else has taken it" in page.inner_text("#bench-notice")
    assert wait_for_task(page) == second
    assert not page.is_visible("#bench-undo")


def test_without_a_connection_going_back_says_so(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=3)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1 and Assignment.objects.count() == 3)
    page.wait_for_timeout(300)
    page.context.set_offline(True)
    page.keyboard.press("z")
    page.wait_for_selector("#bench-notice:not([hidden])")
    assert "No connection" in page.inner_text("#bench-notice")


def test_an_ended_session_with_nothing_prefetched_is_not_called_a_lost_connection(
    forgiving_page, ada, make_batch, address, open_as, client
):
    page = forgiving_page
    make_batch(tasks=1)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    page.wait_for_timeout(300)
    Session.objects.all().delete()
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    page.wait_for_selector(".task-waiting:has-text('logged in again')")
    assert "Log in again" in page.inner_text("#bench-notice")
    assert "connection" not in page.inner_text("#workbench")
    # Logged in again in another tab: what waited is sent, and the work goes on.
    open_as(page, ada)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.wait_for_selector(".nothing-left")
    wait_until(page, lambda: Judgment.objects.filter(assignment__handle=first).exists())


def test_a_dropped_network_loses_nothing(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=4)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    page.wait_for_timeout(300)
    page.context.set_offline(True)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    second = wait_for_task(page)
    page.wait_for_function(
        "() => document.getElementById('bench-state').textContent.includes('No connection')"
    )
    page.keyboard.press("6")
    page.keyboard.press("n")
    page.keyboard.type("half a thou")
    assert not Judgment.objects.exists()
    page.context.set_offline(False)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    page.wait_for_function("() => document.getElementById('bench-state').textContent === ''")
    # A reload in the middle of the second task brings back what was on the screen.
    page.goto(address("work"))
    assert wait_for_task(page) == second
    assert page.is_checked("input[name=scale][value='6']")
    assert page.input_value("[name=rationale]") == "half a thou"


def test_an_answer_whose_receipt_was_lost_is_stored_once(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=2)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    lost = []

    def lose(route):
        # The server gets it, the browser never hears of it.
        if not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route(re.compile("/submit/$"), lose)
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    page.wait_for_function("() => document.getElementById('bench-state').textContent === ''", timeout=15000)
    assert lost == [201]
    assert Judgment.objects.count() == 1


def test_an_ended_session_keeps_the_answer_until_after_the_login(
    forgiving_page, live_server, ada, make_batch, address, open_as
):
    page = forgiving_page
    make_batch(tasks=3)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    page.wait_for_timeout(300)
    Session.objects.all().delete()
    page.keyboard.press("8")
    page.keyboard.press("n")
    page.keyboard.type("clearly")
    page.keyboard.press("Control+Enter")
    page.get_by_role("link", name="Log in again").click()
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "correct horse battery")
    page.click("main button[type=submit]")
    assert wait_for_task(page) != first
    judgment = Judgment.objects.get()
    assert str(judgment.assignment.handle) == first
    assert (judgment.rationale, judgment.strengths) == ("clearly", [3])


def test_another_answer_from_a_second_window_is_given_back_and_not_dropped(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=2)
    open_as(page, ada).goto(address("work"))
    handle = wait_for_task(page)
    page.keyboard.press("3")
    # The draft, and its key with it, must be there for the second window.
    wait_until(page, lambda: bool(Assignment.objects.get(handle=handle).draft))
    second = page.context.new_page()
    second.goto(address("work"))
    assert wait_for_task(second) == handle
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    second.keyboard.press("7")
    second.keyboard.press("Enter")
    second.wait_for_selector("#bench-notice:not([hidden])")
    assert "You have judged this task already" in second.inner_text("#bench-notice")
    wait_for_another(second, handle)
    assert second.is_visible("#bench-notice")  # the next task does not take the sentence away
    assert Judgment.objects.get().strengths == [1]
    second.click("#bench-notice a")
    assert wait_for_task(second) == handle
    second.keyboard.press("Enter")  # what was chosen here is still chosen: now it is a correction
    wait_until(second, lambda: Judgment.objects.count() == 2)
    assert Judgment.objects.latest("pk").strengths == [2]


def test_a_csrf_token_that_went_away_is_renewed_unseen(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=2)
    open_as(page, ada).goto(address("work"))
    first = wait_for_task(page)
    page.wait_for_timeout(300)
    page.context.clear_cookies(name="csrftoken")
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1)


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
        page.keyboard.press(chance.choice("0123"))
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
    make_batch(tasks=3, k=k)
    open_as(page, ada).goto(address("work"))
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
        wait_until(page, lambda handle=handle: Judgment.objects.filter(assignment__handle=handle).exists())
        stored = Judgment.objects.get(assignment__handle=handle)
        assert to_handles(stored.order_shown, stored.tiers) == seen
        assert stored.strengths == grades


def test_digits_grade_the_steps_in_turn_without_touching_an_answer(page, ada, make_batch, address, open_as):
    make_batch(tasks=1, k=4)
    open_as(page, ada).goto(address("work"))
    wait_for_task(page)
    page.keyboard.press("Enter")
    assert "Say how much better A is than B" in page.inner_text("#task-problem")
    assert "Say how much better A is than B" in page.inner_text("[data-step='0'] .step-problem")
    for digit in "320":
        page.keyboard.press(digit)
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    assert Judgment.objects.get().strengths == [3, 2, 0]


def test_a_drag_makes_a_tie_and_a_gap_makes_a_rank(page, ada, make_batch, address, open_as):
    page.set_viewport_size({"width": 1280, "height": 1600})
    make_batch(tasks=1, k=4)
    open_as(page, ada).goto(address("work"))
    wait_for_task(page)

    def drag(handle, target):
        grip = page.locator(f".rank-card[data-response={handle}] .rank-card-head").bounding_box()
        goal = target.bounding_box()
        page.mouse.move(grip["x"] + 30, grip["y"] + 15)
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
    assert "rank 1 of 3" in page.inner_text("#bench-announcer")


def drag_to(page, handle, x, y, *, steps=12, settle=True):
    """Takes an answer by its bar and lets it go at a point of the window."""
    grip = page.locator(f".rank-card[data-response={handle}] .rank-card-head").bounding_box()
    page.mouse.move(grip["x"] + 30, grip["y"] + 15)
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
    make_batch(tasks=1, k=k)
    open_as(page, ada).goto(address("work"))
    wait_for_task(page)
    chance = random.Random(k)
    for _ in range(12):
        before = tiers_on_screen(page)
        assert all(len(tier) == 1 for tier in before)
        order = [tier[0] for tier in before]
        moved, row = chance.choice(order), chance.randrange(k - 1)
        box = page.locator(".between").nth(row).bounding_box()
        # Anywhere on the row, its question and its grades included.
        x = box["x"] + box["width"] * chance.choice([0.02, 0.1, 0.3, 0.7])
        y = box["y"] + box["height"] * chance.choice([0.1, 0.5, 0.9])
        drag_to(page, moved, x, y, steps=1 if fast else 12, settle=not fast)
        above = [handle for handle in order[: row + 1] if handle != moved]
        below = [handle for handle in order[row + 1 :] if handle != moved]
        assert tiers_on_screen(page) == [[handle] for handle in [*above, moved, *below]]


def test_dropped_beside_the_ranking_an_answer_goes_back(page, ada, make_batch, address, open_as):
    page.set_viewport_size({"width": 1280, "height": 1600})
    make_batch(tasks=1, k=4)
    open_as(page, ada).goto(address("work"))
    handle = wait_for_task(page)
    drag_to(page, "C", 500, 20)
    assert tiers_on_screen(page) == [["A"], ["B"], ["C"], ["D"]]
    assert page.locator(".is-moving, .is-target").count() == 0
    top = page.locator(".gap").first.bounding_box()
    drag_to(page, "C", 500, top["y"] - 10)
    assert tiers_on_screen(page) == [["C"], ["A"], ["B"], ["D"]]
    assert wait_for_task(page) == handle


@pytest.mark.parametrize("width", [1280, 1000, 800, 600, 320])
def test_choosing_a_grade_moves_nothing(page, ada, make_batch, address, open_as, width):
    page.set_viewport_size({"width": width, "height": 900})
    make_batch(tasks=1)
    open_as(page, ada).goto(address("work"))
    wait_for_task(page)
    height = "document.querySelector('.dock').getBoundingClientRect().height"
    before = page.evaluate(height)
    for digit in "123456780":
        page.keyboard.press(digit)
        assert page.evaluate(height) == before


def test_a_tie_is_shown_on_both_answers(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("work"))
    wait_for_task(page)
    rings = "[...document.querySelectorAll('.response')].map(e => getComputedStyle(e).boxShadow)"
    assert page.evaluate(rings) == ["none", "none"]
    page.keyboard.press("0")
    first, second = page.evaluate(rings)
    assert first == second != "none"


def test_where_ties_are_not_allowed_none_can_be_made(page, ada, max_, project, make_batch, address, open_as):
    from workspace.actions import change_question_settings

    change_question_settings(actor=max_, project=project, allow_ties=False, ask_rationale=False)
    make_batch(tasks=1, k=3)
    open_as(page, ada).goto(address("work"))
    wait_for_task(page)
    page.keyboard.press("b")
    page.keyboard.press("t")
    assert tiers_on_screen(page) == [["A"], ["B"], ["C"]]
    assert page.locator("[data-move=tie]").count() == 0


def test_a_ranking_is_made_by_touch_on_a_small_phone(browser, ada, make_batch, address, open_as):
    make_batch(tasks=1, k=3)
    context = browser.new_context(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    page = open_as(context.new_page(), ada)
    page.goto(address("work"))
    wait_for_task(page)
    page.get_by_role("button", name="Move answer C up").tap()
    assert tiers_on_screen(page) == [["A"], ["C"], ["B"]]
    for step in range(2):
        page.locator(".step").nth(step).locator(".grade").first.tap()
    page.get_by_role("button", name="Submit").tap()
    page.wait_for_selector(".nothing-left")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    key_of = handles_of(Judgment.objects.get().order_shown)
    assert Judgment.objects.get().tiers == [[key_of["A"]], [key_of["C"]], [key_of["B"]]]
    context.close()


def test_a_finger_drags_an_answer_between_two_others(browser, ada, make_batch, address, open_as):
    make_batch(tasks=1, k=3)
    context = browser.new_context(viewport={"width": 400, "height": 1400}, has_touch=True, is_mobile=True)
    page = open_as(context.new_page(), ada)
    page.goto(address("work"))
    wait_for_task(page)
    grip = page.locator(".rank-card[data-response=C] .rank-card-head").bounding_box()
    goal = page.locator(".between").first.bounding_box()
    touches = context.new_cdp_session(page)

    def touch(kind, *points):
        points = [{"x": x, "y": y} for x, y in points]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = grip["x"] + 60, grip["y"] + 20
    touch("touchStart", (x, y))
    page.wait_for_timeout(300)
    for part in range(1, 11):
        touch("touchMove", (x, y + (goal["y"] + goal["height"] / 2 - y) * part / 10))
    assert page.locator(".between.is-target").count() == 1
    touch("touchEnd")
    assert tiers_on_screen(page) == [["A"], ["C"], ["B"]]
    context.close()


def test_hostile_text_runs_nothing_and_fetches_nothing(
    page, live_server, ada, max_, project, make_batch, address, open_as
):
    texts = [text for text in HOSTILE if len(text) < 5000]
    if len(texts) % 2:
        texts.append("calm")
    from workspace.actions import publish_guideline

    publish_guideline(actor=max_, project=project, text="\n\n".join(texts))
    for number in range(0, len(texts), 9):
        chunk = (texts[number : number + 9] + ["calm"] * 9)[:9]
        make_batch(tasks=1, k=9, texts=[text if text.strip() else "calm" for text in chunk])
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_as(page, ada).goto(address("work"))
    shown = 0
    while page.wait_for_selector(".task, .nothing-left").get_attribute("class") == "task":
        handle = wait_for_task(page)
        assert page.locator("#bench-task :is(script, img, iframe, svg, style, link, form form)").count() == 0
        page.evaluate(
            """document.querySelectorAll('#bench-task .prose *').forEach(
            e => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))"""
        )
        page.keyboard.press("s")
        wait_for_another(page, handle)
        shown += 1
    assert shown >= 4
    page.goto(address("home"))
    assert dialogs == []
    assert [url for url in asked if not url.startswith((live_server.url, "data:"))] == []
    assert Response.objects.filter(text__contains="<script>").exists()


def axe(page):
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    return [(v["id"], [node["html"][:120] for node in v["nodes"]][:3]) for v in found["violations"]]


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

    open_as(page, ada).goto(address("home"))
    check("home")
    page.goto(address("guideline"))
    check("guideline")
    page.goto(address("work"))
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
    actions.close_batch(actor=max_, batch=pairs)
    rankings = make_batch(tasks=2, k=4)
    page.goto(address("work"))
    wait_for_task(page)
    page.keyboard.press("b")
    page.keyboard.press("t")
    page.keyboard.press("1")
    check("ranking")
    page.goto(address("home"))
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
    page.goto(address("work"))
    wait_for_task(page)
    small = page.evaluate(
        """() => [...document.querySelectorAll('#workbench :is(button, summary, .point, .flag, a)')]
        .filter(e => e.offsetParent).map(e => [e.textContent.trim().slice(0, 20), e.getBoundingClientRect()])
        .filter(([_, b]) => b.height < 43.5 || b.width < 43.5).map(([t, b]) => [t, b.width, b.height])"""
    )
    context.close()
    assert small == []
