import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Qualification, Task
from annotation.qualification.actions import create_training
from annotation.queue.actions import claim_task

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


def test_checks_and_trainings_by_command(max_, ada, project, criterion, make_batch, key, capsys):
    batch = make_batch(tasks=2, name="Judged")
    for _ in range(2):
        held = claim_task(actor=ada, project=project)
        content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
        submit_judgment(actor=ada, assignment=held, content=content, idempotency_key=key())
    call_command("make_known", project.slug, batch.name)
    assert Task.objects.filter(purpose="gold").count() == 2
    create_training(actor=max_, project=project, name="Basics", criterion=criterion)
    call_command("make_known", project.slug, batch.name, "--training", "Basics")
    assert Task.objects.filter(purpose="practice").count() == 2
    call_command("set_checks", project.slug, "--gold", "5", "--repeats", "4", "--after", "30")
    project.refresh_from_db()
    assert (project.gold_share, project.repeat_share, project.repeat_after) == (0.05, 0.04, 30)
    call_command("qualify", project.slug, "Basics", "ada", "--note", "Knows it")
    assert Qualification.objects.get(annotator=ada).state == "let_through"
    call_command("qualify", project.slug, "Basics", "ada", "--again")
    assert Qualification.objects.get(annotator=ada).state == "open"
    for wrong in (["qualify", project.slug, "Basics", "nobody"], ["qualify", project.slug, "No", "ada"]):
        with pytest.raises(CommandError, match="has no"):
            call_command(*wrong)
    with pytest.raises(CommandError, match="0 to 0.5"):
        call_command("set_checks", project.slug, "--gold", "60")
