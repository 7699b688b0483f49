"""A manager's settings page: new versions, and two managers who do not overwrite each other."""

import pytest
from django.urls import reverse

from workspace.actions import change_question_settings, publish_guideline

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def page(project):
    return reverse("annotation:settings", kwargs={"slug": project.slug})


@pytest.fixture
def manager(client, max_):
    client.force_login(max_)
    return client


def newest(project):
    return project.guidelines.order_by("-version").first()


def test_the_page_shows_what_is_in_force_and_since_when(manager, page, project, max_):
    publish_guideline(actor=max_, project=project, text="# Be *kind*\n<script>alert(1)</script>")
    said = manager.get(page).content.decode()
    assert "Version 2, published" in said
    assert "<em>kind</em>" in said
    assert "<script>alert" not in said
    assert "Version 1, since" in said


def test_a_guideline_is_published_as_a_new_version(manager, page, project):
    answer = manager.post(page, {"change": "guideline", "version": 1, "text": "Prefer\r\nthe shorter one.\n"})
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert (newest(project).version, newest(project).text) == (2, "Prefer\nthe shorter one.\n")
    assert project.audit_events.latest("pk").action == "guideline.publish"


def test_the_question_is_changed_as_a_new_version(manager, page, project):
    assert manager.post(page, {"change": "question", "version": 1, "ask_rationale": "on"}).status_code == 302
    now = project.question_settings.order_by("-version").first()
    assert (now.version, now.allow_ties, now.ask_rationale) == (2, False, True)


def test_a_guideline_that_somebody_else_published_meanwhile_is_not_overwritten_and_both_texts_are_kept(
    manager, page, project, max_
):
    publish_guideline(actor=max_, project=project, text="What the other one wrote.")
    answer = manager.post(page, {"change": "guideline", "version": 1, "text": "What I wrote."})
    assert answer.status_code == 409
    said = answer.content.decode()
    assert "What the other one wrote." in said
    assert "What I wrote." in said
    assert newest(project).version == 2
    # Sent again, now that both have been seen.
    again = answer.context["guideline_form"].data
    assert (
        manager.post(page, {"change": "guideline", **{k: again[k] for k in ("version", "text")}}).status_code
        == 302
    )
    assert (newest(project).version, newest(project).text) == (3, "What I wrote.")


def test_question_settings_that_somebody_else_changed_meanwhile_are_not_overwritten(
    manager, page, project, max_
):
    change_question_settings(actor=max_, project=project, allow_ties=False, ask_rationale=True)
    answer = manager.post(page, {"change": "question", "version": 1, "allow_ties": "on"})
    assert answer.status_code == 409
    assert "may not" in answer.content.decode()
    assert answer.context["question_form"]["allow_ties"].value() is True
    assert project.question_settings.count() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "x"},
        {"version": "one", "text": "x"},
        {"version": 1, "text": "x" * 100_001},
        {"version": 1, "text": "a\x00b"},
    ],
)
def test_what_cannot_be_read_changes_nothing(manager, page, project, wrong):
    assert manager.post(page, {"change": "guideline", **wrong}).status_code == 422
    assert newest(project).version == 1


@pytest.mark.parametrize("who", ["ada", "ruth", "olga"])
def test_only_managers_change_them(client, page, project, request, who):
    client.force_login(request.getfixturevalue(who))
    assert client.post(page, {"change": "guideline", "version": 1, "text": "Mine."}).status_code == 404
    assert newest(project).version == 1
