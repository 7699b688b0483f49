"""What the version before left in a browser, or as a draft on the server, under its own names: it is read and sent."""

import json
import time

import pytest
from playwright.sync_api import expect

from annotation.models import Assignment, Judgment
from annotation.preferences.scale import tiers_to_labels
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
KEY = "1bb9483a-4236-44d6-8c2e-42f752c5962c"


def now():
    return int(time.time() * 1000)


def store(page, name, value):
    page.evaluate(
        """([name, value]) => { const owner = document.getElementById('work-page').dataset.storageKey;
        localStorage.setItem(`roundtable:${owner}:${name}`, value); }""",
        [name, json.dumps(value)],
    )


def stored(page, name):
    text = page.evaluate(
        """name => { const owner = document.getElementById('work-page').dataset.storageKey;
        return localStorage.getItem(`roundtable:${owner}:${name}`); }""",
        name,
    )
    return json.loads(text) if text else None


def unsent_entries(page):
    """What waits in the outbox, one name each, and what lies there as versions before stored it."""
    return page.evaluate(
        """() => { const owner = document.getElementById('work-page').dataset.storageKey;
        return Object.entries(localStorage).filter(([key]) => key.startsWith(`roundtable:${owner}:outbox`))
          .map(([, value]) => JSON.parse(value)); }"""
    )


def unsent(public_id, address, *, by, at):
    """An entry of the outbox as it was written, a judgment with the draft that a rejection gives back."""
    draft = {"value": 7, "rationale": "clearly", "flags": ["unsafe"], "seconds": 3.5, "key": KEY, "at": at}
    body = {"tiers": [["B"], ["A"]], "strengths": [2], "rationale": "clearly", "flags": ["unsafe"]}
    body |= {"seconds": 3.5, "key": KEY, "revise": False}
    url = address("submit", public_id=public_id)
    entry = {"id": "068bc076-56b1-4e56-a304-c80a4edbff1a", "by": by, "at": at, "handle": public_id}
    return entry | {"draft": draft, "url": url[url.index("/projects/") :], "body": body}


def test_an_unsent_judgment_of_the_version_before_is_sent_once(page, ada, make_batch, address, open_as):
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    store(page, "outbox", [unsent(first, address, by="another-window", at=now() - 60_000)])
    page.reload()
    wait_for_another(page, first)
    assert wait_for_task(page) != first
    wait_until(page, lambda: Judgment.objects.count() == 1)
    judgment = Judgment.objects.get()
    assert str(judgment.assignment.public_id) == first
    assert tiers_to_labels(judgment.order_shown, judgment.tiers) == [["B"], ["A"]]
    assert (judgment.strengths, judgment.rationale, judgment.flags) == ([2], "clearly", ["unsafe"])
    assert (judgment.seconds, judgment.idempotency_key) == (3.5, KEY)
    assert unsent_entries(page) == []


