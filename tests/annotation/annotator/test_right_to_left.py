"""The annotators' pages in a language that is written from right to left: every text of the pages in Hebrew letters, by
a catalog that the test makes; nothing is cut or lies over something else.
"""

import pytest
from playwright.sync_api import expect

from annotation.models import Judgment
from annotation.preferences.scale import tiers_to_labels
from tests.annotation.annotator.right_to_left import faults, in_hebrew_letters
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until
from workspace.actions import change_question_settings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MIRRORED = """() => {
  const box = (selector) => document.querySelector(selector).getBoundingClientRect();
  return { brand: box(".brand").left > box(".nav-end").left, scale: box("[value='1']").left > box("[value='8']").left };
}"""


@pytest.mark.parametrize("text", ["%(better)s is %(than)s %(worse)s", "{n} of {most} <strong>done</strong>"])
def test_placeholders_stay(text):
    changed = in_hebrew_letters(text)
    assert not set("ishodfne") & set(changed.replace("%(better)s", "").replace("%(than)s", "")
                                     .replace("%(worse)s", "").replace("{n}", "").replace("{most}", "")
                                     .replace("<strong>", "").replace("</strong>", ""))  # fmt: skip


def test_a_pair_is_mirrored_and_its_keys_mean_what_stands_on_them(
    hebrew_page, ada, make_batch, address, open_as
):
    page = hebrew_page
    make_batch(tasks=2, texts=["احفظ الخبز في كيس ورقي.", "Keep it in a bag."])
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("html")).to_have_attribute("lang", "he")
    assert page.evaluate(MIRRORED) == {"brand": True, "scale": True}
    assert faults(page) == []
    # Each text has the direction of its own letters.
    assert sorted(
        page.eval_on_selector_all(
            ".response .prose", "all => all.map(one => getComputedStyle(one).direction)"
        )
    ) == ["ltr", "rtl"]
    # The scale goes from right to left, and so does the arrow that leads on.
    page.keyboard.press("2")
    page.locator("[name=scale]:checked").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[name=scale]:checked")).to_have_value("3")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[name=scale]:checked")).to_have_value("2")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    judgment = Judgment.objects.get()
    assert tiers_to_labels(judgment.order_shown, judgment.tiers) == [["A"], ["B"]]
    assert judgment.strengths == [2]


def test_rankings_and_ones_own_pages_are_mirrored_whole(hebrew_page, ada, make_batch, address, open_as):
    page = hebrew_page
    make_batch(tasks=1, responses_per_task=3)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    assert faults(page) == []
    page.click("[data-way=typed]")
    page.keyboard.press("b")
    page.keyboard.press("a")
    order = page.locator("#typed-order")
    expect(order).to_have_text("B > A > …", use_inner_text=True)
    expect(order).to_have_attribute("dir", "ltr")
    assert faults(page) == []
    page.click("[data-way=guided]")
    page.wait_for_selector("#guided:not([hidden])")
    assert faults(page) == []
    for name in ("overview", "own_history", "conversations"):
        page.goto(address(name))
        assert faults(page) == []


def test_a_rating_is_mirrored_and_its_points_go_from_right_to_left(
    hebrew_page, ada, max_, project, make_batch, address, open_as
):
    page = hebrew_page
    marks = [
        {"name": "coherence", "label": "Coherence", "kind": "likert", "points": 7, "low": "poor", "high": "good",
         "required": True, "tasks": "one"},
        {"name": "tone", "label": "Tone", "kind": "choice", "choices": ["warm", "cold"]},
    ]  # fmt: skip
    change_question_settings(
        actor=max_, project=project, allow_ties=True, ask_rationale=False, asked={"marks": marks}
    )
    make_batch(tasks=2, responses_per_task=1, kind="rating")
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    assert page.evaluate(
        """() => { const [one, seven] = ["1", "7"].map((value) =>
          document.querySelector(`.task input[type=radio][value="${value}"]`).closest("label").getBoundingClientRect());
          return one.left > seven.left; }"""
    )
    assert faults(page) == []
    page.keyboard.press("6")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    [said] = Judgment.objects.get().marks.values()
    assert said == {"coherence": 6, "tone": "warm"}
