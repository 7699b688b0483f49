"""The one table of keys: what the dialog shows, what the page hints at and what the script does come from it."""

import json
import re
from dataclasses import replace

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from annotation.annotator import pages, shortcuts
from annotation.annotator.shortcuts import (
    EVERY_TASK,
    GUIDED,
    PAIR,
    RANKING,
    RATING,
    SHORTCUT_GROUPS,
    TYPED,
    Shortcut,
    key_caps,
    shortcut_table,
)
from annotation.models import Assignment
from annotation.preferences.scale import SCALE_POINTS, TIE
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until

WITHOUT_SINGLE_KEYS = {"Enter", "ArrowUp", "ArrowDown", "Backspace", "Escape"}


def test_no_key_has_two_meanings_on_one_page():
    keys = {EVERY_TASK: [], PAIR: [], RATING: [], RANKING: [], TYPED: [], GUIDED: []}
    for group in SHORTCUT_GROUPS:
        keys[group.name] += [key for shortcut in group.shortcuts for key in shortcut.keys]
    # Escape leaves what is innermost.
    keys[EVERY_TASK].remove("Escape")
    for kind in (PAIR, RATING, RANKING, TYPED, GUIDED):
        together = keys[EVERY_TASK] + keys[kind]
        assert len(together) == len(set(together))


def test_letters_are_capitals_and_what_works_without_single_keys_is_no_letter():
    for keys in shortcut_table().values():
        for key, shortcut in keys.items():
            assert key == key.upper() or len(key) > 1
            assert shortcut["is_single_key"] == (key not in WITHOUT_SINGLE_KEYS)


def test_what_each_key_does():
    table = shortcut_table()
    done = {
        kind: {key: (shortcut["action"], shortcut["value"]) for key, shortcut in keys.items()}
        for kind, keys in table.items()
    }
    assert done[EVERY_TASK] == {
        "Enter": ("submit", None),
        "S": ("skip", None),
        "J": ("cannot_judge", None),
        "W": ("both_bad", None),
        "K": ("ask", None),
        "M": ("go_to_marks", None),
        "N": ("open_note", None),
        "Z": ("go_back", None),
        "P": ("pause", None),
        "?": ("show_keys", None),
        "Escape": ("leave", None),
        "R": ("toggle_guideline", None),
        "V": ("jump", None),
        ".": ("toggle_conversation", None),
        "/": ("search", None),
        "L": ("toggle_columns", None),
        "Y": ("toggle_differences", None),
        "U": ("toggle_written", None),
        "<": ("resize_text", -1),
        ">": ("resize_text", 1),
    }
    assert done[PAIR] == {
        **{str(value): ("choose_point", value) for value in range(9)},
        "G": ("toggle_guideline", None),
    }
    assert done[RANKING] == {
        **{label: ("focus_response", label) for label in "ABCDEFGHI"},
        "ArrowUp": ("move", "up"),
        "ArrowDown": ("move", "down"),
        "T": ("move", "tie"),
        **{key: ("set_strength", strength) for key, strength in zip("1234", (3, 2, 1, 0), strict=True)},
        "0": ("tie_next", None),
        "X": ("unfold", None),
        "O": ("order_by", TYPED),
        "Q": ("order_by", GUIDED),
        "Backspace": ("take_back", None),
    }
    assert done[TYPED] == {
        **{label: ("type", label) for label in "ABCDEFGHI"},
        "=": ("tie_next_typed", None),
        "+": ("tie_next_typed", None),
        "Backspace": ("take_back", None),
        "Escape": ("leave_way", None),
        "Q": ("order_by", GUIDED),
    }
    assert done[GUIDED] == {
        "1": ("answer", 0),
        "2": ("answer", 1),
        "0": ("answer", "tie"),
        "Backspace": ("take_back", None),
        "Escape": ("leave_way", None),
        "O": ("order_by", TYPED),
    }


