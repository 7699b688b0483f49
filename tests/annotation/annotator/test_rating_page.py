"""One answer alone, of which the marks are the judgment: by keyboard in a browser, and through the endpoints."""

import pytest
from playwright.sync_api import expect

from annotation.annotator.presenter import PAGE_VERSION
from annotation.batches.actions import open_batch
from annotation.errors import InvalidBatch
from annotation.models import Batch, Judgment
from tests.annotation.annotator.test_endpoints import post, url
from tests.annotation.annotator.waiting import (
    wait_for_agreeing_counters,
    wait_for_another,
    wait_for_task,
    wait_until,
)
from tests.axe import complaints
from workspace.actions import add_criterion, change_question_settings
from workspace.asked import UnfitQuestion
from workspace.question_presets import PRESETS

ASKED = {
    "marks": [
        {"name": "coherence", "label": "Coherence", "kind": "likert", "points": 7, "required": True, "tasks": "one"},
        {"name": "coverage", "label": "Coverage", "kind": "likert", "points": 7, "required": True, "tasks": "one"},
        {"name": "tone", "label": "Tone", "kind": "choice", "choices": ["warm", "cold"]},
        {"name": "slip", "label": "Has a slip", "kind": "yes_no"},
        {"name": "safer", "label": "Safer", "kind": "yes_no", "tasks": "several"},
    ]
}  # fmt: skip


def claim(client, project, page_version=PAGE_VERSION):
    """The next task, as a page of this version asks for it."""
    return client.post(
        url("next_task", project),
        "{}",
        content_type="application/json",
        headers={"X-Page-Version": page_version},
    ).json()


@pytest.fixture
def asks(project, max_):
    def change(asked=ASKED):
        change_question_settings(
            actor=max_, project=project, allow_ties=True, ask_rationale=False, asked=asked
        )

    return change


