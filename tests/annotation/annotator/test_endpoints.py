import gzip
import json
import re

import pytest
from django.test import Client
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Assignment, Judgment
from annotation.queue.actions import claim_task
from workspace.actions import publish_guideline

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def url(name, project, **kwargs):
    return reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})


def post(client, address, body=None):
    return client.post(address, json.dumps(body or {}), content_type="application/json")


def answer(key, **changes):
    return {"tiers": [["B"], ["A"]], "strengths": [3], "seconds": 4.5, "idempotency_key": key} | changes


@pytest.fixture
def at_work(client, ada, project, make_batch):
    client.force_login(ada)
    make_batch(tasks=3)
    return client


def test_a_task_is_claimed_answered_and_the_next_one_is_another(at_work, project, key):
    first = post(at_work, url("next_task", project)).json()
    assert "Question" in first["html"]
    ahead = post(at_work, url("next_task", project), {"after_assignment": first["public_id"]}).json()
    assert ahead["public_id"] not in (None, first["public_id"])
    stored = post(at_work, url("submit", project, public_id=first["public_id"]), answer(key()))
    assert (stored.status_code, stored.json()) == (201, {"stored": True, "is_counted": True})
    assert post(at_work, url("next_task", project)).json()["public_id"] == ahead["public_id"]


def test_the_same_submit_again_is_told_that_it_is_stored(at_work, project, key):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    same = answer(key())
    for _ in range(3):
        assert post(at_work, url("submit", project, public_id=handle), same).status_code == 201
    assert Judgment.objects.count() == 1


def test_an_answer_of_another_tab_is_told_apart_from_a_repeat(at_work, project, key):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    post(at_work, url("submit", project, public_id=handle), answer(key()))
    refused = post(at_work, url("submit", project, public_id=handle), answer(key()))
    assert (refused.status_code, refused.json()["code"]) == (409, "already_submitted")


def test_an_earlier_answer_is_shown_filled_in_and_revised(at_work, project, key):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    post(at_work, url("submit", project, public_id=handle), answer(key(), rationale="Shorter."))
    shown = at_work.get(url("task_content", project, public_id=handle)).json()
    assert shown["judgment"] == {
        "tiers": [["B"], ["A"]],
        "strengths": [3],
        "marks": {},
        "confidence": None,
        "rationale": "Shorter.",
        "flags": [],
        "value": 8,
    }
    assert shown["progress"]["last_assignment"] == handle
    post(at_work, url("submit", project, public_id=handle), answer(key(), tiers=[["A"], ["B"]], revise=True))
    assert [judgment.supersedes_id is not None for judgment in Judgment.objects.order_by("pk")] == [
        False,
        True,
    ]
    assert (
        post(at_work, url("withdraw", project, public_id=handle), {"idempotency_key": key()}).status_code
        == 201
    )


def test_a_draft_is_kept_and_comes_back_with_the_task(at_work, project):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    draft = {"value": 3, "rationale": "Half a", "seconds": 7.5, "at": 1}
    assert post(at_work, url("draft", project, public_id=handle), draft).json() == {"saved": True}
    assert post(at_work, url("next_task", project)).json()["draft"] == draft


def test_skipping_brings_another_task(at_work, project):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    assert post(at_work, url("skip", project, public_id=handle), {"reason": "?"}).json() == {"skipped": True}
    assert post(at_work, url("next_task", project)).json()["public_id"] != handle


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        '"text"',
        "[" * 100_000,
        '{"tiers": null}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": 7}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "rationale": "a\\u0000b"}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "rationale": "\\ud800"}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "flags": ["\\u0000"]}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "marks": {"A": {"x": NaN}}}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "seconds": Infinity}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "seconds": 1'
        + "0" * 400
        + "}",
        '{"tiers": [["A"],["B"]], "strengths": [1.0], "idempotency_key": "12345678"}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "marks": {"A": {"x": 1'
        + "0" * 400
        + "}}}",
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "\\ud800\\ud800 34567"}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "import-9-0123"}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "flags": ["group:x"]}',
        '{"tiers": [["A"],["B"]], "strengths": [1], "idempotency_key": "12345678", "flags": ["intransitive"]}',
    ],
)
def test_a_body_that_makes_no_sense_is_refused_with_a_sentence(at_work, project, body):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    for name in ("submit", "draft", "skip"):
        if name != "submit" and body.startswith("{") and "rationale" not in body:
            continue
        response = at_work.post(url(name, project, public_id=handle), body, content_type="application/json")
        if name == "skip" and body.startswith("{"):
            continue
        assert response.status_code == 400
        assert response.json()["message"].endswith(".")
    assert not Judgment.objects.exists()


