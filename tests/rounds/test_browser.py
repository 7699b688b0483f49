"""The round page in a browser: buttons that ask and stay where they are, a focus that stays, a session that ends."""

import json
import re

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.urls import reverse
from playwright.sync_api import expect

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from rounds.actions import start_next_round
from rounds.models import Round, Stage
from rounds.stages.transitions import enter_stage
from tests.axe import run_axe

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def round_(annotating_round):
    return annotating_round


@pytest.fixture
def logged_in(client, live_server, max_):
    def give(page):
        client.force_login(max_)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
        )
        return page

    return give


@pytest.fixture
def address(live_server, project):
    return live_server.url + reverse("rounds:round", args=[project.slug, 1])


def place_of(page, name):
    return page.get_by_role("button", name=name, exact=True).bounding_box()


@pytest.mark.parametrize("width", [1280, 320])
def test_cancelling_never_comes_to_where_another_button_was(page, logged_in, round_, address, width):
    page.set_viewport_size({"width": width, "height": 900})
    logged_in(page).goto(address)
    before = {name: place_of(page, name) for name in ("End annotation now", "Cancel the round")}
    enter_stage(round_, Stage.REWARD_MODEL, "ended by somebody else")
    page.get_by_role("button", name="End annotation now").wait_for(state="detached")
    ended, cancel = before["End annotation now"], place_of(page, "Cancel the round")
    x, y = ended["x"] + ended["width"] / 2, ended["y"] + ended["height"] / 2
    inside = cancel["x"] <= x <= cancel["x"] + cancel["width"]
    assert not (inside and cancel["y"] <= y <= cancel["y"] + cancel["height"])


def test_what_ends_or_cancels_asks_first_with_the_count(page, logged_in, round_, address, project, ada):
    logged_in(page).goto(address)
    page.get_by_role("button", name="End annotation now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("End with 0 of 4 judgments?", use_inner_text=True)
    page.keyboard.press("Enter")  # the harmless button has the focus
    dialog.wait_for(state="hidden")
    page.get_by_role("button", name="Cancel the round").click()
    expect(dialog).to_contain_text("Cancel round 1 for good?", use_inner_text=True)
    page.keyboard.press("Escape")
    round_.refresh_from_db()
    assert round_.stage == Stage.ANNOTATING
    page.get_by_role("button", name="Cancel the round").click()
    # While the question is open, the page does not change under it.
    assignment = claim_task(actor=ada, project=project)
    submit_judgment(
        actor=ada,
        assignment=assignment,
        content=JudgmentInput(tiers=[["A", "B"]], strengths=[]),
        idempotency_key="a tie of all",
    )
    page.wait_for_timeout(2500)
    expect(page.locator(".timeline :text('0 of 4 judgments')")).to_have_count(1)
    dialog.get_by_role("button", name="Cancel the round").click()
    page.locator(".badge-state:text-is('Cancelled')").wait_for()
    round_.refresh_from_db()
    assert round_.stage == Stage.CANCELLED


def test_a_poll_leaves_the_keyboard_where_it_was(page, logged_in, round_, address, project, ada):
    logged_in(page).goto(address)
    for number, where in enumerate(("cancel-round", "end-annotation", "chain-batch"), start=1):
        page.locator(f"#{where}").focus()
        assignment = claim_task(actor=ada, project=project)
        submit_judgment(
            actor=ada,
            assignment=assignment,
            content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
            idempotency_key=where,
        )
        page.locator(f".timeline :text('{number} of 4 judgments')").wait_for()
        expect(page.locator(f"#{where}")).to_be_focused()
    # What is gone cannot keep the focus; the reader stays in the page.
    page.locator("#end-annotation").focus()
    enter_stage(round_, Stage.REWARD_MODEL, "ended by somebody else")
    page.locator("#end-annotation").wait_for(state="detached")
    page.wait_for_timeout(100)
    expect(page.locator("#content")).to_be_focused()


def test_when_the_session_ends_the_page_leaves_for_the_login_and_comes_back(
    browser, logged_in, round_, address
):
    page = logged_in(browser.new_context().new_page())
    page.goto(address)
    Session.objects.all().delete()
    enter_stage(round_, Stage.REWARD_MODEL, "ended by somebody else")
    page.wait_for_url(re.compile("/login/"))
    page.get_by_label("Username").fill("max")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(address)
    page.get_by_role("heading", name="Round 1").wait_for()
    page.context.close()


def test_a_button_pressed_after_the_session_ended_leads_back_to_the_round(
    browser, logged_in, round_, address
):
    page = logged_in(browser.new_context().new_page())
    page.goto(address)
    page.evaluate("document.getElementById('round-live').removeAttribute('hx-get')")
    page.get_by_role("button", name="Cancel the round").click()
    Session.objects.all().delete()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the round").click()
    page.get_by_text("That was not done").wait_for()
    page.get_by_label("Username").fill("max")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(address)
    round_.refresh_from_db()
    assert round_.stage == Stage.ANNOTATING
    page.context.close()


@pytest.mark.parametrize("preset", ["tiny", "llama2"])
def test_a_round_starts_in_the_browser_with_lengths_that_fit_the_policy(
    page, logged_in, live_server, project, policy, prompt_set, settings, tmp_path, preset
):
    """As the demonstration's policy, which reads 256 tokens: no preset could start there."""
    settings.DATA_DIR = tmp_path
    folder = policy.artifact.absolute_path
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 256}))
    logged_in(page).goto(live_server.url + reverse("rounds:start", args=[project.slug]))
    page.get_by_label("Prompts", exact=True).fill("7")
    page.get_by_label("Preset", exact=True).select_option(preset)
    shown = {"tiny": ("146", "110"), "llama2": ("128", "128")}[preset]
    prompt, response = page.get_by_label("Longest prompt"), page.get_by_label("Longest response")
    page.locator(f"#id_max_prompt_tokens[placeholder='{shown[0]}']").wait_for()
    expect(response).to_have_attribute("placeholder", shown[1])
    expect(page.get_by_label("Prompts", exact=True)).to_have_value("7")
    # Too long is refused on the form, and nothing has started.
    prompt.fill("200")
    response.fill("100")
    page.locator("#start-round button.btn-primary").click()
    page.get_by_role("alert").wait_for()
    expect(page.get_by_role("alert")).to_contain_text("reads 256 tokens at once", use_inner_text=True)
    assert not Round.objects.exists()
    page.complaints.clear()  # the browser reports the answer 422
    response.fill("")
    page.locator("#start-round button.btn-primary").click()
    page.wait_for_url(re.compile("/rounds/1/"))
    options = Round.objects.get().plan["sampling"]
    assert (options["prompts"], options["options"]["max_prompt_tokens"]) == (7, 200)
    assert options["options"]["max_response_tokens"] == 56