@pytest.mark.db
@pytest.mark.django_db
class TestEndpoints:
    def test_marks_alone_are_stored_as_one_tier_and_come_back_for_a_revision(
        self, client, ada, project, make_batch, asks, key
    ):
        asks()
        make_batch(tasks=1, responses_per_task=1)
        client.force_login(ada)
        task = claim(client, project)
        assert 'data-kind="rating"' in task["html"]
        assert "Rate this answer: helpful" in task["html"]
        assert "Safer" not in task["html"]  # asked of several answers
        submit = url("submit", project, public_id=task["public_id"])
        marks = {"A": {"coherence": 7, "coverage": 2, "slip": False}}
        body = {"tiers": [["A"]], "strengths": [], "seconds": 4, "marks": marks, "idempotency_key": key()}
        assert post(client, submit, body).status_code == 201
        judgment = Judgment.objects.get()
        (response,) = judgment.order_shown
        assert judgment.tiers == [[response]]
        assert judgment.marks == {str(response): marks["A"]}
        content = url("task_content", project, public_id=task["public_id"])
        shown = client.get(content).json()["judgment"]
        assert (shown["tiers"], shown["marks"]) == ([["A"]], marks)

    @pytest.mark.parametrize("marks", [{}, {"A": {"coherence": 3}}, {"A": {"coherence": 8, "coverage": 1}}])
    def test_a_rating_that_leaves_out_what_is_required_is_refused(
        self, client, ada, project, make_batch, asks, key, marks
    ):
        asks()
        make_batch(tasks=1, responses_per_task=1)
        client.force_login(ada)
        handle = claim(client, project)["public_id"]
        body = {"tiers": [["A"]], "strengths": [], "marks": marks, "idempotency_key": key()}
        assert post(client, url("submit", project, public_id=handle), body).status_code == 400
        assert not Judgment.objects.exists()

    def test_a_rating_that_says_nothing_is_refused_where_nothing_is_required(
        self, client, ada, project, make_batch, asks, key
    ):
        asks({"marks": [{"name": "tone", "label": "Tone", "kind": "text"}]})
        make_batch(tasks=1, responses_per_task=1)
        client.force_login(ada)
        handle = claim(client, project)["public_id"]
        submit = url("submit", project, public_id=handle)
        body = {"tiers": [["A"]], "strengths": [], "marks": {"A": {"tone": " "}}, "idempotency_key": key()}
        refused = post(client, submit, body)
        assert (refused.status_code, refused.json()["code"]) == (400, "mark_required")
        assert post(client, submit, body | {"marks": {"A": {"tone": "warm"}}}).status_code == 201

    def test_a_page_from_before_the_rating_page_shows_what_its_script_knows(
        self, client, ada, project, make_batch, asks
    ):
        asks()
        make_batch(tasks=1, responses_per_task=1)
        client.force_login(ada)
        old = claim(client, project, page_version="4")
        assert 'data-kind="ranking"' in old["html"]

    def test_a_batch_of_ratings_is_not_opened_while_nothing_is_asked_of_one_answer(
        self, project, max_, make_batch, asks
    ):
        asks({"marks": ASKED["marks"][-1:]})
        batch = make_batch(tasks=1, responses_per_task=1, opened=False)
        with pytest.raises(InvalidBatch) as refused:
            open_batch(actor=max_, batch=batch)
        assert refused.value.code == "nothing_asked"
        asks()
        assert open_batch(actor=max_, batch=batch).state == Batch.State.OPEN

    def test_each_criterion_asks_its_own_marks(self, client, ada, max_, project, make_batch, asks, key):
        add_criterion(actor=max_, project=project, name="harmless", question="Which is less harmful?")
        scale = {"kind": "likert", "points": 5, "required": True}
        asks(
            {
                "marks": [
                    {"name": "use", "label": "Useful", "criteria": ["helpful"], **scale},
                    {"name": "harm", "label": "Harmful", "criteria": ["harmless"], **scale},
                ]
            }
        )
        make_batch(tasks=1)
        client.force_login(ada)
        task = claim(client, project)
        assert ("Useful" in task["html"], "Harmful" in task["html"]) == (True, False)
        submit = url("submit", project, public_id=task["public_id"])
        body = {"tiers": [["A"], ["B"]], "strengths": [1], "idempotency_key": key()}
        of_other = post(client, submit, body | {"marks": {"A": {"harm": 1}, "B": {"harm": 1}}})
        assert (of_other.status_code, of_other.json()["code"]) == (400, "mark_unknown")
        assert post(client, submit, body | {"marks": {"A": {"use": 1}, "B": {"use": 5}}}).status_code == 201
        with pytest.raises(UnfitQuestion) as refused:
            asks({"marks": [{"name": "use", "label": "Useful", "criteria": ["polite"], **scale}]})
        assert "There is no criterion “polite”" in refused.value.fields["marks.0.criteria"]

    def test_the_stiennon_preset_asks_its_four_axes_of_one_answer(
        self, client, ada, project, make_batch, asks
    ):
        asks(PRESETS["stiennon"].asked.as_json())
        make_batch(tasks=1, responses_per_task=1)
        client.force_login(ada)
        html = claim(client, project)["html"]
        assert html.count('data-kind="likert" data-required') == 4
        assert html.count('type="radio"') == 4 * 7
        assert "How sure are you?" not in html


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
class TestInBrowser:
    def test_digits_grade_question_after_question_and_enter_submits(
        self, page, ada, make_batch, asks, address, open_as
    ):
        asks()
        make_batch(tasks=2, responses_per_task=1)
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        handle = page.locator(".task").get_attribute("data-public-id")
        page.keyboard.press("Enter")
        expect(page.locator("#task-problem")).to_contain_text(
            "The answer: say “Coherence”.", use_inner_text=True
        )
        for digit in "62":
            page.keyboard.press(digit)
        page.keyboard.press("2")  # the optional one, from wherever the focus is
        page.keyboard.press("Backspace")
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        wait_for_another(page, handle)
        wait_until(page, lambda: Judgment.objects.count() == 1)
        (marks,) = Judgment.objects.get().marks.values()
        assert marks == {"coherence": 6, "coverage": 2, "tone": "warm", "slip": False}
        # Undo brings the marks back, and a change of one of them replaces the judgment.
        page.keyboard.press("z")
        page.wait_for_selector(".task-revising")
        expect(page.locator("[data-mark=coherence] input:checked")).to_have_attribute("value", "6")
        page.keyboard.press("Backspace")
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        wait_until(page, lambda: Judgment.objects.count() == 2)
        (marks,) = Judgment.objects.get(supersedes__isnull=False).marks.values()
        assert marks["tone"] == "cold"

    def test_a_rating_without_a_connection_waits_and_is_sent_once(
        self, forgiving_page, ada, make_batch, asks, address, open_as
    ):
        page = forgiving_page
        asks()
        make_batch(tasks=2, responses_per_task=1)
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        handle = page.locator(".task").get_attribute("data-public-id")
        wait_for_agreeing_counters(page)
        page.context.set_offline(True)
        for key in ("3", "4", "Enter"):
            page.keyboard.press(key)
        wait_for_another(page, handle)
        page.keyboard.press("5")  # a draft of the next
        page.context.set_offline(False)
        wait_until(page, lambda: Judgment.objects.count() == 1)
        (marks,) = Judgment.objects.get().marks.values()
        assert (marks["coherence"], marks["coverage"]) == (3, 4)
        page.reload()
        wait_for_task(page)
        page.wait_for_function("document.querySelector('[data-mark=coherence] input:checked')?.value === '5'")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_passes_axe_and_fits_a_small_phone(
        self, page, ada, make_batch, asks, address, open_as, scheme, tmp_path
    ):
        asks()
        make_batch(tasks=1, responses_per_task=1)
        page.emulate_media(color_scheme=scheme)
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert complaints(page, width) == []
            page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
