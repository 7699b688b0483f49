"""The work page in a real browser: keys, a dropped network, an ended session, hostile text, accessibility."""

import json
import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from annotation.batches.actions import close_batch
from annotation.models import Assignment, Judgment, Response
from annotation.preferences.scale import tiers_to_labels
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
from tests.annotation.rendering.test_markdown import HOSTILE
from tests.axe import run_axe
from workspace.actions import publish_guideline
from workspace.members import remove_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def wait_for_task(page):
    page.wait_for_selector(".task")
    return page.get_attribute(".task", "data-public-id")


def wait_for_another(page, handle):
    page.wait_for_function(
        "old => { const t = document.querySelector('.task'); return t ? t.dataset.publicId !== old"
        " : document.querySelector('.no-tasks'); }",
        arg=handle,
    )


def wait_until(page, holds, seconds=300):
    for _ in range(seconds * 20):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen in time")


def wait_for_agreeing_counters(page):
    """The counters and the rows are read one after the other, and the page may be leased its next task in between."""
    wait_until(page, lambda: find_counter_drift() == [])


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


def test_enter_without_a_choice_says_what_is_missing(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
    page.keyboard.press("Enter")
    expect(page.locator("#task-problem")).to_contain_text("First choose which answer", use_inner_text=True)
    assert wait_for_task(page) == handle
    assert not Judgment.objects.exists()


def test_the_next_task_is_there_at_once(page, ada, make_batch, address, open_as):
    make_batch(tasks=4)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
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


def test_the_last_answer_is_changed_and_the_task_on_screen_comes_back(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
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


def test_skipping_by_key_leaves_the_task_to_others(page, ada, ruth, project, make_batch, address, open_as):
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.keyboard.press("s")
    wait_for_another(page, first)
    skipped = Assignment.objects.get(public_id=first)
    wait_until(page, lambda: Assignment.objects.get(pk=skipped.pk).state == "skipped")
    # The other one is on the screen.
    assert claim_task(actor=ruth, project=project).task == skipped.task


def test_a_skip_is_undone_with_what_was_typed_and_the_task_behind_it_follows(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
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
    forgiving_page, ada, ruth, project, make_batch, address, open_as
):
    page = forgiving_page
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
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


def test_without_a_connection_going_back_says_so(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1 and Assignment.objects.count() == 3)
    page.wait_for_timeout(300)
    page.context.set_offline(True)
    page.keyboard.press("z")
    page.wait_for_selector("#work-page-notice:not([hidden])")
    expect(page.locator("#work-page-notice")).to_contain_text("You are offline", use_inner_text=True)


def test_an_ended_session_with_nothing_prefetched_is_not_called_a_lost_connection(
    forgiving_page, ada, make_batch, address, open_as, client
):
    page = forgiving_page
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.wait_for_timeout(300)
    Session.objects.all().delete()
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    page.wait_for_selector(".task-waiting:has-text('Log in')")
    expect(page.locator("#work-page-notice")).to_contain_text("Log in again", use_inner_text=True)
    assert "connection" not in page.locator("#work-page").inner_text()
    # Logged in again in another tab: what waited is sent, and the work goes on.
    open_as(page, ada)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.wait_for_selector(".no-tasks")
    wait_until(page, lambda: Judgment.objects.filter(assignment__public_id=first).exists())


def test_a_dropped_network_loses_nothing(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=4)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    page.wait_for_timeout(300)
    page.context.set_offline(True)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    second = wait_for_task(page)
    page.wait_for_function(
        "() => document.getElementById('work-page-sync').textContent.includes('You are offline')"
    )
    page.keyboard.press("6")
    page.keyboard.press("n")
    page.keyboard.type("half a thou")
    assert not Judgment.objects.exists()
    page.context.set_offline(False)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    page.wait_for_function("() => document.getElementById('work-page-sync').textContent === ''")
    # A reload in the middle of the second task brings back what was on the screen.
    page.goto(address("annotate"))
    assert wait_for_task(page) == second
    expect(page.locator("input[name=scale][value='6']")).to_be_checked()
    expect(page.locator("[name=rationale]")).to_have_value("half a thou")


def test_an_answer_whose_receipt_was_lost_is_stored_once(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
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
    page.wait_for_function(
        "() => document.getElementById('work-page-sync').textContent === ''", timeout=15000
    )
    assert lost == [201]
    assert Judgment.objects.count() == 1


def test_an_ended_session_keeps_the_answer_until_after_the_login(
    forgiving_page, live_server, ada, make_batch, address, open_as
):
    page = forgiving_page
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
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
    assert str(judgment.assignment.public_id) == first
    assert (judgment.rationale, judgment.strengths) == ("clearly", [3])


def test_another_answer_from_a_second_window_is_given_back_and_not_dropped(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    handle = wait_for_task(page)
    page.keyboard.press("3")
    # The draft, and its key with it, must be there for the second window.
    wait_until(page, lambda: bool(Assignment.objects.get(public_id=handle).draft))
    second = page.context.new_page()
    second.goto(address("annotate"))
    assert wait_for_task(second) == handle
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.exists())
    second.keyboard.press("7")
    second.keyboard.press("Enter")
    second.wait_for_selector("#work-page-notice:not([hidden])")
    expect(second.locator("#work-page-notice")).to_contain_text(
        "You have judged this task already", use_inner_text=True
    )
    wait_for_another(second, handle)
    expect(
        second.locator("#work-page-notice")
    ).to_be_visible()  # the next task does not take the sentence away
    assert Judgment.objects.get().strengths == [1]
    second.click("#work-page-notice a")
    # The page that is left still has its task for a moment.
    second.wait_for_function("old => document.querySelector('.task')?.dataset.publicId === old", arg=handle)
    second.keyboard.press("Enter")  # what was chosen here is still chosen: now it is a correction
    wait_until(second, lambda: Judgment.objects.count() == 2)
    assert Judgment.objects.latest("pk").strengths == [2]


def test_a_csrf_token_that_went_away_is_renewed_unseen(forgiving_page, ada, make_batch, address, open_as):
    page = forgiving_page
    make_batch(tasks=2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.wait_for_timeout(300)
    page.context.clear_cookies(name="csrftoken")
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    assert "csrftoken" in {cookie["name"] for cookie in page.context.cookies()}


@pytest.mark.parametrize("width", [1280, 1000, 800, 600, 320])
def test_choosing_a_grade_moves_nothing(page, ada, make_batch, address, open_as, width):
    page.set_viewport_size({"width": width, "height": 900})
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    height = "document.querySelector('.task-footer').getBoundingClientRect().height"
    before = page.evaluate(height)
    for digit in "123456780":
        page.keyboard.press(digit)
        assert page.evaluate(height) == before


def test_a_tie_is_shown_on_both_answers(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    rings = "[...document.querySelectorAll('.response')].map(e => getComputedStyle(e).boxShadow)"
    assert page.evaluate(rings) == ["none", "none"]
    page.keyboard.press("0")
    first, second = page.evaluate(rings)
    assert first == second != "none"


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
        make_batch(tasks=1, responses_per_task=9, texts=[text if text.strip() else "calm" for text in chunk])
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_as(page, ada).goto(address("annotate"))
    shown = 0
    while page.wait_for_selector(".task, .no-tasks").get_attribute("class") == "task":
        handle = wait_for_task(page)
        assert (
            page.locator("#work-page-task :is(script, img, iframe, svg, style, link, form form)").count() == 0
        )
        page.evaluate(
            """document.querySelectorAll('#work-page-task .prose *').forEach(
            e => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))"""
        )
        page.keyboard.press("s")
        wait_for_another(page, handle)
        shown += 1
    assert shown >= 4
    page.goto(address("overview"))
    assert dialogs == []
    assert [url for url in asked if not url.startswith((live_server.url, "data:"))] == []
    assert Response.objects.filter(text__contains="<script>").exists()


def axe(page):
    return [(v["id"], [node["html"][:120] for node in v["nodes"]][:3]) for v in run_axe(page)]


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

    open_as(page, ada).goto(address("overview"))
    check("home")
    page.goto(address("guideline"))
    check("guideline")
    page.goto(address("annotate"))
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
    close_batch(actor=max_, batch=pairs)
    rankings = make_batch(tasks=2, responses_per_task=4)
    page.goto(address("annotate"))
    wait_for_task(page)
    page.keyboard.press("b")
    page.keyboard.press("t")
    page.keyboard.press("1")
    check("ranking")
    page.goto(address("overview"))
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
    page.goto(address("annotate"))
    wait_for_task(page)
    small = page.evaluate(
        """() => [...document.querySelectorAll('#work-page :is(button, summary, .point, .flag, a)')]
        .filter(e => e.offsetParent).map(e => [e.textContent.trim().slice(0, 20), e.getBoundingClientRect()])
        .filter(([_, b]) => b.height < 43.5 || b.width < 43.5).map(([t, b]) => [t, b.width, b.height])"""
    )
    context.close()
    assert small == []


def test_a_call_is_seen_as_a_call_and_every_answer_also_as_it_was_written(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=1, texts=["**Yes** \\[x\\]", "No"])
    call = {"id": "c1", "name": "book", "arguments": '{"people": 2, "at": "19:00"}'}
    turns = [
        {"role": "assistant", "content": "One moment.", "tool_calls": [call]},
        {"role": "tool", "content": "full", "name": "book"},
        {"role": "assistant", "content": "**No** table."},
    ]
    Response.objects.filter(text="No").update(turns=turns)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    expect(page.locator(".tool-call-name code")).to_have_text("book", use_inner_text=True)
    assert page.locator(".tool-call pre").inner_text() == '{\n  "people": 2,\n  "at": "19:00"\n}'
    expect(page.locator(".tool-result")).to_have_text("full", use_inner_text=True)
    label = page.locator("[data-response]", has_text="One moment").get_attribute("data-response")
    other = "A" if label == "B" else "B"
    switch = page.get_by_role("button", name=f"Answer {other} as written")
    written = page.locator(f"[data-response={other}] [data-written]")
    expect(written).to_be_hidden()
    switch.click()
    expect(written).to_have_text("**Yes** \\[x\\]", use_inner_text=True)
    expect(page.locator(f"[data-response={other}] [data-rendered]")).to_be_hidden()
    switch.click()
    expect(written).to_be_hidden()
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("responses", [2, 3])
@pytest.mark.parametrize("name", ["Guideline", "Keys"])
@pytest.mark.parametrize("close", ["Escape", "Close"])
def test_after_the_guideline_or_the_keys_enter_submits(
    page, ada, max_, project, make_batch, address, open_as, responses, name, close
):
    publish_guideline(actor=max_, project=project, text="Prefer the kinder answer.")
    make_batch(tasks=1, responses_per_task=responses)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
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


def test_after_a_click_on_the_theme_or_on_as_written_enter_submits(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.keyboard.press("3")
    page.locator("#theme-toggle").click()
    theme = page.get_attribute("html", "data-bs-theme")
    page.get_by_role("button", name="Answer A as written").click()
    page.keyboard.press("Enter")
    page.wait_for_selector(".no-tasks")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)


def test_after_a_refused_enter_the_ring_is_on_what_is_chosen(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.keyboard.press("Enter")
    page.keyboard.press("2")
    focused = page.evaluate("document.activeElement.value")
    assert focused == page.locator("input[name=scale]:checked").get_attribute("value") == "2"
    page.keyboard.press("ArrowRight")  # counts from what is chosen
    expect(page.locator("input[name=scale]:checked")).to_have_attribute("value", "3")


def test_after_a_click_on_a_point_the_arrow_keys_scroll(page, ada, make_batch, address, open_as):
    make_batch(tasks=1)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.locator(".point").nth(1).click()
    page.keyboard.press("ArrowDown")
    expect(page.locator("input[name=scale]:checked")).to_have_attribute("value", "2")


def test_who_is_removed_is_told_so_and_keeps_what_was_typed(
    page, ada, max_, project, make_batch, address, open_as
):
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    remove_member(actor=max_, project=project, user=ada)
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.wait_for_selector("#work-page-notice >> text=no longer a member")
    notice = page.inner_text("#work-page-notice")
    assert "You are no longer a member of “Kitchen”" in notice and "There is no such task" not in notice
    assert page.locator("#work-page-notice a").count() == 0
    draft = page.evaluate(
        "id => JSON.parse(Object.entries(localStorage).find(([name]) => name.endsWith(`draft:${id}`))[1])",
        first,
    )
    assert draft["value"] == 3
    page.goto("about:blank")  # the page asks again every few seconds
    page.complaints.clear()  # the browser's own, of the answers with 404


FORMULAS = (
    "Two: $x_i^*$ and \\(\\vec{a} + \\overline{AB}\\), $\\fbox{b}$\n\n"
    "\\[\n\\begin{pmatrix}1 & 2 \\\\ 3 & 4\\end{pmatrix}\n\\]\n\n"
    "$$\\sqrt{" + " + ".join(f"x_{{{n}}}^2" for n in range(60)) + "}$$\n\n"
    "$\\notacommand{x}$ and $\\href{javascript:alert(1)}{y}$"
)


def test_formulas_are_drawn_under_the_sites_policy_and_only_where_there_are_some(
    page, ada, make_batch, address, open_as
):
    """The console has no complaint (the page fixture looks): no style attribute was refused."""
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    make_batch(tasks=1, texts=[FORMULAS, "None, for $5."], name="formulas")
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    page.wait_for_selector(".math-display[data-drawn] .katex")
    expect(page.locator(".math-inline .katex, .math-display .katex")).to_have_count(7)
    expect(page.locator(".katex mtd")).to_have_count(4)
    # The arrow of a vector has the width KaTeX gave it, through the element's style.
    assert (
        page.locator(".katex .accent-body svg, .katex .overlay svg").first.evaluate("e => e.style.width")
        != ""
    )
    # A link is never made, whatever a formula asks for; an unknown command is drawn as its name.
    assert page.locator(".prose a").count() == 0
    assert "\\notacommand" in page.locator(".prose", has_text="Two:").inner_text()
    expect(page.locator(".prose", has_text="None, for $5.")).to_have_text(
        "None, for $5.", use_inner_text=True
    )
    assert {url.split("/")[2] for url in requests} == {page.url.split("/")[2]}
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_formulas_katex_is_not_loaded_and_wide_tables_scroll(page, ada, make_batch, address, open_as):
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    columns = ["Name of plan", "Storage", "Users", "Support", "Backups", "Regions", "Price", "Trial"]
    plan = ["Professional", "1,500 GB", "250", "Telephone", "hourly", "Europe", "$15/month", "thirty days"]
    rows = [columns, ["---"] * 8, plan]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    make_batch(tasks=1, texts=[table, "Costs $5 or $6."])
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    assert not [url for url in requests if "katex" in url]
    page.set_viewport_size({"width": 390, "height": 900})
    box = page.locator(".prose .table-scroll")
    assert box.evaluate("e => e.scrollWidth > e.clientWidth")
    # Cells break between words, never inside of one: three lines at most.
    height = page.locator(".prose th").first.evaluate("e => e.getBoundingClientRect().height")
    assert height < 4 * 1.6 * 16 + 20
    assert page.evaluate("document.documentElement.scrollWidth") == 390
