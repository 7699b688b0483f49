"""A manager's settings page: new versions, and two managers who do not overwrite each other."""

import pytest
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
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
    assert "ties not allowed" in answer.content.decode()
    assert answer.context["question_form"]["allow_ties"].value() is True
    assert project.question_settings.count() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "x"},
        {"version": "one", "text": "x"},
        {"version": 1, "text": "x" * 100_001},
    ],
)
def test_what_cannot_be_read_changes_nothing(manager, page, project, wrong):
    assert manager.post(page, {"change": "guideline", **wrong}).status_code == 422
    assert newest(project).version == 1


def test_what_no_database_keeps_changes_nothing(manager, page, project):
    wrong = {"change": "guideline", "version": 1, "text": "a\x00b"}
    assert manager.post(page, wrong).status_code == 400
    assert newest(project).version == 1


@pytest.mark.parametrize("who", ["ada", "ruth", "olga"])
def test_only_managers_change_them(client, page, project, request, who):
    client.force_login(request.getfixturevalue(who))
    assert client.post(page, {"change": "guideline", "version": 1, "text": "Mine."}).status_code == 404
    assert newest(project).version == 1


def test_the_project_is_corrected_and_the_slower_of_two_managers_sees_both(
    manager, page, project, make_batch
):
    draft, open_ = make_batch(tasks=1, opened=False), make_batch(tasks=1)
    form = {"change": "project", "version": 1, "name": "Pantry", "overlap": 3, "lease_minutes": 45}
    assert manager.post(page, form).status_code == 302
    for batch in (draft, open_):
        batch.refresh_from_db()
        assert batch.overlap == 1  # not asked for
    answer = manager.post(page, form | {"name": "Larder", "lease_minutes": 10})
    said = answer.content.decode()
    assert answer.status_code == 409
    assert '<dd dir="auto">Pantry</dd>' in said and 'value="Larder"' in said
    again = answer.context["project_form"].data
    both = {name: again[name] for name in form} | {"adjust_batches": "on"}
    assert manager.post(page, both).status_code == 302
    project.refresh_from_db()
    assert (project.name, project.slug, project.overlap, project.lease_minutes) == (
        "Larder",
        "kitchen",
        3,
        10,
    )
    for batch in (draft, open_):
        batch.refresh_from_db()
        assert batch.overlap == 3
        assert batch.tasks.get().open_slots == 3


def test_a_mistake_is_said_beside_its_field_and_nothing_is_saved(manager, page, project):
    form = {"change": "project", "version": 1, "name": "??", "overlap": 99, "lease_minutes": 45}
    answer = manager.post(page, form)
    assert answer.status_code == 422 and "Give a whole number from 1 to 50." in answer.content.decode()
    answer = manager.post(page, form | {"overlap": 1})
    assert answer.status_code == 422 and "at least one letter or digit" in answer.content.decode()
    project.refresh_from_db()
    assert (project.name, project.version) == ("Kitchen", 1)


def test_a_corrected_question_comes_with_the_next_task_and_judgments_keep_theirs(
    manager, client, page, project, criterion, ada, max_, make_batch, key
):
    make_batch(tasks=2)
    judged = claim_task(actor=ada, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
    old = submit_judgment(actor=ada, assignment=judged, content=content, idempotency_key=key())
    held = claim_task(actor=ada, project=project)
    form = {
        "change": "question",
        "version": 1,
        "allow_ties": "on",
        f"question_of_{criterion.pk}": "Which is tastier?",
    }
    assert manager.post(page, form).status_code == 302
    assert manager.post(page, form | {f"question_of_{criterion.pk}": " ", "version": 2}).status_code == 422

    client.force_login(ada)

    def asked(assignment):
        address = reverse("annotation:task_content", args=["kitchen", assignment.public_id])
        return client.get(address).json()["html"]

    assert "Which answer is more helpful?" in asked(held)  # as it was handed out
    assert "Which is tastier?" in asked(claim_task(actor=ada, project=project))
    client.force_login(max_)
    address = reverse("annotation:judgment", args=["kitchen", old.task.batch_id, old.pk])
    assert "<h1>Which answer is more helpful?</h1>" in client.get(address).content.decode()


def test_one_more_criterion(manager, page, project):
    form = {"change": "criterion", "name": "Less harmful", "question": "Which harms less?"}
    assert manager.post(page, form).status_code == 302
    assert project.criteria.get(name="less-harmful").question == "Which harms less?"
    again = manager.post(page, form)
    assert again.status_code == 422 and "already" in again.content.decode()


def test_every_version_is_kept_with_its_author_and_what_changed(client, manager, project, max_, ruth, ada):
    text = "Be kind.\n\nPrefer short answers.\n\nOne.\nTwo.\nThree.\nFour.\nFive."
    publish_guideline(actor=max_, project=project, text=text)
    publish_guideline(actor=max_, project=project, text=text.replace("short", "long <b>") + "\n\nNever lie.")
    address = reverse("annotation:guideline_versions", args=["kitchen"])
    client.force_login(ruth)
    page = client.get(address).content.decode()
    assert [f"Version {number}</a>" in page for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert page.count("by max") == 4  # three guidelines and the question's first version
    page = client.get(f"{address}3/").content.decode()
    assert "<del>short</del>" in page and "<ins>long &lt;b&gt;</ins>" in page
    assert "<ins>Never lie.</ins>" in page and "Be kind." in page
    assert "<b>" not in page
    page = client.get(f"{address}3/?against=1").content.decode()
    assert "Removed: " in page and "the answer that helps" in page
    assert client.get(f"{address}2/?against=2").status_code == 200  # itself: nothing to compare
    assert client.get(f"{address}4/").status_code == 404
    client.force_login(ada)
    assert client.get(address).status_code == client.get(f"{address}2/").status_code == 404


def test_what_is_being_written_is_shown_by_the_same_cleaning_and_stored_nowhere(manager, project):
    address = reverse("annotation:preview_guideline", args=["kitchen"])
    answer = manager.post(
        address, {"version": 1, "text": "*kind* <script>alert(1)</script> ![x](http://x.org/y)"}
    )
    assert "<em>kind</em>" in answer.content.decode()
    assert "<script" not in answer.content.decode() and "<img" not in answer.content.decode()
    assert project.guidelines.count() == 1
    assert (
        "100000 characters" in manager.post(address, {"version": 1, "text": "x" * 100_001}).content.decode()
    )
