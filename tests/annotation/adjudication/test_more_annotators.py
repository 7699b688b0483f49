"""Where annotators disagree one more is asked, once, up to a limit."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.adjudication.more_annotators import (
    apply_one_more_rules,
    ask_one_more,
    current_rule,
    set_one_more_rule,
)
from annotation.batches.actions import close_batch
from annotation.errors import InvalidBatch
from annotation.models import Task
from annotation.quality.actions import measure_project
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
from tests.annotation.adjudication.test_actions import decide
from tests.annotation.datasets.conftest import judge_all
from tests.annotation.quality.conftest import FIRST, judged  # noqa: F401
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def required(batch):
    return list(batch.tasks.order_by("pk").values_list("required_judgments", flat=True))


def test_one_more_is_asked_where_they_put_the_answers_in_different_orders(
    project,
    criterion,
    max_,
    ruth,
    ada,
    judged,  # noqa: F811
):
    batch, tasks, *_ = judged
    assert ask_one_more(actor=max_, project=project, criterion=criterion, most=4) == 0  # nothing is measured
    measure_project(actor=max_, project=project)
    assert batch.quota == 12
    # They are apart on the last two tasks; on the last one a reviewer has decided.
    decide(ruth, tasks[5])
    assert ask_one_more(actor=max_, project=project, criterion=criterion, most=4) == 1
    assert required(batch)[:6] == [2, 2, 2, 2, 3, 2]
    batch.refresh_from_db()
    assert batch.quota == 13 and find_counter_drift(project) == []
    assert ask_one_more(actor=max_, project=project, criterion=criterion, most=4) == 0
    assert AuditEvent.objects.filter(action="tasks.ask_one_more").count() == 1
    assert claim_task(actor=ada, project=project).task == tasks[4]


def test_not_again_before_the_new_judgment_is_measured_and_never_beyond_the_limit(
    project,
    criterion,
    max_,
    ada,
    judged,  # noqa: F811
):
    batch, tasks, *_ = judged
    measure_project(actor=max_, project=project)
    assert ask_one_more(actor=max_, project=project, criterion=criterion, most=3) == 2
    judge_all(max_, batch, [(task, ada, FIRST, [1]) for task in tasks[4:6]])
    assert ask_one_more(actor=max_, project=project, criterion=criterion, most=4) == 0
    measure_project(actor=max_, project=project)
    assert ask_one_more(actor=max_, project=project, criterion=criterion, most=3) == 0
    close_batch(actor=max_, batch=batch)
    assert ask_one_more(actor=max_, project=project, criterion=criterion, most=4) == 0
    assert max(Task.objects.values_list("required_judgments", flat=True)) == 3
    for most in (1, 51):
        with pytest.raises(InvalidBatch):
            ask_one_more(actor=max_, project=project, criterion=criterion, most=most)


def test_the_button_says_what_it_did(client, project, criterion, max_, judged):  # noqa: F811
    measure_project(actor=max_, project=project)
    client.force_login(max_)
    at = reverse("annotation:ask_one_more", args=[project.slug])
    form = {"criterion": criterion.name, "most": "3"}
    said = client.post(at, form, follow=True).content.decode()
    assert "One more annotator is asked for 2 tasks." in said
    assert "No task needs one more" in client.post(at, form, follow=True).content.decode()
    assert "2 to 50" in client.post(at, form | {"most": "x"}, follow=True).content.decode()
    assert client.post(at, {"criterion": "nothing", "most": "3"}).status_code == 404


def test_the_command_asks_as_the_button_does(project, max_, judged, capsys):  # noqa: F811
    measure_project(actor=max_, project=project)
    for asked in (2, 0):
        call_command("ask_one_more", project.slug, "--most", "3")
        assert f"asked for {asked} tasks" in capsys.readouterr().out


def test_a_rule_asks_once_of_each_measurement(project, max_, ada, judged):  # noqa: F811
    batch, tasks, *_ = judged
    assert apply_one_more_rules() == 0
    call_command("ask_one_more", project.slug, "--most", "3", "--always")
    assert apply_one_more_rules() == 0  # nothing is measured
    measure_project(actor=max_, project=project)
    assert apply_one_more_rules() == 2 and apply_one_more_rules() == 0
    assert required(batch)[:6] == [2, 2, 2, 2, 3, 3]
    judge_all(max_, batch, [(task, ada, FIRST, [1]) for task in tasks[4:6]])
    measure_project(actor=max_, project=project)
    assert apply_one_more_rules() == 0  # they are at three
    set_one_more_rule(actor=max_, project=project, most=4)
    assert apply_one_more_rules() > 0
    call_command("ask_one_more", project.slug, "--never")
    assert current_rule(project) == 0
    assert AuditEvent.objects.filter(action="project.set_one_more_rule").count() == 3


def test_the_rule_of_somebody_else_is_not_overwritten(client, project, max_):
    client.force_login(max_)
    at = reverse("annotation:one_more_rule", args=[project.slug])
    assert "up to 3 people" in client.post(at, {"most": "3", "expected": "0"}, follow=True).content.decode()
    assert "is 3 now" in client.post(at, {"most": "5", "expected": "0"}, follow=True).content.decode()
    assert "2 to 50" in client.post(at, {"most": "1", "expected": "3"}, follow=True).content.decode()
    assert "2 to 50" in client.post(at, {"most": "x", "expected": "3"}, follow=True).content.decode()
    assert current_rule(project) == 3
    client.post(at, {"most": "", "expected": "3"})
    assert current_rule(project) == 0
