"""A ranking put in order by letters that are typed, and by questions about two answers, in a real browser."""

from math import ceil, log2

import pytest
from playwright.sync_api import expect

from annotation.models import Judgment
from annotation.preferences.scale import tiers_to_labels
from tests.annotation.annotator.test_ranking_page import tiers_on_screen
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until
from tests.axe import axe
from workspace.actions import change_question_settings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def at_ranking(page, ada, make_batch, address, open_as):
    """Opens a ranking of `k` answers, and gives its public id."""

    def open_it(k, tasks=1):
        make_batch(tasks=tasks, responses_per_task=k)
        open_as(page, ada).goto(address("annotate"))
        return wait_for_task(page)

    return open_it


def answer_by(page, rank, *, how="key", limit=60):
    """Answers every question from `rank` (0 is best), by key or by click; how many there were."""
    asked = 0
    while page.is_visible("#guided") and asked < limit:
        first, second = page.eval_on_selector_all(
            "#guided-pair .rank-card", "cards => cards.map(card => card.dataset.response)"
        )
        verdict = (rank[first] > rank[second]) - (rank[first] < rank[second])
        if how == "key":
            page.keyboard.press({-1: "1", 0: "0", 1: "2"}[verdict])
        else:
            page.click(f".guided-answer[data-better='{ {-1: '0', 0: 'tie', 1: '1'}[verdict] }']")
        asked += 1
    return asked


def stored_labels():
    judgment = Judgment.objects.get()
    return tiers_to_labels(judgment.order_shown, judgment.tiers), judgment.strengths


def test_nine_letters_rank_nine_answers_and_eight_digits_grade_them(page, at_ranking):
    at_ranking(9)
    page.keyboard.press("o")
    for letter in "ihgfedcba":
        page.keyboard.press(letter)
    assert tiers_on_screen(page) == [[label] for label in "IHGFEDCBA"]
    for digit in "12341234":
        page.keyboard.press(digit)
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    assert stored_labels() == ([[label] for label in "IHGFEDCBA"], [3, 2, 1, 0] * 2)


def test_letters_with_ties_and_slips(page, at_ranking):
    at_ranking(5)
    page.keyboard.press("o")
    for key in ["c", "=", "a", "c", "e", "Backspace", "+", "Backspace", "d", "+", "b"]:
        page.keyboard.press(key)
    expect(page.locator("#typed-order")).to_have_text("C = A > D = B > …", use_inner_text=True)
    page.keyboard.press("Enter")
    expect(page.locator("#task-problem")).to_contain_text("E has no place yet", use_inner_text=True)
    page.keyboard.press("e")
    assert tiers_on_screen(page) == [["A", "C"], ["B", "D"], ["E"]]
    page.keyboard.press("Backspace")  # the last letter again
    expect(page.locator("#typed")).to_be_visible()
    page.keyboard.press("=")
    page.keyboard.press("e")
    assert tiers_on_screen(page) == [["A", "C"], ["B", "D", "E"]]
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    assert stored_labels() == ([["A", "C"], ["B", "D", "E"]], [2])


def test_escape_leaves_the_letters_and_they_pick_answers_again(page, at_ranking):
    at_ranking(3)
    for key in ("o", "c", "Escape", "c", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator("#typed")).to_be_hidden()
    assert tiers_on_screen(page) == [["A"], ["C"], ["B"]]


def test_the_way_chosen_last_is_that_of_the_next_ranking(page, at_ranking):
    first = at_ranking(3, tasks=2)
    page.click("[data-way=typed]")
    for key in ("c", "b", "a", "1", "1", "Enter"):
        page.keyboard.press(key)
    wait_for_another(page, first)
    expect(page.locator("#typed")).to_be_visible()
    for letter in "bca":
        page.keyboard.press(letter)
    assert tiers_on_screen(page) == [["B"], ["C"], ["A"]]


