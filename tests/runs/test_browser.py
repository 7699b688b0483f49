"""The run page in a browser: curves that move, polling that stops, both themes, 320 px, and axe's opinion."""

import json
import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.urls import reverse
from playwright.sync_api import expect

from runs.models import Run
from tests.axe import run_axe
from tests.runs.conftest import fields_of, until, url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def max_looks(page, client, live_server, max_):
    """The page of a browser in which max is logged in."""
    client.force_login(max_)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
    )
    return page


def test_curves_log_and_state_move_and_polling_ends_with_the_run(max_looks, live_server, filled):
    page = max_looks
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(live_server.url + url("run", filled))
    page.wait_for_selector("#curves[data-points='30']")
    expect(page.locator(".curve")).to_have_count(2)
    page.wait_for_selector("text=about 1 min 15 s left")

    with open(filled.path / "metrics.jsonl", "a") as metrics:
        metrics.write(json.dumps({"step": 31, "loss": 0.03, "kl": 0.5}) + "\n")
    with open(filled.path / "log.txt", "a") as log:
        log.write("the thirty-first step\n")
    Run.objects.filter(pk=filled.pk).update(progress={"stage": "training", "step": 31, "steps_total": 120})
    page.wait_for_selector("#curves[data-points='31']")
    page.wait_for_selector(".curve-title:text-is('KL')")
    assert "loss 0.03 at step 31" in page.locator("[role=img]").first.get_attribute("aria-label")
    page.wait_for_selector("#run-log-text:has-text('the thirty-first step')")
    page.wait_for_selector(".run-bar-text strong:text-is('31')")

    Run.objects.filter(pk=filled.pk).update(state="done", **fields_of("done"))
    page.wait_for_selector("#run-live[data-finished=yes]")
    page.wait_for_selector("#curves[data-stopped=yes]")
    expect(page.locator("#run-announcer")).to_have_text("The run is now: Done")
    before = len(asked)
    page.wait_for_timeout(4500)
    assert len(asked) == before, "nothing is asked for any more"
    assert page.evaluate("window.alert.toString()").startswith("function"), "no sample text ran"


def test_a_hidden_page_asks_for_nothing(max_looks, live_server, filled):
    page = max_looks
    page.goto(live_server.url + url("run", filled))
    page.wait_for_selector("#curves[data-points='30']")
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    page.wait_for_timeout(500)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4500)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => false, configurable: true})")
    until(lambda: page.wait_for_timeout(200) or len(asked) >= 2)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_pages_are_accessible_and_fit(max_looks, live_server, filled, theme, width):
    page = max_looks
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    for address in (reverse("runs:list", kwargs={"slug": filled.project.slug}), url("run", filled)):
        page.goto(live_server.url + address)
        if "/runs/" + str(filled.pk) in address:
            page.wait_for_selector("#curves[data-points='30']")
            for summary in page.locator("details > summary").all():
                summary.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        violations = [(v["id"], [node["html"] for node in v["nodes"]]) for v in run_axe(page)]
        assert violations == [], address