def test_an_unsent_judgment_of_this_window_goes_at_once_and_a_young_one_of_another_waits(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    window = page.evaluate("sessionStorage.getItem('roundtable:window')")
    skipping = address("skip", public_id=first)
    skip = {"id": "2", "by": "another-window", "at": now() + 60_000, "handle": first, "body": {}}
    skip["url"] = skipping[skipping.index("/projects/") :]
    store(page, "outbox", [skip, unsent(first, address, by=window, at=now())])
    page.reload()
    wait_until(page, lambda: Judgment.objects.count() == 1)
    page.wait_for_timeout(300)
    [left] = unsent_entries(page)
    assert left["id"] == "2"
    assert Assignment.objects.get(public_id=first).state == "submitted"


def test_a_refused_judgment_of_the_version_before_is_given_back(
    forgiving_page, ada, make_batch, address, open_as
):
    page = forgiving_page
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    # Its answer is here, too: else this page would send what is stored next, before it is loaded again.
    wait_until(page, lambda: Judgment.objects.count() == 1 and unsent_entries(page) == [])
    store(page, "outbox", [unsent(first, address, by="another-window", at=now() - 60_000)])
    page.reload()
    for _ in range(2):  # it stands there until it was read, after a reload as well
        page.wait_for_selector("#work-page-notice:not([hidden])")
        expect(page.locator("#work-page-notice")).to_contain_text(
            "You have judged this task already", use_inner_text=True
        )
        page.reload()
    page.wait_for_selector("#work-page-notice:not([hidden])")
    page.click("#work-page-notice a")
    page.wait_for_function("old => document.querySelector('.task')?.dataset.publicId === old", arg=first)
    expect(page.locator("#work-page-notice")).to_be_hidden()
    expect(page.locator("input[name=scale][value='7']")).to_be_checked()
    expect(page.locator("[name=rationale]")).to_have_value("clearly")
    page.keyboard.press("Control+Enter")
    wait_until(page, lambda: Judgment.objects.count() == 2)
    newest = Judgment.objects.latest("pk")
    assert (newest.strengths, newest.flags) == ([2], ["unsafe"])
    assert newest.idempotency_key != KEY


def test_two_windows_that_add_and_remove_at_once_lose_nothing(page, ada, make_batch, address, open_as):
    """Each window sees what the other stored some milliseconds later: nothing may depend on what it read."""
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    second = page.context.new_page()
    second.goto(address("annotate"))
    wait_for_task(second)
    adding = """(window_) => {
        const entries = Roundtable.openStorage("somebody").collection("outbox", { idOf: ({ id }) => id });
        let number = 0;
        globalThis.added = new Promise((done) => {
          const step = () => {
            if (number === 300) { done(); return; }
            entries.put({ id: `${window_}-${number}`, addedAt: number });
            if (number % 3 && entries.all().length) entries.remove(`${window_}-${number - 1}`);
            number += 1;
            setTimeout(step);
          };
          step();
        }); }"""
    for name, window in (("first", page), ("second", second)):
        window.evaluate(adding, name)
    for window in (page, second):
        window.evaluate("globalThis.added")
    kept = """() => Roundtable.openStorage("somebody").collection("outbox", { idOf: ({ id }) => id }).all()
        .map(({ id }) => id).sort()"""
    # Every entry was removed by the next one, unless that one's number is a multiple of three.
    expected = sorted(f"{name}-{n}" for name in ("first", "second") for n in range(2, 300, 3))
    # What the other window wrote last is seen a moment later.
    wait_until(page, lambda: len(page.evaluate(kept)) == len(expected))
    assert page.evaluate(kept) == second.evaluate(kept) == expected


def test_a_draft_of_a_ranking_of_the_version_before_is_restored(page, ada, make_batch, address, open_as):
    make_batch(tasks=1, responses_per_task=3)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
    draft = {"tiers": [["A", "C"], ["B"]], "grades": {"AC>B": 3, "A>B": 0}, "rationale": "half a thou"}
    store(page, f"draft:{handle}", draft | {"flags": [], "seconds": 12.5, "key": KEY, "at": now()})
    page.reload()
    assert wait_for_task(page) == handle
    expect(page.locator("[name=rationale]")).to_have_value("half a thou")
    expect(page.locator("[name=step-0]:checked")).to_have_attribute("value", "3")
    page.keyboard.press("Control+Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    judgment = Judgment.objects.get()
    assert tiers_to_labels(judgment.order_shown, judgment.tiers) == [["A", "C"], ["B"]]
    assert (judgment.strengths, judgment.idempotency_key) == ([3], KEY)
    assert judgment.seconds >= 12.5


@pytest.mark.parametrize(("age_here", "shown"), [(60_000, ("2", "on the server")), (-60_000, ("8", "here"))])
def test_of_a_draft_here_and_one_on_the_server_the_younger_counts_whatever_their_names(
    page, ada, make_batch, address, open_as, age_here, shown
):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
    on_the_server = {"value": 2, "rationale": "on the server", "flags": [], "seconds": 1, "key": KEY}
    Assignment.objects.filter(public_id=handle).update(draft=on_the_server | {"at": now()})
    here = {"value": 8, "rationale": "here", "flags": [], "seconds": 1, "idempotency_key": KEY}
    store(page, f"draft:{handle}", here | {"saved_at": now() - age_here})
    page.reload()
    assert wait_for_task(page) == handle
    value, rationale = shown
    expect(page.locator(f"input[name=scale][value='{value}']")).to_be_checked()
    expect(page.locator("[name=rationale]")).to_have_value(rationale)


def test_single_keys_that_were_off_stay_off(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    store(page, "single-keys", False)
    page.reload()
    wait_for_task(page)
    page.keyboard.press("2")
    assert page.locator("input[name=scale]:checked").count() == 0