@pytest.mark.parametrize("name", ["submit", "draft", "skip", "withdraw", "next_task"])
def test_a_form_sent_to_an_address_for_scripts_is_refused_with_a_sentence(ada, project, make_batch, name):
    make_batch(tasks=1)
    handle = claim_task(actor=ada, project=project).public_id
    # With the CSRF check, which reads the body of a form before the view can.
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    client.cookies["csrftoken"] = token = "a" * 32
    address = url(name, project, **({} if name == "next_task" else {"public_id": handle}))
    response = client.post(address, {"csrfmiddlewaretoken": token, "tiers": "x"})
    assert response.status_code == 415 and "application/json" in response.json()["message"]


def test_a_draft_nested_deeper_than_can_be_stored_is_refused(at_work, project):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    body = '{"x": ' + "[" * 500 + "]" * 500 + "}"
    refused = at_work.post(url("draft", project, public_id=handle), body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_text")


def test_a_body_larger_than_any_answer_is_refused(at_work, project):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    large = post(at_work, url("draft", project, public_id=handle), {"rationale": "x" * 150_000})
    assert (large.status_code, large.json()["code"]) == (400, "draft_too_large")


def test_after_the_session_ended_scripts_are_told_and_the_work_is_there_after_login(
    at_work, ada, project, key
):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    post(at_work, url("draft", project, public_id=handle), {"value": 2, "saved_at": 1})
    at_work.logout()
    late = answer(key())
    refused = post(at_work, url("submit", project, public_id=handle), late)
    assert (refused.status_code, refused.json()["code"]) == (401, "login_required")
    at_work.force_login(ada)
    again = post(at_work, url("next_task", project)).json()
    assert (again["public_id"], again["draft"]) == (handle, {"value": 2, "saved_at": 1})
    assert post(at_work, url("submit", project, public_id=handle), late).status_code == 201


def test_an_expired_csrf_token_is_renewed_without_leaving_the_page(ada, project, make_batch, key):
    from django.test import Client

    make_batch(tasks=1)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    refused = post(strict, url("next_task", project))
    assert refused.status_code == 403
    assert strict.get(url("refresh_csrf", project)).json() == {"ready": True}
    token = strict.cookies["csrftoken"].value
    kept = strict.post(
        url("next_task", project), "{}", content_type="application/json", headers={"X-CSRFToken": token}
    )
    assert kept.status_code == 200


def test_nobody_opens_another_persons_assignment(at_work, ruth, max_, project):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    for other in (ruth, max_):
        at_work.force_login(other)
        assert at_work.get(url("task", project, public_id=handle)).status_code == 404
        assert at_work.get(url("task_content", project, public_id=handle)).status_code == 404
        for name in ("draft", "submit", "skip", "withdraw"):
            assert post(at_work, url(name, project, public_id=handle)).status_code == 404
    assert Assignment.objects.get().state == "leased"


def test_the_overview_shows_what_is_left_and_the_own_last_answers(at_work, project, key):
    handle = post(at_work, url("next_task", project)).json()["public_id"]
    post(at_work, url("submit", project, public_id=handle), answer(key()))
    page = at_work.get(url("overview", project)).content.decode()
    assert "<strong>2</strong> tasks are waiting" in page
    assert "B is much better than A" in page


def test_a_finished_pool_says_so(at_work, project, key):
    while handle := post(at_work, url("next_task", project)).json()["public_id"]:
        post(at_work, url("submit", project, public_id=handle), answer(key()))
    assert "All done" in post(at_work, url("next_task", project)).json()["html"]


def test_a_manager_opens_and_closes_a_batch_and_a_reviewer_reads_it(
    client, ruth, max_, ada, project, make_batch, key
):
    batch = make_batch(tasks=2, opened=False)
    client.force_login(max_)
    client.post(url("open_batch", project, pk=batch.pk))
    batch.refresh_from_db()
    assert batch.state == "open"
    assignment = claim_task(actor=ada, project=project)
    judgment = submit_judgment(
        actor=ada,
        assignment=assignment,
        content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1], rationale="Because."),
        idempotency_key=key(),
    )
    client.force_login(ruth)
    page = client.get(url("batch", project, pk=batch.pk)).content.decode()
    assert "A is a little better than B" in page and "1 of 2" in page and "Because." in page
    detail = client.get(url("judgment", project, pk=batch.pk, judgment_pk=judgment.pk)).content.decode()
    assert "a little better than" in detail
    assert client.post(url("close_batch", project, pk=batch.pk)).status_code == 404
    assert client.get(url("batches", project)).status_code == 200
    client.force_login(max_)
    client.post(url("close_batch", project, pk=batch.pk))
    batch.refresh_from_db()
    assert batch.state == "closed"