@pytest.fixture
def paused_ppo(run_in) -> Run:
    """A PPO run that an alarm has paused, with scores of three evaluations."""
    paused = run_in("paused")
    reason = "Alarm at step 40: the mean score, 3.10, is above 2.90, which the reward model gave none of the answers."
    Run.objects.filter(pk=paused.pk).update(
        kind="policy.ppo",
        title="PPO: base to round 3",
        error=reason,
        progress={"step": 40, "notes": [reason]},
    )
    best = paused.path / "checkpoints" / "step-000020.f1"
    best.mkdir(parents=True)
    (best / "complete.json").write_text(json.dumps({"step": 20, "score": 1.5}))
    rows = [
        {
            "step": step,
            "phase": "policy",
            "score": step / 13,
            "kl": step / 4,
            "response_perplexity": 4.0 - step / 20,
            **({"initial_scores": [n / 10 - 1 for n in range(20)]} if step == 1 else {}),
            **({"eval_scores": [n / 8 + step / 20 for n in range(20)]} if step % 20 == 0 else {}),
        }
        for step in range(1, 41)
    ]
    (paused.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = [
        {
            "step": step,
            "evaluation_prompt": f"{prompt} " * 20,
            "response": f"{prompt} {step}. " * 30,
            "score": "0.5000",
            "kl": "1.2500",
        }
        for step in (0, 20, 40)
        for prompt in ("Tea?", "Cake?")
    ]
    (paused.path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    paused.refresh_from_db()
    return paused


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_a_paused_ppo_run_s_page_is_accessible_and_fits(max_looks, live_server, paused_ppo, theme, width):
    page = max_looks
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(live_server.url + url("run", paused_ppo))
    page.wait_for_selector("#curves[data-points='40']")
    expect(page.locator("#reward-figures figure")).to_have_count(4)
    assert not run_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_answers_to_another_prompt_are_shown_when_it_is_chosen(max_looks, live_server, paused_ppo):
    page = max_looks
    page.goto(live_server.url + url("run", paused_ppo))
    answers = page.locator("#run-answers")
    expect(answers.locator("tbody tr")).to_have_count(3)
    page.select_option("#answers-prompt", "1")
    expect(answers.locator("tbody tr").last).to_contain_text("Cake? 40.")
    expect(answers.locator("tbody tr")).to_have_count(3)


def test_a_poll_does_not_undo_the_choice_of_a_prompt_and_the_table_stays_where_it_was(
    max_looks, live_server, paused_ppo
):
    page = max_looks
    page.set_viewport_size({"width": 320, "height": 900})
    page.clock.install()
    held: list[Any] = []
    page.goto(live_server.url + url("run", paused_ppo))
    answers, table = page.locator("#run-answers"), page.locator("#run-answers-table")

    def write_answers(step: int) -> None:
        rows = [
            {"step": step, "evaluation_prompt": f"{prompt} " * 20, "response": f"{prompt} {step}."}
            for prompt in ("Tea?", "Cake?")
        ]
        with (paused_ppo.path / "samples.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    table.evaluate("box => { box.scrollLeft = 40; }")
    assert table.evaluate("box => box.scrollLeft") == 40
    write_answers(60)
    page.clock.fast_forward(31_000)
    expect(answers.locator("tbody tr").last).to_contain_text("Tea? 60.")
    assert table.evaluate("box => box.scrollLeft") == 40

    # A poll is under way when the other prompt is chosen, and is answered before that choice is.
    page.route(re.compile("/answers/"), lambda route: held.append(route))
    write_answers(80)
    page.clock.fast_forward(31_000)
    until(lambda: page.wait_for_timeout(50) or len(held) == 1)
    page.select_option("#answers-prompt", "1")
    until(lambda: page.wait_for_timeout(50) or len(held) == 2)
    assert ["version=" in route.request.url for route in held] == [True, False]
    held[0].continue_()
    page.wait_for_timeout(500)
    held[1].continue_()
    expect(answers.locator("tbody tr").last).to_contain_text("Cake? 80.")
    expect(page.locator("#answers-prompt")).to_have_value("1")
    # htmx writes to the console what it drops.
    assert all("htmx:afterRequest" in said or "htmx:sendAbort" in said for said in page.complaints)
    page.complaints.clear()


def test_ending_a_paused_run_asks_first_and_going_on_does_not(max_looks, live_server, paused_ppo):
    page = max_looks
    page.goto(live_server.url + url("run", paused_ppo))
    page.click("#end-run")
    page.get_by_role("dialog").get_by_role("button", name="End the run").click()
    page.wait_for_selector("#run-live[data-state='Queued']")
    Run.objects.filter(pk=paused_ppo.pk).update(state="paused", error="Alarm.")
    page.reload()
    page.click("#resume-run")
    page.wait_for_selector("#run-live[data-state='Queued']")


@pytest.mark.parametrize("name", ["list", "run"])
def test_when_the_session_ends_the_page_leaves_for_the_login(
    browser,
    client,
    live_server,
    max_,
    filled,
    name,
):
    client.force_login(max_)
    context = browser.new_context()
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    address = reverse("runs:list", args=[filled.project.slug]) if name == "list" else url("run", filled)
    page.goto(live_server.url + address)
    Session.objects.all().delete()
    page.wait_for_url(re.compile("/login/"))
    page.get_by_label("Username").fill("max")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(re.escape(address) + "$"))
    assert faults == []
    context.close()


def test_the_curves_stop_asking_when_the_session_has_ended(browser, client, live_server, max_, filled):
    client.force_login(max_)
    context = browser.new_context()
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page = context.new_page()
    # Without the polling part, which would leave the page.
    page.route(re.compile("/live/"), lambda route: route.fulfill(status=204))
    page.goto(live_server.url + url("run", filled))
    page.wait_for_selector("#curves[data-points='30']")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    Session.objects.all().delete()
    page.wait_for_selector("#curves[data-stopped=yes]")
    assert faults == []
    context.close()


def test_cancelling_a_run_asks_first(max_looks, live_server, filled):
    page = max_looks
    page.goto(live_server.url + url("run", filled))
    page.get_by_role("button", name="Cancel the run").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("at step 30 of 120", use_inner_text=True)
    page.keyboard.press("Escape")
    filled.refresh_from_db()
    assert not filled.cancel_requested
    page.get_by_role("button", name="Cancel the run").click()
    dialog.get_by_role("button", name="Cancel the run").click()
    page.wait_for_selector("#run-live[data-state=Stopping]")
