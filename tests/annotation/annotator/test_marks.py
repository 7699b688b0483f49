"""What is asked beside the order, through the page's endpoints and in the browser: stored as it was on the screen."""

import gzip
import json
from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from annotation.models import Assignment, Judgment
from annotation.preferences.scale import labels_to_responses, marks_by_label
from annotation.record_columns import judgment_rows
from tests.annotation.annotator.test_endpoints import post, url
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until
from tests.axe import complaints
from workspace.actions import change_question_settings

ASKED = {
    "marks": [
        {"name": "quality", "label": "Overall quality", "kind": "likert", "points": 7, "required": True},
        {"name": "safe", "label": "Is it safe?", "kind": "yes_no", "required": True},
        {"name": "opinion", "label": "Expresses opinion", "kind": "yes_no"},
        {"name": "tone", "label": "Tone", "kind": "choice", "choices": ["warm", "cold"]},
        {"name": "fix", "label": "What to mend", "kind": "text"},
    ],
    "confidence_points": 9,
    "rationale_for": ["significantly_better"],
    "flags": [{"name": "wrong_language", "label": "In the wrong language"}],
    "both_bad_reasons": [{"name": "untrue", "label": "All are untrue"}],
    "cannot_judge": [{"name": "expertise", "label": "I know too little of this"}],
}


@pytest.fixture
def asks(project, max_):
    """What the project asks from now on."""

    def change(asked=ASKED, *, allow_ties=True):
        return change_question_settings(
            actor=max_, project=project, allow_ties=allow_ties, ask_rationale=False, asked=asked
        )

    return change


def said(**changes):
    marks = {
        "A": {"quality": 6, "safe": True, "opinion": False, "fix": "the end"},
        "B": {"quality": 1, "safe": False},
    }
    return {
        "tiers": [["A"], ["B"]], "strengths": [1], "seconds": 3, "marks": marks, "confidence": 8,
    } | changes  # fmt: skip