def test_a_reviewer_sees_of_how_many_responses_a_ranking_is(client, ruth, project, make_batch):
    batch = make_batch(tasks=1, responses_per_task=4)
    client.force_login(ruth)
    assert "Ranking of 4" in client.get(url("batches", project)).content.decode()
    assert "Ranking of 4" in client.get(url("batch", project, pk=batch.pk)).content.decode()


def test_a_batch_or_judgment_is_checked_against_its_parent(client, max_, olga, ada, project, make_batch, key):
    from annotation.judging.actions import submit_judgment
    from annotation.queue.actions import claim_task
    from workspace.models import Project

    batch, other = make_batch(tasks=1), make_batch(tasks=1)
    judgment = submit_judgment(
        actor=ada,
        assignment=claim_task(actor=ada, project=project, batch=batch),
        content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
        idempotency_key=key(),
    )
    client.force_login(max_)
    assert client.get(url("judgment", project, pk=other.pk, judgment_pk=judgment.pk)).status_code == 404
    client.force_login(olga)
    garden = Project.objects.get(name="Garden")
    assert client.get(url("batch", garden, pk=batch.pk)).status_code == 404
    assert client.post(url("close_batch", garden, pk=batch.pk)).status_code == 404


def test_an_empty_answer_says_that_it_is_empty(client, ada, max_, project, make_batch, key):
    batch = make_batch(tasks=1, texts=["Something.", " \n"])
    client.force_login(ada)
    shown = post(client, url("next_task", project)).json()
    assert shown["html"].count("(empty answer)") == 1
    post(client, url("submit", project, public_id=shown["public_id"]), answer(key()))
    client.force_login(max_)
    judged = url("judgment", project, pk=batch.pk, judgment_pk=Judgment.objects.get().pk)
    assert client.get(judged).content.decode().count("(empty answer)") == 1


def test_closing_a_batch_asks_with_the_count(client, max_, project, make_batch):
    batch = make_batch(tasks=3)
    client.force_login(max_)
    page = client.get(url("batch", project, pk=batch.pk)).content.decode()
    assert "with 0 of 3 judgments?" in page
    draft = make_batch(tasks=1, opened=False)
    assert "data-confirm=" not in client.get(url("batch", project, pk=draft.pk)).content.decode()


def test_pages_and_answers_of_annotating_are_compressed_and_the_token_in_them_is_masked(at_work, project):
    """Without the mask the size of a compressed page would tell the token letter by letter (BREACH)."""
    bodies = []
    for _ in range(2):
        page = at_work.get(url("annotate", project), headers={"accept-encoding": "gzip"})
        assert page["Content-Encoding"] == "gzip"
        bodies.append(gzip.decompress(page.content).decode())
    first, second = (re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', body) for body in bodies)
    assert first and not set(first) & set(second)
    claimed = at_work.post(
        url("next_task", project), "{}", content_type="application/json", headers={"accept-encoding": "gzip"}
    )
    assert claimed["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(claimed.content))["public_id"]


def test_the_guidelines_text_comes_again_only_where_the_page_shows_another_version(at_work, max_, project):
    publish_guideline(actor=max_, project=project, text="Prefer the **short** one.")
    newest = project.guidelines.latest_version().version
    address = url(
        "task_content", project, public_id=post(at_work, url("next_task", project)).json()["public_id"]
    )
    for shown, comes in ((newest, False), (newest - 1, True), ("what", True)):
        guideline = at_work.get(address, headers={"x-guideline-version": str(shown)}).json()["guideline"]
        assert guideline["version"] == newest
        assert ("<strong>short</strong>" in guideline.get("html", "")) == comes
    assert "html" in at_work.get(address).json()["guideline"]


def test_a_page_without_a_part_that_polls_and_without_a_ranking_loads_no_library_for_them(at_work, project):
    page = at_work.get(url("annotate", project)).content.decode()
    assert "htmx" not in page
    assert '<script src="/static/vendor' not in page  # Sortable and KaTeX come with what needs them