def test_a_range_is_written_by_its_ends_and_arrows_as_arrows():
    (group,) = (group for group in SHORTCUT_GROUPS if group.name == RANKING)
    ranking = {shortcut.description: shortcut for shortcut in group.shortcuts}
    labels, arrows = ranking["Go to that answer"], ranking["Move it"]
    assert (labels.caps, labels.separator) == (["A", "I"], "–")
    assert (arrows.caps, arrows.separator) == (["↑", "↓"], " ")
    caps = key_caps()
    assert (caps["skip"], caps["move_up"], caps["choose_point_8"], caps["set_strength_3"]) == (
        "S",
        "↑",
        "8",
        "1",
    )


def test_a_digit_means_the_same_in_a_pair_and_in_a_ranking():
    """Both come in one queue: 1 to 4 are much, better, a little and barely better, 0 is a tie."""
    pair, ranking = shortcut_table()[PAIR], shortcut_table()[RANKING]
    shared = set(pair) & set(ranking) - {"G"}  # the guideline in a pair, an answer in a ranking
    assert shared == set("01234")
    points = {key: SCALE_POINTS[pair[key]["value"]] for key in "1234"}
    assert points == {key: ("A", ranking[key]["value"]) for key in "1234"}
    assert (pair["0"]["value"], ranking["0"]["action"]) == (TIE, "tie_next")


@pytest.fixture
def skip_with_another(monkeypatch):
    """The table with one key more: # skips as well."""
    everywhere, *kinds = SHORTCUT_GROUPS
    more = Shortcut("skip", {"#": None}, "Pass this task on")
    groups = (replace(everywhere, shortcuts=(*everywhere.shortcuts, more)), *kinds)
    monkeypatch.setattr(shortcuts, "SHORTCUT_GROUPS", groups)
    monkeypatch.setattr(pages, "SHORTCUT_GROUPS", groups)


@pytest.mark.db
@pytest.mark.django_db
def test_a_new_entry_is_in_the_dialog_and_in_what_the_script_reads(client, ada, project, skip_with_another):
    client.force_login(ada)
    page = client.get(reverse("annotation:annotate", args=[project.slug])).content.decode()
    assert "<dt><kbd>#</kbd></dt><dd>Pass this task on</dd>" in page
    table = re.search(r'<script id="shortcuts" type="application/json">(.*?)</script>', page)
    assert table is not None
    assert json.loads(table[1]) == shortcut_table()
    assert json.loads(table[1])[EVERY_TASK]["#"]["action"] == "skip"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_new_entry_works_without_a_change_of_the_script(
    page, ada, make_batch, address, open_as, skip_with_another
):
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.keyboard.press("#")
    wait_for_another(page, first)
    wait_until(page, lambda: Assignment.objects.get(public_id=first).state == "skipped")
    expect(page.locator(".task")).not_to_have_attribute("data-public-id", first)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_with_single_keys_off_only_enter_and_the_arrows_of_a_ranking_work(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=1, responses_per_task=3)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
    page.get_by_role("button", name="Keys").click()
    page.get_by_role("switch").click()
    page.keyboard.press("Escape")
    expect(page.locator("#work-page.keys-off")).to_have_count(1)
    card = page.locator(".rank-card[data-response=C]")
    card.focus()
    for letter in ("a", "t", "2", "s", "n", "?"):
        page.keyboard.press(letter)
    assert card.evaluate("card => card === document.activeElement")
    assert page.locator(".is-tie, .step input:checked, .note[open], dialog[open]").count() == 0
    page.keyboard.press("ArrowUp")
    order = page.eval_on_selector_all(".rank-card", "cards => cards.map(card => card.dataset.response)")
    assert order == ["A", "C", "B"]
    # On a button of the card an arrow key stays the browser's own.
    card.locator("[data-move=up]").focus()
    page.keyboard.press("ArrowUp")
    assert order == page.eval_on_selector_all(
        ".rank-card", "cards => cards.map(card => card.dataset.response)"
    )
    card.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#task-problem")).to_contain_text(
        "Say how much better A is than C", use_inner_text=True
    )
    assert wait_for_task(page) == handle
