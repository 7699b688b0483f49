"""What was in view of each response, from the browser to the judgment's page and the export."""

import json

import pytest
from django.urls import reverse

from annotation.models import Judgment
from annotation.preferences.scale import labels_to_responses
from annotation.record_columns import judgment_rows
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task, wait_until


def seen_of(judgment):
    """By label: (milliseconds in view, share of the height)."""
    return {
        label: (seen["seen_ms"], seen["coverage"])
        for label, key in labels_to_responses(judgment.order_shown).items()
        if (seen := judgment.evidence["responses"].get(str(key)))
    }


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_only_what_was_in_view_counts_as_seen(page, ada, make_batch, address, open_as):
    """Two long answers, one above the other: the second not scrolled to, then scrolled to."""
    page.set_viewport_size({"width": 400, "height": 700})
    make_batch(tasks=2, texts=["A line of an answer that is as long as any other line of it.\n\n" * 40] * 2)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    page.mouse.move(200, 300)
    page.wait_for_timeout(1100)  # time that is measured
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    stored = Judgment.objects.get()
    seen = seen_of(stored)
    assert 500 <= seen["A"][0] <= stored.seconds * 1000 + 100
    assert 0 < seen["A"][1] < 0.5
    assert seen["B"] == (0, 0.0)
    # The second task is scrolled through: all of it was in view, and what is begun outlives a reload.
    second = wait_for_task(page)
    page.evaluate(
        """async () => { const drawn = () => new Promise((done) => requestAnimationFrame(done));
        for (let y = 0; y < document.documentElement.scrollHeight; y += 200) {
          window.scrollTo(0, y); await drawn(); await drawn(); } }"""
    )
    page.keyboard.press("2")
    page.reload()
    assert wait_for_task(page) == second
    page.keyboard.press("Control+Enter")
    wait_until(page, lambda: Judgment.objects.count() == 2)
    assert min(coverage for _, coverage in seen_of(Judgment.objects.latest("pk")).values()) > 0.9


@pytest.fixture
def stored(client, ada, project, make_batch, key):
    """A ranking of ada's by questions, with what was in view."""
    make_batch(tasks=1, responses_per_task=3)
    client.force_login(ada)

    def post(name, body, **kwargs):
        address = reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})
        return client.post(address, json.dumps(body), content_type="application/json")

    public_id = post("next_task", {}).json()["public_id"]
    body = {"tiers": [["B"], ["A"], ["C"]], "strengths": [3, 1], "seconds": 9.0, "idempotency_key": key()}
    seen = {"seen_ms": 4200, "coverage": 0.75}
    refused = post(
        "submit", body | {"evidence": {"responses": {"A": {**seen, "coverage": 7}}}}, public_id=public_id
    )
    assert refused.status_code == 400 and "from 0 to 1" in refused.json()["message"]
    evidence = {"responses": {"B": seen}, "way": "guided", "questions": 3}
    for _ in range(2):  # a repetition changes nothing
        assert post("submit", body | {"evidence": evidence}, public_id=public_id).status_code == 201
    return Judgment.objects.get()


@pytest.mark.db
@pytest.mark.django_db
def test_it_is_stored_with_the_judgment_and_its_reviewers_see_it(stored, client, ruth, project):
    assert seen_of(stored) == {"B": (4200, 0.75)}
    client.force_login(ruth)
    page = client.get(
        reverse("annotation:judgment", args=[project.slug, stored.task.batch_id, stored.pk])
    ).content.decode()
    assert "in view for 4.2 s, 75 % of it" in page
    assert "ordered by 3 questions" in page


@pytest.mark.db
@pytest.mark.django_db
def test_records_have_it_in_their_metadata(stored, project):
    [row] = judgment_rows(project)
    ids = {
        response.pk: response.external_id
        for response in (shown.response for shown in stored.task.task_responses.select_related("response"))
    }
    [seen] = stored.evidence["responses"]
    assert json.loads(row["metadata"]) == {
        "evidence": {
            "responses": {ids[int(seen)]: {"seen_ms": 4200, "coverage": 0.75}},
            "way": "guided",
            "questions": 3,
        }
    }
