"""The playground in a real browser: keyboard, answers side by side, edits, a reload, and what goes wrong."""

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import expect

from policy_training.models import PolicyServing
from tests.axe import run_axe
from tests.policy_training.serving.stand_in import done

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HOSTILE = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script> **Yes.**"


WRITING = {"state": "writing", "text": "Ye"}


@pytest.fixture
def policy(make_served_policy, stand_in, max_):
    made = make_served_policy("base")
    stand_in.serve(made, max_)
    return made


@pytest.fixture
def open_page(page, client, live_server, project, max_, policy):
    def open_page():
        client.force_login(max_)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
        )
        page.goto(live_server.url + reverse("policies:playground", args=[project.slug, policy.pk]))

    return open_page


def test_a_dialogue_is_led_changed_and_kept_over_a_reload(
    page, open_page, policy, make_served_policy, max_, stand_in
):
    stand_in.serve(make_served_policy("beside"), max_)
    open_page()
    message, turns, answers = (
        page.get_by_label("Your message"),
        page.locator(".turn"),
        page.locator(".play-answer"),
    )
    title = page.title()

    # One answer becomes the next turn, and none of it runs.
    page.get_by_label("System prompt").fill("Be brief.")
    message.fill("Tea?")
    stand_in.queue.says = lambda answer: done(HOSTILE, tokens=5, ended=False)
    message.press("Control+Enter")
    expect(turns).to_have_count(2)
    expect(turns.nth(1)).to_contain_text(HOSTILE)
    expect(turns.nth(1)).to_contain_text("5 tokens · cut at the limit of 256 tokens")
    expect(message).to_have_value("")
    expect(page.locator("#play-turns img, #play-turns script")).to_have_count(0)
    assert page.title() == title
    assert [said["content"] for said in stand_in.queue.asked[0].messages] == ["Be brief.", "Tea?"]

    # Two of each of two policies; one is chosen to go on with.
    page.get_by_label("Answers side by side").select_option("2")
    page.get_by_label("Second policy").select_option(label="beside")
    stand_in.queue.says = lambda answer: done(f"Number {len(stand_in.queue.asked)}.", cut=True)
    message.fill("Green?")
    page.get_by_role("button", name="Send").click()
    expect(answers.get_by_role("button", name="Go on with")).to_have_count(4)
    expect(answers.nth(2)).to_contain_text("Answer 3 of beside")
    expect(answers.nth(0)).to_contain_text("did not fit the policy")
    for scheme, width in (("light", 1280), ("dark", 320)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert run_axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
    message.fill("Black?")
    message.press("Control+Enter")
    expect(page.locator("#play-problem")).to_have_text("Choose the answer to go on with first.")
    page.reload()
    expect(answers.get_by_role("button", name="Go on with")).to_have_count(4)
    chosen = answers.nth(2).locator(".play-text").inner_text()
    answers.nth(2).get_by_role("button", name="Go on with this one: answer 3").click()
    expect(turns.nth(3)).to_contain_text(chosen)
    expect(answers).to_have_count(0)

    # A turn is edited, and what follows removed.
    turns.nth(1).get_by_role("button", name="Edit turn 2").click()
    page.get_by_label("Text of turn 2").fill("No tea.")
    page.get_by_label("Text of turn 2").press("Control+Enter")
    expect(turns.nth(1)).to_contain_text("edited")
    turns.nth(2).get_by_role("button", name="Remove from here: turn 3").click()
    expect(turns).to_have_count(2)

    # The server is gone: one sentence, and what was typed stays, over a reload too.
    PolicyServing.objects.filter(policy=policy).update(address="127.0.0.1:9")
    message.press("Control+Enter")
    expect(page.locator("#play-problem")).to_contain_text("The server of “base” does not answer")
    page.reload()
    expect(message).to_have_value("Black?")
    expect(turns.nth(1)).to_contain_text("No tea.")
    page.get_by_role("button", name="Start anew").click()
    page.get_by_role("dialog").get_by_role("button", name="Start anew").click()
    expect(turns).to_have_count(0)
    expect(page.get_by_label("System prompt")).to_have_value("Be brief.")
    page.complaints.clear()  # a refused request is a 400, which the browser writes to its console


def test_what_is_typed_into_a_turn_stays_when_an_answer_comes_and_nothing_changes_while_it_is_asked_for(
    page, open_page, stand_in
):
    open_page()
    message, turns, problem = (
        page.get_by_label("Your message"),
        page.locator(".turn"),
        page.locator("#play-problem"),
    )
    editor, go_on = (
        page.get_by_label("Text of turn 1"),
        page.get_by_role("button", name="Go on with this one"),
    )
    stand_in.queue.says = lambda answer: WRITING
    message.fill("Tea?")
    message.press("Control+Enter")
    expect(page.locator(".play-answer")).to_contain_text("Ye")
    turns.nth(0).get_by_role("button", name="Edit turn 1").click()
    editor.fill("Green tea?")
    stand_in.queue.change(stand_in.queue.asked[0], **done("Yes."))
    expect(go_on).to_be_visible()
    expect(editor).to_be_focused()
    expect(editor).to_have_value("Green tea?")
    go_on.click()
    expect(problem).to_contain_text("A turn is being edited")
    page.reload()
    expect(editor).to_have_value("Green tea?")
    expect(go_on).to_be_visible()
    editor.press("Control+Enter")
    expect(turns).to_have_count(1)
    expect(turns.nth(0)).to_contain_text("Green tea?")
    expect(page.locator(".play-answer")).to_have_count(0)

    # The request is on its way: what would be undone by it is refused.
    held = []
    page.route("**/playground/answers/", lambda route: held.append(route))
    page.get_by_role("button", name="Answer again").click()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    for name in ("Edit turn 1", "Remove from here: turn 1", "Start anew"):
        page.evaluate("document.getElementById('play-problem').hidden = true")
        page.get_by_role("button", name=name).click()
        expect(problem).to_have_text("Answers are being asked for: try again in a moment.")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(editor).to_have_count(0)
    held[0].continue_()
    expect(page.locator(".play-answer")).to_contain_text("Ye")
    expect(problem).to_be_hidden()

    # Who writes in another field goes on there when the answer comes.
    system = page.get_by_label("System prompt")
    system.press_sequentially("Be")
    stand_in.queue.change(stand_in.queue.asked[1], **done("Yes."))
    expect(turns).to_have_count(2)
    expect(system).to_be_focused()


def test_a_second_policy_is_found_when_it_is_loaded_and_both_keep_to_the_shorter_limit(
    page, open_page, make_served_policy, max_, stand_in
):
    open_page()
    beside, help_ = page.get_by_label("Second policy"), page.locator("#play-beside-help")
    expect(help_).to_have_text("No other policy is loaded now.")
    other = make_served_policy("beside")
    stand_in.serve(other, max_)
    PolicyServing.objects.filter(policy=other).update(max_response_tokens=16)
    expect(beside.locator("option")).to_have_text(["none", "beside"])
    expect(help_).to_be_hidden()
    beside.select_option(label="beside")
    expect(help_).to_have_text("“beside” answers with at most 16 tokens: so does either policy here.")
    page.get_by_label("Your message").fill("Tea?")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("button", name="Go on with")).to_have_count(2)
    assert [answer.max_tokens for answer in stand_in.queue.asked] == [16, 16]  # one server stands in for both
    # Unloaded, it stays chosen, and says why it cannot answer.
    PolicyServing.objects.filter(policy=other).delete()
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator("#play-problem")).to_contain_text("“beside” is not loaded: load it first.")
    expect(beside.locator("option:checked")).to_have_text("beside")
    page.complaints.clear()  # the refused request


def test_a_lost_connection_is_waited_for_and_answers_that_are_given_up_are_written_no_further(
    page, open_page, stand_in
):
    # Time passes at once, and what was waited for is written down.
    page.add_init_script(
        """const wait = window.setTimeout;
        window.waited = [];
        window.setTimeout = (call, ms, ...rest) => { window.waited.push(ms); return wait(call, 0, ...rest); };"""
    )
    open_page()
    page.route("**/playground/answers/state/", lambda route: route.abort())
    stand_in.queue.says = lambda answer: WRITING
    page.get_by_label("Your message").fill("Tea?")
    with page.expect_response("**/playground/answers/stop/"):
        page.get_by_role("button", name="Send").click()
    expect(page.locator(".play-answer")).to_contain_text("The site does not answer")
    assert stand_in.queue.asked[0].cancelled
    waited = page.evaluate("window.waited.filter((ms) => ms === 300 || ms === 3000)")
    assert waited == [300, 3000, 3000, 3000, 3000]
    page.complaints.clear()  # the requests that were lost
