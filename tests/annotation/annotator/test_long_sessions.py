"""Whole sessions in a real browser: a hundred judgments by keyboard through cuts and a log-out, and rankings ordered in
every way by chance: what is stored is what the screen said.
"""

import random

import pytest
from django.contrib.sessions.models import Session

from annotation.models import Assignment, Judgment
from annotation.preferences.scale import tiers_to_labels
from tests.annotation.annotator.test_ranking_page import one_move, tiers_on_screen
from tests.annotation.annotator.test_ranking_ways import answer_by
from tests.annotation.annotator.waiting import (
    wait_for_agreeing_counters,
    wait_for_another,
    wait_for_task,
    wait_until,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
POINTS = {"1": ("A", 3), "2": ("A", 2), "3": ("A", 1), "4": ("A", 0)}
POINTS |= {"5": ("B", 0), "6": ("B", 1), "7": ("B", 2), "8": ("B", 3)}


def test_a_hundred_judgments_by_keyboard_through_three_cuts_and_a_log_out(
    forgiving_page, ada, make_batch, address, open_as
):
    page, chance = forgiving_page, random.Random(100)
    make_batch(tasks=100)
    open_as(page, ada).goto(address("annotate"))
    said = {}
    for number in range(100):
        handle = wait_for_task(page)
        if number in (20, 50, 80):
            # The next one is here already: the page goes on without the network until nothing is left to judge.
            page.context.set_offline(True)
        if number == 65:
            Session.objects.all().delete()
        assert handle not in said
        said[handle] = chance.choice("012345678")
        page.keyboard.press(said[handle])
        page.keyboard.press("Enter")
        if number in (20, 50, 80):
            page.wait_for_selector("#work-page.is-offline")
            page.context.set_offline(False)
        if number == 65:
            wait_until(page, lambda: follow_to_login(page))
            page.locator("[name=username]").focus()
            page.keyboard.type("ada")
            page.keyboard.press("Tab")
            page.keyboard.type("correct horse battery")
            page.keyboard.press("Enter")
            page.wait_for_selector("#work-page")
        if number < 99:
            page.wait_for_function(
                "old => { const t = document.querySelector('.task'); return t && t.dataset.publicId !== old; }",
                arg=handle,
            )
    page.wait_for_selector(".no-tasks")
    wait_until(page, lambda: Judgment.objects.count() >= 100)
    stored = Judgment.objects.select_related("assignment")
    assert sorted(str(judgment.assignment.public_id) for judgment in stored) == sorted(said)
    for judgment in stored:
        tiers = tiers_to_labels(judgment.order_shown, judgment.tiers)
        key = said[str(judgment.assignment.public_id)]
        if key == "0":
            assert (tiers, judgment.strengths) == ([["A", "B"]], [])
        else:
            assert (tiers[0][0], judgment.strengths[0]) == POINTS[key]
    assert not Assignment.objects.exclude(state="submitted").exists()
    wait_for_agreeing_counters(page)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rankings_ordered_in_every_way_by_chance_are_stored_as_they_stand(
    page, ada, make_batch, address, open_as, seed
):
    chance = random.Random(seed)
    page.set_viewport_size({"width": 1280, "height": 2600})
    labels = list("ABCDEFG"[: chance.randint(3, 7)])
    make_batch(tasks=4, responses_per_task=len(labels))
    open_as(page, ada).goto(address("annotate"))
    for way in chance.sample(["typed", "guided", "typed", "guided"], 4):
        handle = wait_for_task(page)
        page.click(f"[data-way={way}]")
        if way == "typed":
            typed = chance.sample(labels, len(labels))
            expected = []
            for label in typed:
                if expected and chance.random() < 0.3:
                    page.keyboard.press(chance.choice("=+"))
                    expected[-1].append(label)
                else:
                    expected.append([label])
                page.keyboard.press(label.lower())
                if label != typed[-1] and chance.random() < 0.3:  # a slip, taken back
                    page.keyboard.press(typed[-1].lower())
                    page.keyboard.press("Backspace")
        else:
            rank = {label: chance.randrange(len(labels)) for label in labels}
            if chance.random() < 0.7:  # a slip, taken back
                page.keyboard.press("1")
                page.keyboard.press("Backspace")
            answer_by(page, rank)
            expected = [[one for one in labels if rank[one] == place] for place in sorted(set(rank.values()))]
        assert tiers_on_screen(page) == [sorted(tier) for tier in expected]
        for _ in range(chance.randrange(4)):
            one_move(page, chance, labels)
        assert page.locator(".is-moving").count() == 0
        for step in range(page.locator(".step").count()):
            fieldset = page.locator(".step").nth(step)
            if not fieldset.locator("input:checked").count():
                fieldset.focus()
                page.keyboard.press(chance.choice("1234"))
        seen = tiers_on_screen(page)
        strengths = page.eval_on_selector_all(
            ".step input:checked", "all => all.map(one => Number(one.value))"
        )
        page.keyboard.press("Control+Enter")
        wait_for_another(page, handle)
        wait_until(page, lambda handle=handle: Judgment.objects.filter(assignment__public_id=handle).exists())
        stored = Judgment.objects.get(assignment__public_id=handle)
        assert tiers_to_labels(stored.order_shown, stored.tiers) == seen
        assert stored.strengths == strengths
        assert stored.evidence["way"] == way


def follow_to_login(page):
    """By keyboard; a task that arrives in the same moment takes the focus, and the link has to be gone to again."""
    if page.locator("#work-page-notice a").is_visible():
        page.locator("#work-page-notice a").press("Enter")
        page.wait_for_timeout(500)
    return page.locator("[name=username]").is_visible()
