"""The keys of the work page on layouts that write other signs: Chromium is sent a sign and the place of its key."""

import pytest
from playwright.sync_api import expect

from annotation.models import Assignment
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHIFT = 8


def press(page, key, code, modifiers=0):
    session = page.context.new_cdp_session(page)
    for kind in ("keyDown", "keyUp"):
        session.send(
            "Input.dispatchKeyEvent", {"type": kind, "key": key, "code": code, "modifiers": modifiers}
        )
    session.detach()


def chosen(page):
    return page.evaluate("document.querySelector('input[name=scale]:checked')?.value ?? null")


def test_digits_and_letters_work_by_their_place_where_the_layout_writes_other_signs(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    for key, code, value in [
        ('"', "Digit3", "3"),  # AZERTY, as it lies
        ("è", "Digit7", "7"),
        ("à", "Digit0", "0"),
        ("٢", "Digit2", "2"),  # Arabic
        ("8", "Digit8", "8"),  # Cyrillic
        ("5", "Numpad5", "5"),
    ]:
        press(page, key, code)
        assert chosen(page) == value, key
    press(page, "4", "Digit4", SHIFT)  # AZERTY, with Shift
    assert chosen(page) == "4"
    # A sign that is written with Shift is no digit; a Latin letter counts as what it writes (Dvorak, AZERTY).
    press(page, "!", "Digit1", SHIFT)
    for key, code in [("o", "KeyS"), (";", "KeyZ"), ("b", "KeyN")]:
        press(page, key, code)
    assert (chosen(page), wait_for_task(page)) == ("4", first)
    # A question mark over the 7 of a Cyrillic keyboard opens the list and chooses nothing.
    press(page, "?", "Digit7", SHIFT)
    expect(page.locator("#keys-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    assert chosen(page) == "4"
    press(page, "т", "KeyN")
    assert page.evaluate("document.querySelector('.note').open")
    page.keyboard.press("Escape")
    press(page, "ы", "KeyS")
    wait_for_another(page, first)
    wait_until(page, lambda: Assignment.objects.get(public_id=first).state == "skipped")
    second = wait_for_task(page)
    press(page, "ئ", "KeyZ")  # Arabic
    wait_for_another(page, second)
    assert wait_for_task(page) == first


def test_a_ranking_is_ordered_by_cyrillic_letters(page, ada, make_batch, address, open_as):
    make_batch(tasks=1, responses_per_task=3)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    press(page, "с", "KeyC")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("[...document.querySelectorAll('.rank-card')].map(c => c.dataset.response)") == [
        "A",
        "C",
        "B",
    ]
    press(page, "е", "KeyT")
    assert page.evaluate("document.querySelectorAll('.tier').length") == 2
