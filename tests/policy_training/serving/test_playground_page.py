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


def test_a_dialogue_is_led_changed_and_kept_over_a_reload(
    page, client, live_server, make_served_policy, project, max_, stand_in
):
    policy = make_served_policy("base")
    stand_in.serve(policy, max_)
    stand_in.serve(make_served_policy("beside"), max_)
    client.force_login(max_)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
    )
    page.goto(live_server.url + reverse("policies:playground", args=[project.slug, policy.pk]))
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
