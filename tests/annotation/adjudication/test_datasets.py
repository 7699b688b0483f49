"""Datasets take decisions in place of judgments where they are asked to, and nowhere else."""

import json
import random
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from annotation.adjudication.actions import current_decision, current_decisions
from annotation.adjudication.listing import count_kinds, undecided_tasks
from annotation.datasets.actions import freeze_dataset
from annotation.datasets.conditions import Conditions, InvalidConditions
from annotation.datasets.files import dataset_comparisons, dataset_judgments
from annotation.datasets.selection import Selection
from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.judging.actions import JudgmentInput, revise_judgment, withdraw_judgment
from annotation.models import PreferenceDataset
from annotation.quality.actions import measured_judgments
from rewardmodel.start_training import _require_training_purposes
from tests.annotation.adjudication.test_actions import decide
from tests.annotation.quality.conftest import judged  # noqa: F401
from tests.annotation.quality.reports import make_report

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_decision_stands_in_place_of_the_judgments_of_its_task(project, max_, ruth, judged):  # noqa: F811
    _, tasks, *_ = judged
    before = freeze_dataset(actor=max_, project=project)
    first = decide(ruth, tasks[5], kind="style")
    made = decide(max_, tasks[5], kind="factual", expected=first.pk)
    # Not asked for: a dataset is what it was, and so is what quality measures.
    assert freeze_dataset(actor=max_, project=project, reuse=True) == before
    assert measured_judgments(project).count() == 12
    dataset = freeze_dataset(actor=max_, project=project, decisions=True)
    rows = list(dataset_judgments(dataset))
    assert len(rows) == 11 == Selection(project=project, decisions=True).judgments().count()
    assert str(tasks[5].pk) not in {row["task_id"] for row in rows}
    [row] = [row for row in rows if row["task_id"] == str(made.decision_task_id)]
    assert row["purpose"] == "normal" and row["annotator"] == max_.pseudonym
    assert json.loads(row["metadata"])["decision"] == {"task_id": str(tasks[5].pk), "kind": "factual"}
    assert dataset.filters["decisions"] is True
    [merged] = [
        one for one in dataset_comparisons(dataset, consensus=True) if one["group_id"] == row["task_id"]
    ]
    assert merged["n_annotators"] == 1 and sorted(merged["ranks"]) == [0, 1]
    _require_training_purposes(dataset)
    others = freeze_dataset(actor=max_, project=project, purposes=TRAINING_PURPOSES, decisions=True)
    assert others.counts == dataset.counts


def test_a_decision_that_was_withdrawn_leaves_the_judgments(project, ruth, max_, judged):  # noqa: F811
    _, tasks, *_ = judged
    made = decide(ruth, tasks[5])
    assignment = made.decision_task.assignments.get()
    withdraw_judgment(actor=ruth, assignment=assignment, idempotency_key="withdraw-it")
    rows = list(dataset_judgments(freeze_dataset(actor=max_, project=project, decisions=True)))
    assert len(rows) == 12 and current_decision(tasks[5]) == made


@pytest.mark.parametrize("seed", range(4))
def test_what_waits_for_a_decision_is_what_has_none_that_stands(
    project,
    criterion,
    ruth,
    max_,
    judged,  # noqa: F811
    seed,
):
    draw = random.Random(seed)
    _, tasks, *_ = judged
    report = make_report(project, max_, judged[2:], apart=[(task.batch_id, task.pk) for task in tasks])
    stands = {}
    for task in draw.choices(tasks, k=8):
        last = current_decision(task)
        if stands.get(task.pk) and draw.random() < 0.6:
            assignment = last.decision_task.assignments.get()
            withdraw_judgment(actor=ruth, assignment=assignment, idempotency_key=f"withdraw-{last.pk}")
            stands[task.pk] = False
        else:
            decide(ruth, task, expected=last.pk if last else None)
            stands[task.pk] = True
    waiting = set(undecided_tasks(report, criterion).values_list("task", flat=True))
    assert waiting == {task.pk for task in tasks if not stands.get(task.pk)}
    assert current_decisions(project).count() == sum(stands.values())
    assert sum(number for *_, number in count_kinds(project)) == sum(stands.values())


def test_a_decision_that_its_author_changes_says_still_what_it_decides(project, ruth, max_, judged):  # noqa: F811
    _, tasks, *_ = judged
    assignment = decide(ruth, tasks[5], kind="factual").decision_task.assignments.get()
    for number in range(2):
        said = JudgmentInput(tiers=[["A", "B"]], strengths=[])
        revise_judgment(actor=ruth, assignment=assignment, content=said, idempotency_key=f"changed-{number}")
    rows = list(dataset_judgments(freeze_dataset(actor=max_, project=project, decisions=True)))
    decided = [row for row in rows if row["metadata"]]
    assert [len(row["tiers"]) for row in decided if row["is_current"]] == [1] and len(decided) == 3
    for row in decided:
        assert json.loads(row["metadata"])["decision"] == {"task_id": str(tasks[5].pk), "kind": "factual"}


def test_decisions_of_other_tasks_than_those_selected_are_left_out(project, ruth, max_, judged):  # noqa: F811
    _, tasks, *_ = judged
    decide(ruth, tasks[5])
    assert not list(Selection(project=project, purposes=("head_to_head",), decisions=True).rows())
    with pytest.raises(InvalidConditions):
        Selection(project=project, annotator_kinds=("ai",), decisions=True)


@pytest.mark.parametrize(
    "conditions", [Conditions(min_agreement=0.5), Conditions(until=datetime(2026, 1, 1, tzinfo=UTC))]
)
def test_conditions_that_would_lose_the_decided_tasks_are_refused(project, conditions):
    with pytest.raises(InvalidConditions, match="[Dd]ecision"):
        Selection(project=project, decisions=True, conditions=conditions)
    assert Selection(project=project, decisions=True, conditions=Conditions(min_characters=1))


def test_the_command_and_the_page_ask_for_them(client, project, ruth, max_, judged):  # noqa: F811
    _, tasks, *_ = judged
    decide(ruth, tasks[5])
    call_command("freeze_dataset", project.slug, "decided", "--decisions", "--actor", max_.username)
    dataset = PreferenceDataset.objects.get(name="decided")
    assert dataset.counts["judgments"] == 11
    client.force_login(max_)
    page = client.get(f"/projects/{project.slug}/data/datasets/{dataset.pk}/").content.decode()
    assert "the decision in place of the judgments" in page
    form = {"name": "by page", "annotator_kinds": "person", "purposes": "normal", "decisions": "on"}
    client.post(f"/projects/{project.slug}/data/datasets/new/", form)
    assert PreferenceDataset.objects.get(name="by page").counts["judgments"] == 11
    refused = client.post(
        f"/projects/{project.slug}/data/datasets/new/", form | {"name": "x", "annotator_kinds": "ai"}
    )
    assert "Decisions are people" in refused.content.decode()
