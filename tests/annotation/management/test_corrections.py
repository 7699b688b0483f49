"""What the pages correct, by command: the same actions, and a mistake is one sentence."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def run(*words) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def refused(*words) -> str:
    with pytest.raises(CommandError) as caught:
        run(*words)
    assert caught.value.returncode == 2 and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_project_is_corrected_with_its_questions_and_batches(project, criterion, max_, make_batch):
    batch = make_batch(tasks=1, overlap=2)
    question = f"{criterion.name}=Which answer = better?"
    said = run(
        "correct_project", "kitchen", "--name", "The kitchen", "--description", "Tea.", "--overlap", "3",
        "--batches-too", "--lease", "45", "--question", question,
    )  # fmt: skip
    assert "The kitchen: 3 per task, reserved for 45 minutes." in said and "Which answer = better?" in said
    for row in (project, criterion, batch):
        row.refresh_from_db()
    assert (project.name, project.description, project.overlap, project.lease_minutes) == (
        "The kitchen", "Tea.", 3, 45,
    )  # fmt: skip
    assert (criterion.question, batch.overlap, project.slug) == ("Which answer = better?", 3, "kitchen")
    assert project.question_settings.latest_version().version == 2
    # What is not given stays, and no version is made of it.
    run("correct_project", "kitchen", "--description", "")
    project.refresh_from_db()
    assert (project.description, project.name) == ("", "The kitchen")
    assert project.question_settings.latest_version().version == 2
    assert AuditEvent.objects.filter(action="project.correct").count() == 2


def test_a_mistake_is_one_sentence_and_changes_nothing(project, criterion, max_, make_batch):
    batch = make_batch(tasks=1, overlap=2)
    assert "Say what to correct" in refused("correct_project", "kitchen")
    assert "has no criterion" in refused(
        "correct_project", "kitchen", "--name", "Other", "--question", "no=Which?"
    )
    assert "CRITERION=TEXT" in refused("correct_project", "kitchen", "--question", "Which?")
    assert refused("correct_project", "kitchen", "--overlap", "0", "--batches-too")
    assert refused("correct_project", "kitchen", "--lease", "0")
    assert "no batch named" in refused("change_overlap", "kitchen", "nothing", "2")
    assert "between 1 and" in refused("change_overlap", "kitchen", batch.name, "99")
    assert "no member olga" in refused("pause_member", "kitchen", "olga")
    project.refresh_from_db()
    batch.refresh_from_db()
    assert (project.name, project.overlap, batch.overlap) == ("Kitchen", 1, 2)


def test_a_batchs_people_per_task_and_a_pause(project, ada, max_, make_batch):
    batch = make_batch(tasks=2, overlap=1)
    assert "asks 2 per task, with a quota of 4 judgments" in run("change_overlap", "kitchen", batch.name, "2")
    assert set(batch.tasks.values_list("required_judgments", flat=True)) == {2}
    assert "ada gets no tasks" in run("pause_member", "kitchen", "ada")
    membership = project.memberships.get(user=ada)
    assert membership.paused_at is not None
    assert "ada gets tasks again" in run("pause_member", "kitchen", "ada", "--undo")
    membership.refresh_from_db()
    assert membership.paused_at is None
    made = AuditEvent.objects.filter(action__in=["membership.pause", "membership.resume"])
    assert [event.actor for event in made] == [max_, max_]
