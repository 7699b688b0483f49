"""Whole conversations as answers, in a real browser: turns and their speakers, folding, search, differences."""

import pytest
from playwright.sync_api import expect

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.models import Judgment
from tests.annotation.annotator.waiting import wait_for_task, wait_until
from tests.axe import axe

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "Soak the rice first. " * 120 + "And **salt** comes last."


def talk(*texts):
    return [{"role": ("assistant", "user")[place % 2], "content": text} for place, text in enumerate(texts)]


ANSWERS = [
    talk("Rinse it twice.", "Why twice?", "Because of the starch.", "And then?", LONG),
    talk("Rinse it once.", "Is once enough?", "For most kinds of rice it is."),
    "Ask somebody who cooks.",
]


@pytest.fixture
def at_work(page, ada, max_, project, criterion, address, open_as):
    """The page of a task that compares the first so many of ANSWERS."""

    def open_page(size):
        batch = create_batch(
            actor=max_, project=project, criterion=criterion, name="Whole", responses_per_task=size
        )
        source = get_or_create_source(actor=max_, project=project, kind="import", name="file")
        messages = [{"role": "user", "content": "How do I cook rice?"}]
        [prompt] = add_prompts(actor=max_, project=project, rows=[{"messages": messages}])
        rows = [
            NewResponse(prompt=prompt, source=source, text=answer if isinstance(answer, str) else "",
                        turns=None if isinstance(answer, str) else answer)
            for answer in ANSWERS[:size]
        ]  # fmt: skip
        responses = add_responses(actor=max_, project=project, rows=rows)
        add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=prompt, responses=responses)])
        open_batch(actor=max_, batch=batch)
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        return page

    return open_page


def label_of(page, text):
    """The label under which the conversation that says this is shown."""
    return page.locator("[data-response]", has_text=text).get_attribute("data-response")


def test_a_pair_of_conversations_is_read_turn_by_turn_and_judged_by_keyboard(at_work):
    page = at_work(2)
    expect(page.get_by_text("Whole conversations are compared")).to_be_visible()
    expect(page.locator("#prompt .turn")).to_have_count(1)
    longer = label_of(page, "Rinse it twice.")
    turns = page.get_by_role("list", name=f"Conversation {longer}").locator("> li")
    assert [turn.locator(".turn-speaker").inner_text() for turn in turns.all()] == [
        "Assistant", "User", "Assistant", "User", "Assistant",
    ]  # fmt: skip
    last = turns.nth(4).locator("[data-turn]")
    folded = last.bounding_box()["height"]
    page.keyboard.press(".")
    assert last.bounding_box()["height"] > 2 * folded
    page.keyboard.press(".")
    assert last.bounding_box()["height"] == folded
    page.keyboard.press("/")
    page.keyboard.type("comes last")
    page.wait_for_selector("mark.search-match.is-current")
    expect(page.locator("#task-search-count")).to_have_text(f"1 of 1, answer {longer}", use_inner_text=True)
    assert last.bounding_box()["height"] > 2 * folded
    page.keyboard.press("Escape")
    page.keyboard.press("y")
    page.wait_for_selector("mark.difference")
    first_turn = f"[data-response={longer}] li:first-child mark.difference"
    assert page.locator(first_turn).all_inner_texts() == ["twice"]
    expect(page.locator(".differences-said")).to_contain_text("Compared turn by turn", use_inner_text=True)
    page.keyboard.press("y")
    page.keyboard.press("u")
    expect(page.locator(f"[data-response={longer}] [data-written]")).to_contain_text(
        "[user] Why twice?", use_inner_text=True
    )
    page.keyboard.press("u")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.count() == 1)


def test_conversations_are_ranked_beside_a_plain_answer(at_work):
    page = at_work(3)
    card = page.locator(".rank-card", has_text="Rinse it twice.")
    expect(card.locator(".dialogue > li")).to_have_count(5)
    assert page.locator(".rank-card", has_text="Ask somebody").locator(".dialogue").count() == 0
    card.locator(".btn-unfold").click()
    expect(card.locator("[data-turn]").nth(3)).to_be_visible()
    assert axe(page) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_axe_finds_nothing_on_a_pair_of_conversations(at_work, page, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    at_work(2)
    assert axe(page) == []
    page.get_by_role("button", name="Show all of this turn").click()
    expect(page.get_by_role("button", name="Shorten this turn")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