def test_a_double_click_starts_a_round_once_and_shows_it(
    page, logged_in, live_server, project, policy, prompt_set, criterion
):
    """The second request would be refused, and its refusal shown in place of the round."""
    logged_in(page).goto(live_server.url + reverse("rounds:start", args=[project.slug]))
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.locator("#start-round button.btn-primary").dblclick()
    page.wait_for_url(re.compile("/rounds/1/"))
    assert len(sent) == 1 and Round.objects.count() == 1


def test_after_a_cancelled_round_the_one_before_goes_on_by_its_button(
    page, logged_in, live_server, begin, finish_round, max_, project
):
    first = finish_round(begin())
    second = start_next_round(actor=max_, round_=first)
    pages = {
        number: live_server.url + reverse("rounds:round", args=[project.slug, number]) for number in (1, 2)
    }
    logged_in(page).goto(pages[second.number])
    page.get_by_role("button", name="Cancel the round").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the round").click()
    page.locator(".badge-state:text-is('Cancelled')").wait_for()
    page.goto(pages[1])
    page.get_by_role("button", name="Go on with the next round").click()
    page.wait_for_url(re.compile("/rounds/3/"))
    assert Round.objects.get(number=3).start_policy == first.new_policy


def test_a_chosen_ppo_preset_shows_its_values_in_the_empty_options_and_keeps_what_was_typed(
    page, logged_in, live_server, project, policy, prompt_set, criterion
):
    logged_in(page).goto(live_server.url + reverse("rounds:start", args=[project.slug]))
    page.locator("summary", has_text="Algorithm").click()
    page.get_by_label("Clip range", exact=True).locator("visible=true").fill("none")
    gae_lambda = page.get_by_label("GAE lambda", exact=True)
    expect(gae_lambda).to_have_attribute("placeholder", "0.95")
    page.get_by_label("PPO by the preset").select_option("ppo_vanilla")
    page.locator("[name='policy.algorithm.gae_lambda'][placeholder='0.9']").wait_for()
    whitens = page.get_by_label("Whiten advantages")
    expect(whitens.locator("option").first).to_have_text("no (preset)")
    expect(page.locator("[name='policy.algorithm.clip_range']")).to_have_value("none")
    expect(page.locator("#id_policy\\.algorithm\\.gae_lambda_source")).to_contain_text("C.3")
    # Every section is legible, in reach of the keyboard and no wider than a phone.
    page.set_viewport_size({"width": 320, "height": 900})
    for section in page.locator(".option-section").all():
        if section.get_attribute("open") is None:
            section.locator("summary").press("Enter")
    page.wait_for_function("document.querySelectorAll('.option-section:not([open])').length === 0")
    assert run_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("button", name="Start or schedule the round").click()
    page.wait_for_url("**/rounds/1/")
    plan = Round.objects.get().plan["policy"]
    assert (plan["preset"], plan["algorithm"]["clip_range"], plan["algorithm"]["gae_lambda"]) == (
        "ppo_vanilla",
        None,
        0.9,
    )


def test_a_chain_of_recipes_is_put_together_in_the_browser(
    page, logged_in, live_server, project, policy, prompt_set
):
    """A chosen recipe brings its options; buttons add and move; on a phone in the dark nothing is out of reach."""
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 320, "height": 900})
    logged_in(page).goto(live_server.url + reverse("rounds:start", args=[project.slug]))
    page.get_by_label("Prompts", exact=True).fill("33")
    for number, recipe in enumerate(("best_of_n", "ppo", "dpo"), 1):
        page.get_by_role("button", name="Add a step").click()
        chosen = page.locator(f"[name='step_{number}.recipe']")
        chosen.wait_for()
        if recipe != "ppo":
            chosen.select_option(recipe)
            page.locator(f"[name='step_{number}.recipe'] option[value='{recipe}'][selected]").wait_for(
                state="attached"
            )
    assert run_axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.get_by_role("button", name="Step 3 up").click()
    page.get_by_role("heading", name="Step 2: DPO").wait_for()
    step = page.locator("section.step").nth(1)
    step.locator("summary").filter(has_text="All options of DPO").click()
    step.locator("summary").filter(has_text="Objective").click()
    page.locator("[name='step_2.objective.beta']").fill("0.3")
    page.keyboard.press("Enter")  # starts, and adds no step
    page.get_by_role("heading", name="Round 1").wait_for()
    plan = Round.objects.get().plan
    assert [step["recipe"] for step in plan["steps"]] == ["best_of_n", "dpo", "ppo"]
    assert plan["steps"][1]["dpo"]["objective"]["beta"] == 0.3
    assert plan["sampling"]["prompts"] == 33
