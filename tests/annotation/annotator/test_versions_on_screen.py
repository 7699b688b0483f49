"""A judgment is stamped with the guideline and the settings that were on the screen."""

import json

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from annotation.annotator.presenter import PAGE_VERSION
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Judgment, Task
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until
from workspace.actions import change_question_settings, publish_guideline


def url(name, project, **kwargs):
    return reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})


def post(client, address, body=None):
    return client.post(address, json.dumps(body or {}), content_type="application/json")


def answer(key, **changes):
    return {"tiers": [["B"], ["A"]], "strengths": [3], "seconds": 4.5, "idempotency_key": key} | changes


@pytest.fixture
def publish(project, max_):
    """Publishes a guideline; returns its version."""
    return lambda text: publish_guideline(actor=max_, project=project, text=text).version


@pytest.fixture
def at_work(client, ada, project, make_batch):
    client.force_login(ada)
    make_batch(tasks=3)
    return client


@pytest.mark.db
@pytest.mark.django_db
class TestTheServer:
    def test_the_stamp_is_the_version_that_was_on_the_screen(self, at_work, project, publish, key):
        old = publish("Prefer the shorter one.")
        task = post(at_work, url("next_task", project)).json()
        assert task["guideline"]["version"] == old and "shorter" in task["guideline"]["html"]
        new = publish("Prefer the longer one.")
        # Another window claims the task anew, under the newer guideline; this page still has the first text.
        assert post(at_work, url("next_task", project)).json()["guideline"]["version"] == new
        submit = url("submit", project, public_id=task["public_id"])
        stored = post(at_work, submit, answer(key(), guideline_version=old))
        assert stored.status_code == 201 and stored.headers["X-Guideline-Version"] == str(new)
        assert Judgment.objects.get().guideline_version == old
        revised = answer(key(), tiers=[["A"], ["B"]], guideline_version=new, revise=True)
        assert post(at_work, submit, revised).status_code == 201
        assert list(Judgment.objects.order_by("pk").values_list("guideline_version", flat=True)) == [old, new]

    @pytest.mark.parametrize("version", [99, -1, True, "1", 1.0, 2**40])
    def test_a_version_that_never_was_is_refused(self, at_work, project, publish, key, version):
        publish("Prefer the shorter one.")
        task = post(at_work, url("next_task", project)).json()
        submit = url("submit", project, public_id=task["public_id"])
        for field in ("guideline_version", "settings_version"):
            refused = post(at_work, submit, answer(key(), **{field: version}))
            assert (refused.status_code, refused.json()["code"]) == (400, "unknown_version")
        assert not Judgment.objects.exists()

    def test_a_page_from_before_the_update_is_stamped_as_handed_out_and_has_its_own_keys(
        self, client, ada, project, make_batch, publish, key
    ):
        client.force_login(ada)
        make_batch(tasks=2, responses_per_task=3)
        version = publish("Prefer the shorter one.")
        task = post(client, url("next_task", project)).json()
        assert "reload it" in task["html"] and '<kbd aria-hidden="true">3</kbd> much' in task["html"]
        for page_version in ("2", PAGE_VERSION):
            fresh = client.post(
                url("next_task", project),
                "{}",
                content_type="application/json",
                headers={"X-Page-Version": page_version},
            ).json()
            assert ("reload it" in fresh["html"]) == (page_version != PAGE_VERSION)
            assert '<kbd aria-hidden="true">1</kbd> much' in fresh["html"]
        old = answer(key(), tiers=[["A"], ["B"], ["C"]], strengths=[1, 1])
        assert post(client, url("submit", project, public_id=task["public_id"]), old).status_code == 201
        assert Judgment.objects.get().guideline_version == version

    def test_a_project_that_asks_for_a_reason_takes_no_judgment_without_one(
        self, at_work, ada, max_, ruth, project, make_batch, key
    ):
        change_question_settings(actor=max_, project=project, allow_ties=True, ask_rationale=True)
        task = post(at_work, url("next_task", project)).json()
        submit = url("submit", project, public_id=task["public_id"])
        for rationale in ("", " \n"):
            refused = post(at_work, submit, answer(key(), rationale=rationale))
            assert (refused.status_code, refused.json()["code"]) == (400, "rationale_required")
        assert post(at_work, submit, answer(key(), rationale="Kinder.")).status_code == 201
        revised = post(at_work, submit, answer(key(), tiers=[["A"], ["B"]], revise=True))
        assert revised.json()["code"] == "rationale_required"
        # What comes from elsewhere was asked nothing.
        other = Task.objects.exclude(pk=Judgment.objects.get().task_id).first()
        keys = list(other.task_responses.values_list("response_id", flat=True))
        row = NewJudgment(
            task=other, annotator=ruth, tiers=[keys[:1], keys[1:]], strengths=[None], idempotency_key=key()
        )
        assert add_judgments(actor=max_, batch=other.batch, rows=[row])[0].rationale == ""


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
class TestThePage:
    def test_a_guideline_published_while_the_page_is_open_is_announced_shown_and_stamped(
        self, page, ada, project, make_batch, address, open_as, publish
    ):
        old = publish("Prefer the *shorter* one.")
        make_batch(tasks=4)
        open_as(page, ada).goto(address("annotate"))
        first = wait_for_task(page)
        news = page.locator("#work-page-guideline-news")
        expect(news).to_be_hidden()
        new = publish("Prefer the *longer* one.")
        expect(page.locator("#guideline-text")).to_contain_text("shorter")
        page.keyboard.press("1")
        page.keyboard.press("Enter")  # made under the text that was on the screen
        wait_for_another(page, first)
        second = wait_for_task(page)
        news.wait_for(state="visible")
        expect(news).to_contain_text("The guideline has changed", use_inner_text=True)
        news.get_by_role("button", name="Read it").click()
        expect(page.locator("#guideline-text")).to_have_text("Prefer the longer one.", use_inner_text=True)
        page.keyboard.press("Escape")
        expect(news).to_be_hidden()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        wait_for_another(page, second)
        wait_until(page, lambda: Judgment.objects.count() == 2)
        assert list(Judgment.objects.order_by("pk").values_list("guideline_version", flat=True)) == [old, new]
        # Who was away and comes back is told, too.
        publish("Prefer the kinder one.")
        page.goto(address("overview"))
        page.goto(address("annotate"))
        wait_for_task(page)
        expect(news).to_be_visible()

    def test_the_first_guideline_of_a_project_reaches_an_open_page(
        self, page, ada, project, make_batch, address, open_as, publish
    ):
        project.guidelines.all().delete()
        make_batch(tasks=3)
        open_as(page, ada).goto(address("annotate"))
        first = wait_for_task(page)
        button = page.get_by_role("button", name="Guideline")
        assert button.count() == 0
        publish("Prefer the shorter one.")
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        wait_for_another(page, first)
        button.wait_for(state="visible")
        wait_until(page, lambda: Judgment.objects.exists())
        assert Judgment.objects.get().guideline_version == 0

    @pytest.mark.parametrize("responses", [2, 3])
    def test_a_reason_that_is_asked_for_is_asked_for(
        self, page, ada, max_, project, make_batch, address, open_as, responses
    ):
        change_question_settings(actor=max_, project=project, allow_ties=True, ask_rationale=True)
        make_batch(tasks=1, responses_per_task=responses)
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        for _ in range(responses - 1):
            page.keyboard.press("2")
        page.keyboard.press("Enter")
        expect(page.locator("#task-problem")).to_contain_text("Write in a few words why", use_inner_text=True)
        expect(page.locator("[name=rationale]")).to_be_focused()
        page.keyboard.type("It is kinder.")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(".no-tasks")
        wait_until(page, lambda: Judgment.objects.exists())
        assert Judgment.objects.get().rationale == "It is kinder."
