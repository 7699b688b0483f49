"""Quality and decisions by command: what the page and the API do."""

import csv
import io
import json

import pytest
from django.core.management import CommandError, call_command

from annotation.adjudication.actions import current_decision
from annotation.models import Judgment, ReturnedJudgment
from annotation.quality.actions import measure_project
from tests.annotation.quality.conftest import judged  # noqa: F401
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def say(project, max_):
    def say(command, *arguments):
        out = io.StringIO()
        call_command(command, project.slug, *arguments, actor=max_.username, stdout=out)
        return out.getvalue()

    return say


def test_the_report_is_printed_as_json_and_as_csv(project, max_, judged, say):  # noqa: F811
    with pytest.raises(CommandError, match="never measured"):
        say("quality_report")
    report = measure_project(actor=max_, project=project)
    stored = report.annotators.order_by("pk")
    rows = [json.loads(line) for line in say("quality_report", "--what", "annotators").splitlines()]
    assert [row["annotator"] for row in rows] == [row.annotator.pseudonym for row in stored]
    assert [row["figures"] for row in rows] == [row.figures for row in stored]
    table = list(
        csv.DictReader(io.StringIO(say("quality_report", "--what", "annotators", "--format", "csv")))
    )
    for row, known in zip(table, stored, strict=True):
        share, low, high, number = known.figures["others"]
        assert (float(row["others"]), float(row["others_low"])) == (share, low)
        assert (float(row["others_high"]), int(row["others_of"])) == (high, number)
        assert row["report"] == str(report.pk) and row["annotator_kind"] == "person"
    [agreement] = [json.loads(line) for line in say("quality_report").splitlines()]
    assert agreement["figures"] == report.agreement.get().figures and agreement["batch"] is None
    consensus = list(
        csv.DictReader(io.StringIO(say("quality_report", "--what", "consensus", "--format", "csv")))
    )
    assert [int(row["task"]) for row in consensus] == [task.pk for task in judged[1]]
    with pytest.raises(CommandError):
        say("quality_report", "--criterion", "nothing")


def test_a_task_is_listed_shown_decided_and_decided_again(project, ruth, max_, judged, say):  # noqa: F811
    measure_project(actor=max_, project=project)
    _, tasks, *_ = judged
    task = tasks[5]
    listed = say("disagreements")
    assert f"task {task.pk} of" in listed and "Decided: none." in listed
    shown = say("decide_task", str(task.pk))
    assert shown.count("judgment ") == 2 and "A > B" in shown and "B > A" in shown
    assert not any(person.username in shown for person in judged[2:])
    order = ("--order", "b > A", "--kind", "slip", "--strengths", "2")
    for wrong in (("--order", "B > B", "--kind", "slip"), ("--order", "B > A")):
        with pytest.raises(CommandError):
            say("decide_task", str(task.pk), *wrong)
    with pytest.raises(CommandError, match="no task 0"):
        say("decide_task", "0", *order)
    say("decide_task", str(task.pk), *order, "--because", "B cites its source.")
    made = current_decision(task)
    judgment = made.decision_task.judgments.get()
    assert (judgment.strengths, judgment.rationale, made.author) == ([2], "B cites its source.", max_)
    assert f"task {task.pk} of" not in say("disagreements")
    assert f"decision {made.pk} (slip): B > A" in say("decide_task", str(task.pk))
    with pytest.raises(CommandError, match="Somebody has decided"):
        say("decide_task", str(task.pk), *order)
    say("decide_task", str(task.pk), "--order", "A=B", "--kind", "style", "--supersedes", str(made.pk))
    again = current_decision(task)
    assert again.supersedes == made and len(again.decision_task.judgments.get().tiers) == 1
    assert AuditEvent.objects.filter(action="task.adjudicate", actor=max_).count() == 2


def test_a_judgment_goes_back(project, judged, say):  # noqa: F811
    judgment = Judgment.objects.filter(task=judged[1][0]).first()
    with pytest.raises(CommandError, match="no judgment 0"):
        say("return_judgment", "0", "--remark", "Look again.")
    with pytest.raises(CommandError, match="is empty"):
        say("return_judgment", str(judgment.pk), "--remark", " ")
    say("return_judgment", str(judgment.pk), "--remark", "Look again.")
    assert ReturnedJudgment.objects.get().remark == "Look again."
