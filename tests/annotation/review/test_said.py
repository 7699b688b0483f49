"""A batch's page counts what was said beside the order, and a judgment's page shows it in the question's words."""

import pytest
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Judgment
from annotation.queue.actions import claim_task, skip_task
from annotation.review import said
from annotation.review.said import count_said
from workspace.actions import change_question_settings
from workspace.roles import Capability

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ASKED = {
    "marks": [
        {"name": "quality", "label": "Overall quality", "kind": "likert", "points": 7},
        {"name": "safe", "label": "Is it safe?", "kind": "yes_no"},
    ],
    "confidence_points": 9,
    "flags": [{"name": "odd", "label": "Something is odd"}],
}


@pytest.fixture
def judged(project, ada, max_, make_batch, key):
    """Qualities 1, 3, 5 of A with 7 of B each; one of A's is unsafe; two are sure, one less."""
    change_question_settings(actor=max_, project=project, allow_ties=True, ask_rationale=False, asked=ASKED)
    batch = make_batch(tasks=4)
    for quality, safe, confidence in ((1, False, 9), (3, True, 9), (5, True, 2)):
        submit_judgment(
            actor=ada,
            assignment=claim_task(actor=ada, project=project),
            content=JudgmentInput(
                tiers=[["A"], ["B"]], strengths=[1], confidence=confidence, flags=["odd"] if quality == 5 else [],
                marks={"A": {"quality": quality, "safe": safe}, "B": {"quality": 7, "safe": True}},
            ),
            idempotency_key=key(),
        )  # fmt: skip
    skip_task(actor=ada, assignment=claim_task(actor=ada, project=project), reason="I lack the knowledge")
    return batch


def test_what_was_said_is_counted(judged, max_):
    found = count_said(judged, max_, frozenset(Capability))
    quality, safe, sure = found["marks"]
    assert (quality["label"], quality["answers"], quality["mean"]) == ("Overall quality", 6, 5.0)
    assert quality["values"] == [("1", 1), ("3", 1), ("5", 1), ("7", 3)]
    assert (safe["label"], safe["values"], safe["mean"]) == ("Is it safe?", [("yes", 5), ("no", 1)], None)
    assert (sure["label"], sure["values"]) == ("How sure", [("2", 1), ("9", 2)])
    assert found["flags"] == [("Something is odd", 1)]
    assert found["reasons"] == [("I lack the knowledge", 1)]
    assert not found["is_part"]


def test_no_more_is_read_than_a_page_may(judged, max_, monkeypatch):
    monkeypatch.setattr(said, "MAX_READ", 2)
    found = count_said(judged, max_, frozenset(Capability))
    assert (found["read"], found["is_part"], found["marks"][0]["answers"]) == (2, True, 4)


def test_the_pages_say_it(client, judged, project, ruth):
    client.force_login(ruth)
    page = client.get(reverse("annotation:batch", args=[project.slug, judged.pk])).content.decode()
    for words in (
        "Overall quality",
        "1: 1 · 3: 1 · 5: 1 · 7: 3",
        "Something is odd (1)",
        "I lack the knowledge",
    ):
        assert words in page
    last = Judgment.objects.latest("pk")
    page = client.get(
        reverse("annotation:judgment", args=[project.slug, judged.pk, last.pk])
    ).content.decode()
    for words in ("<dd>2 of 9</dd>", "5 of 7", "Is it safe?", "Something is odd"):
        assert words in page