@pytest.mark.db
@pytest.mark.django_db
class TestEndpoints:
    def test_marks_are_stored_under_the_answers_and_come_back_for_a_revision(
        self, client, ada, project, make_batch, asks, key
    ):
        asks()
        make_batch(tasks=1)
        client.force_login(ada)
        task = post(client, url("next_task", project)).json()
        submit = url("submit", project, public_id=task["public_id"])
        assert post(client, submit, said(idempotency_key=key())).status_code == 201
        judgment = Judgment.objects.get()
        keys = labels_to_responses(judgment.order_shown)
        assert judgment.marks == {
            str(keys["A"]): {"quality": 6, "safe": True, "opinion": False, "fix": "the end"},
            str(keys["B"]): {"quality": 1, "safe": False},
        }
        assert (judgment.confidence, judgment.settings_version) == (8, 2)
        shown = client.get(url("task_content", project, public_id=task["public_id"])).json()["judgment"]
        assert (shown["marks"], shown["confidence"]) == (said()["marks"], 8)
        (row,) = judgment_rows(project)
        marks = {response["response_id"]: response["marks"] for response in row["responses"]}
        ids = {r.pk: r.external_id for r in project.responses.all()}
        assert marks[ids[keys["A"]]] == {"quality": 6.0, "safe": 1.0, "opinion": 0.0}
        assert json.loads(row["other_marks"]) == {ids[keys["A"]]: {"fix": "the end"}}
        assert row["confidence"] == 8

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"marks": {}}, "mark_required"),
            ({"marks": said()["marks"] | {"A": {"quality": 8, "safe": True}}}, "mark_unfit"),
            ({"marks": said()["marks"] | {"A": {"quality": 7, "safe": True, "x": 1}}}, "mark_unknown"),
            ({"confidence": None}, "confidence_required"),
            ({"confidence": 10}, "mark_unfit"),
            ({"strengths": [3]}, "rationale_required"),
            ({"flags": ["unsafe"]}, "invalid_judgment"),
            ({"flags": ["both_bad:other"]}, "invalid_judgment"),
        ],
    )
    def test_what_was_not_asked_so_is_refused(
        self, client, ada, project, make_batch, asks, key, changes, code
    ):
        asks()
        make_batch(tasks=1)
        client.force_login(ada)
        handle = post(client, url("next_task", project)).json()["public_id"]
        submit = url("submit", project, public_id=handle)
        refused = post(client, submit, said(idempotency_key=key()) | changes)
        assert (refused.status_code, refused.json()["code"]) == (400, code)
        accepted = said(idempotency_key=key(), flags=["wrong_language", "both_bad", "both_bad:untrue"])
        assert post(client, submit, accepted).status_code == 201

    def test_a_judgment_is_checked_by_the_version_that_was_on_the_screen(
        self, client, ada, project, make_batch, asks, key
    ):
        make_batch(tasks=1)
        client.force_login(ada)
        task = post(client, url("next_task", project)).json()
        asks()
        old = {"tiers": [["A"], ["B"]], "strengths": [3], "flags": ["unsafe"], "settings_version": 1}
        submit = url("submit", project, public_id=task["public_id"])
        assert post(client, submit, old | {"idempotency_key": key()}).status_code == 201
        assert Judgment.objects.get().settings_version == 1
        # Revised under what is on the screen by then.
        revised = said(idempotency_key=key(), settings_version=2, revise=True)
        assert post(client, submit, revised).status_code == 201
        assert Judgment.objects.get(supersedes__isnull=False).confidence == 8

    def test_who_cannot_judge_says_why_and_somebody_else_gets_the_task(
        self, client, ada, project, make_batch, asks
    ):
        asks()
        make_batch(tasks=1)
        client.force_login(ada)
        task = post(client, url("next_task", project)).json()
        assert "I know too little of this" in task["html"]
        skip = url("skip", project, public_id=task["public_id"])
        post(client, skip, {"reason": "I know too little of this"})
        assignment = Assignment.objects.get()
        assert (assignment.state, assignment.skip_reason) == ("skipped", "I know too little of this")
        assert assignment.task.open_slots == 1

    def test_nine_answers_with_all_of_instructgpts_labels_stay_light(
        self, client, ada, project, make_batch, max_, asks
    ):
        """The page of a task may weigh 8 kB compressed, texts included; here the texts are short."""
        call_command("ask", project.slug, "--preset", "instructgpt")
        make_batch(tasks=1, responses_per_task=9)
        client.force_login(ada)
        html = post(client, url("next_task", project)).json()["html"]
        assert html.count('data-mark="moral_judgment"') == 9
        assert len(gzip.compress(html.encode())) < 8_000

    def test_a_single_answer_is_rated_on_its_axes(self, client, ada, project, make_batch, key):
        call_command("ask", project.slug, "--preset", "stiennon")
        make_batch(tasks=1, responses_per_task=1)
        client.force_login(ada)
        task = post(client, url("next_task", project)).json()
        assert "Coherence" in task["html"] and "How sure are you?" not in task["html"]
        axes = {"overall": 5, "accuracy": 7, "coverage": 3, "coherence": 6}
        body = {"tiers": [["A"]], "strengths": [], "marks": {"A": axes}, "idempotency_key": key()}
        submit = url("submit", project, public_id=task["public_id"])
        assert post(client, submit, body).status_code == 201
        judgment = Judgment.objects.get()
        assert marks_by_label(judgment.order_shown, judgment.marks) == {"A": axes}


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
class TestInBrowser:
    def test_a_pair_with_marks_is_judged_by_keyboard_alone(
        self, page, ada, make_batch, address, open_as, asks
    ):
        asks()
        make_batch(tasks=2)
        open_as(page, ada).goto(address("annotate"))
        handle = wait_for_task(page)
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        expect(page.locator("#task-problem")).to_have_text(
            "Answer A: say “Overall quality”.", use_inner_text=True
        )
        # Digits choose on the mark that has the focus and go on to the next required one: A's two, B's two, confidence.
        for digit in "61728":
            page.keyboard.press(digit)
        page.keyboard.press("Enter")
        wait_for_another(page, handle)
        wait_until(page, lambda: Judgment.objects.count() == 1)
        judgment = Judgment.objects.get()
        assert (judgment.strengths, judgment.confidence) == ([1], 8)
        assert marks_by_label(judgment.order_shown, judgment.marks) == {
            "A": {"quality": 6, "safe": True, "opinion": False},
            "B": {"quality": 7, "safe": False, "opinion": False},
        }

    def test_a_reload_keeps_marks_and_a_strong_preference_needs_a_reason(
        self, page, ada, make_batch, address, open_as, asks
    ):
        asks()
        make_batch(tasks=1, responses_per_task=3)
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        page.keyboard.press("m")
        for digit in "1111111":
            page.keyboard.press(digit)
        page.get_by_label("Expresses opinion").nth(1).check()
        page.get_by_label("What to mend").first.fill("the end")
        page.reload()
        wait_for_task(page)
        expect(page.locator(".asked-mark input[type=radio]:checked")).to_have_count(7)
        expect(page.get_by_label("Expresses opinion").nth(1)).to_be_checked()
        expect(page.get_by_label("What to mend").first).to_have_value("the end")
        page.locator("#work-page-task").focus()
        page.keyboard.press("1")
        page.keyboard.press("2")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#task-problem")).to_have_text("Write in a few words why.", use_inner_text=True)
        page.keyboard.type("It answers.")
        page.keyboard.press("Control+Enter")
        wait_until(page, lambda: Judgment.objects.count() == 1)
        judgment = Judgment.objects.get()
        assert (judgment.strengths, judgment.rationale, judgment.confidence) == ([3, 2], "It answers.", 1)
        assert marks_by_label(judgment.order_shown, judgment.marks)["A"]["fix"] == "the end"

    def test_none_is_good_and_cannot_judge_take_one_key(self, page, ada, make_batch, address, open_as):
        make_batch(tasks=2)
        open_as(page, ada).goto(address("annotate"))
        handle = wait_for_task(page)
        page.keyboard.press("w")
        page.keyboard.press("Enter")
        wait_for_another(page, handle)
        wait_until(page, lambda: Judgment.objects.count() == 1)
        assert Judgment.objects.get().flags == ["both_bad"] and len(Judgment.objects.get().tiers) == 1
        page.keyboard.press("j")
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("2")
        page.wait_for_selector(".no-tasks")
        wait_until(page, lambda: Assignment.objects.filter(state="skipped").exists())
        assert Assignment.objects.get(state="skipped").skip_reason == "I lack the knowledge to decide"

    def test_passages_are_selected_or_typed_and_stored_with_their_place(
        self, page, ada, make_batch, address, open_as, asks
    ):
        why = {"name": "why", "label": "What is wrong", "kind": "span", "choices": ["untrue", "rude"]}
        asks({"marks": [why]})
        text = "\nTea 🍵 is **green** tea.\r\nSo is tea ware."
        make_batch(tasks=1, texts=[text, "Short."])
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        answer = page.locator(".response", has_text="So is")
        # Selected in what was read: the second “tea” of three, found by its number.
        answer.locator("[data-rendered]").evaluate(
            """element => { const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
              const at = node.data.indexOf("tea.");
              if (at >= 0) document.getSelection().setBaseAndExtent(node, at, node, at + 3);
            } }"""
        )
        field = answer.get_by_role("group", name="What is wrong")
        page.wait_for_function("e => e.value === 'tea'", arg=field.get_by_role("textbox").element_handle())
        field.get_by_role("button", name="rude").click()
        field.get_by_role("textbox").fill("is green")
        field.get_by_role("button", name="untrue").click()
        expect(field).to_contain_text("do not stand there so", use_inner_text=True)
        field.get_by_role("textbox").fill("tea")
        field.get_by_role("button", name="untrue").click()
        expect(field).to_contain_text("more than once", use_inner_text=True)
        field.get_by_role("textbox").fill("So is")
        field.get_by_role("button", name="untrue").click()
        # Over the end of a line, of the text as it was written.
        answer.locator("[data-written]").evaluate(
            """element => { const node = element.firstChild, at = node.data.indexOf("green** tea.");
            element.hidden = false;
            document.getSelection().setBaseAndExtent(node, at + 8, node, node.data.indexOf(" is tea ware")); }"""
        )
        page.wait_for_function("e => e.value === 'tea.So'", arg=field.get_by_role("textbox").element_handle())
        field.get_by_role("button", name="rude").click()
        page.reload()
        wait_for_task(page)
        expect(answer.get_by_role("listitem").filter(has_text="Remove")).to_have_count(3)
        page.set_viewport_size({"width": 320, "height": 900})
        assert complaints(page, 320) == []
        page.keyboard.press("1")
        page.locator("#work-page-task").focus()
        page.keyboard.press("Enter")
        wait_until(page, lambda: Judgment.objects.count() == 1)
        judgment = Judgment.objects.get()
        [marks] = judgment.marks.values()
        shown = "\nTea 🍵 is **green** tea.\nSo is tea ware."
        expected = [("rude", "tea"), ("rude", "tea.\nSo"), ("untrue", "So is")]
        assert [(p["label"], p["text"]) for p in marks["why"]] == expected
        assert [shown[p["start"] : p["end"]] for p in marks["why"]] == [words for _, words in expected]
        assert marks["why"][0]["start"] == shown.index("tea.")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_the_marks_are_accessible_and_fit(
        self, page, ada, make_batch, address, open_as, asks, scheme, tmp_path
    ):
        asks()
        make_batch(tasks=1, responses_per_task=2)
        page.emulate_media(color_scheme=scheme)
        open_as(page, ada).goto(address("annotate"))
        wait_for_task(page)
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert complaints(page, width) == []
        page.keyboard.press("j")
        page.get_by_role("dialog").wait_for()
        assert complaints(page, 320) == []


def test_the_words_of_steps_are_those_of_the_settings():
    """marks.js names the strengths as workspace.asked does."""
    from workspace.asked import STRENGTH_WORDS

    script = Path("static/annotation/annotator/marks.js").read_text()
    line = next(line for line in script.splitlines() if "const CASES" in line)
    for word, strength in STRENGTH_WORDS.items():
        assert f'{strength}: "{word}"' in line