def test_letters_by_touch_on_a_small_phone(browser, ada, make_batch, address, open_as):
    make_batch(tasks=1, responses_per_task=4)
    context = browser.new_context(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    page = open_as(context.new_page(), ada)
    page.goto(address("annotate"))
    wait_for_task(page)
    page.tap("[data-way=typed]")
    for label in "DB":
        page.tap(f"[data-type={label}]")
    page.tap("[data-type-tie]")
    page.tap("[data-type=A]")
    page.tap("[data-type=C]")
    wait_until(page, lambda: tiers_on_screen(page) == [["D"], ["A", "B"], ["C"]])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()


@pytest.mark.parametrize("how", ["key", "click"])
def test_questions_find_the_order_of_nine(page, at_ranking, how):
    at_ranking(9)
    page.keyboard.press("q")
    rank = dict(zip("ABCDEFGHI", [4, 1, 3, 1, 0, 5, 3, 2, 4], strict=True))
    expect(page.locator("#guided-count")).to_contain_text("of at most 21", use_inner_text=True)
    assert answer_by(page, rank, how=how) <= sum(ceil(log2(i + 1)) for i in range(1, 9))
    expected = [["E"], ["B", "D"], ["H"], ["C", "G"], ["A", "I"], ["F"]]
    assert tiers_on_screen(page) == expected
    for digit in "12341":
        page.keyboard.press(digit)
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    assert stored_labels() == (expected, [3, 2, 1, 0, 3])


def test_questions_go_on_after_a_reload_and_the_last_is_taken_back(page, at_ranking):
    handle = at_ranking(6)
    page.keyboard.press("q")
    page.keyboard.press("1")  # A over B
    page.keyboard.press("2")  # a slip: C over A
    page.keyboard.press("Backspace")
    expect(page.locator("#guided-count")).to_have_text("Question 2 of at most 11", use_inner_text=True)
    asked = page.inner_text("#guided-title")
    page.keyboard.press("Enter")
    expect(page.locator("#task-problem")).to_contain_text("Say which is better", use_inner_text=True)
    page.reload()
    assert wait_for_task(page) == handle
    expect(page.locator("#guided-title")).to_have_text(asked, use_inner_text=True)
    expect(page.locator("#guided-count")).to_have_text("Question 2 of at most 11", use_inner_text=True)
    answer_by(page, {label: rank for rank, label in enumerate("ABCDEF")})
    assert tiers_on_screen(page) == [[label] for label in "ABCDEF"]
    page.keyboard.press("Backspace")
    expect(page.locator("#guided")).to_be_visible()


def test_who_goes_on_by_hand_keeps_what_the_questions_have_told(page, at_ranking):
    at_ranking(4)
    page.keyboard.press("q")
    page.keyboard.press("2")  # B over A
    page.keyboard.press("Escape")
    assert tiers_on_screen(page) == [["B"], ["A"], ["C"], ["D"]]


def test_an_answer_against_the_order_is_shown_and_settled(page, at_ranking):
    """Of A > B > C > D, by hand C goes over B, which the questions had said otherwise; then they are asked again."""
    at_ranking(4)
    page.keyboard.press("q")
    answer_by(page, {label: rank for rank, label in enumerate("ABCD")})
    assert page.locator("#guided-contradictions li").count() == 0
    page.keyboard.press("c")
    page.keyboard.press("ArrowUp")
    said = page.locator("#guided-contradictions li")
    expect(said).to_have_count(1)
    expect(said).to_contain_text(
        "You said that B is better than C. The order says otherwise.", use_inner_text=True
    )
    said.get_by_role("button", name="Keep the order of B and C").click()
    assert page.locator("#guided-contradictions li").count() == 0
    assert tiers_on_screen(page) == [["A"], ["C"], ["B"], ["D"]]
    page.locator(".guided-said summary").click()
    page.get_by_role("button", name="Ask again about A and B").click()
    expect(page.locator("#guided-title")).to_have_text("Which is better, A or B?", use_inner_text=True)
    page.keyboard.press("2")
    # What hung on it is asked anew; the rest is known.
    answer_by(page, dict(zip("BACD", range(4), strict=True)))
    assert tiers_on_screen(page)[0] == ["B"]
    assert sorted(label for tier in tiers_on_screen(page) for label in tier) == list("ABCD")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_both_ways_are_accessible_and_fit(page, at_ranking, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    at_ranking(4)
    for way, panel in (("typed", "#typed"), ("guided", "#guided")):
        page.click(f"[data-way={way}]")
        expect(page.locator(panel)).to_be_visible()
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_where_the_project_says_so_large_rankings_begin_by_questions_until_somebody_chooses_another_way(
    page, at_ranking, project, max_, make_batch
):
    change_question_settings(
        actor=max_, project=project, allow_ties=True, ask_rationale=False, asked={"guided_first": True}
    )
    make_batch(tasks=1, responses_per_task=5)
    first = at_ranking(6, tasks=3)
    expect(page.locator(".rank-card")).to_have_count(5)
    expect(page.locator("#guided")).not_to_be_visible()
    page.keyboard.type("1111")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    second = wait_for_task(page)
    page.wait_for_selector("#guided:not([hidden])")
    expect(page.locator("[data-way=guided]")).to_have_attribute("aria-pressed", "true")
    # Escape is of this ranking alone: the next begins by questions again.
    page.keyboard.press("Escape")
    page.wait_for_selector("#guided", state="hidden")
    page.keyboard.type("11111")
    page.keyboard.press("Enter")
    wait_for_another(page, second)
    third = wait_for_task(page)
    page.wait_for_selector("#guided:not([hidden])")
    page.click("[data-way=moved]")
    page.keyboard.type("11111")
    page.keyboard.press("Enter")
    wait_for_another(page, third)
    wait_for_task(page)
    expect(page.locator("#guided")).not_to_be_visible()
    wait_until(page, lambda: Judgment.objects.count() == 3)
