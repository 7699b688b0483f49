"""What a dataset is made of: rounds, splits, agreement, length and time; versions; what is told of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.datasets.actions import NoJudgments, describe_dataset, freeze_dataset
from annotation.datasets.conditions import Conditions, InvalidConditions
from annotation.datasets.files import dataset_judgments, dataset_manifest
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment
from annotation.models import Judgment
from annotation.queue.actions import claim_task
from tests.annotation.datasets.conftest import judge_all
from workspace.errors import ActionError
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]
YES, NO = [[0], [1]], [[1], [0]]


@pytest.fixture
def judged(max_, make_batch, make_annotators):
    """Round 1: three agree on one task, and one differs on the other. Round 2: one person, long answers."""
    one, two, three = make_annotators(3)
    first = make_batch(tasks=2, overlap=3, name="first", round_number=1)
    agreed, disputed = first.tasks.order_by("pk")
    judge_all(max_, first, [
        (agreed, one, YES, [1]), (agreed, two, YES, [2]), (agreed, three, YES, [3]),
        (disputed, one, YES, [1]), (disputed, two, YES, [1]), (disputed, three, NO, [1]),
    ])  # fmt: skip
    second = make_batch(tasks=1, name="second", round_number=2, texts=("a" * 80, "b" * 90))
    judge_all(max_, second, [(second.tasks.get(), one, YES, [1])])
    return first, second


def counts(dataset):
    return dataset.counts["judgments"], dataset.counts["tasks"]


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        ({}, (7, 3)),
        ({"rounds": [1]}, (6, 2)),
        ({"rounds": [2]}, (1, 1)),
        ({"conditions": Conditions(min_agreement=1)}, (3, 1)),
        ({"conditions": Conditions(min_agreement=0.3)}, (6, 2)),
        # A third of the pairs of people agree on the disputed task.
        ({"conditions": Conditions(min_agreement=0.34)}, (3, 1)),
        ({"conditions": Conditions(min_characters=80)}, (1, 1)),
        ({"conditions": Conditions(max_characters=89)}, (6, 2)),
        ({"conditions": Conditions(max_characters=90)}, (7, 3)),
        ({"rounds": [1], "conditions": Conditions(min_agreement=0, max_characters=70)}, (6, 2)),
    ],
)
def test_only_what_is_asked_for_is_frozen(project, max_, judged, selected, expected):
    dataset = freeze_dataset(actor=max_, project=project, **selected)
    assert counts(dataset) == expected
    asked = {"rounds": [1]} if selected.get("rounds") == [1] else {}
    asked |= selected["conditions"].describe() if "conditions" in selected else {}
    recorded = dataset_manifest(dataset)["filters"]
    assert {name: recorded[name] for name in asked} == asked


def test_a_split_alone(project, max_, judged):
    everything = list(dataset_judgments(freeze_dataset(actor=max_, project=project)))
    for split in {row["split"] for row in everything}:
        dataset = freeze_dataset(actor=max_, project=project, splits=[split])
        assert list(dataset_judgments(dataset)) == [row for row in everything if row["split"] == split]


def test_until_is_how_it_stood_then_and_since_is_the_last_that_was_said(project, max_, ada, make_batch):
    make_batch(tasks=1)
    assignment = claim_task(actor=ada, project=project)
    first = submit_judgment(
        actor=ada, assignment=assignment, content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
        idempotency_key="the first one",
    )  # fmt: skip
    assignment.refresh_from_db()
    second = revise_judgment(
        actor=ada, assignment=assignment, content=JudgmentInput(tiers=[["B"], ["A"]], strengths=[3]),
        idempotency_key="the second one",
    )  # fmt: skip
    between = second.created_at
    (then,) = dataset_judgments(
        freeze_dataset(actor=max_, project=project, conditions=Conditions(until=between))
    )
    assert (then["judgment_id"], then["is_current"], then["strengths"]) == (str(first.pk), True, [1])
    now = list(
        dataset_judgments(freeze_dataset(actor=max_, project=project, conditions=Conditions(since=between)))
    )
    # The whole chain: what the second supersedes is there too.
    assert [(row["judgment_id"], row["is_current"]) for row in now] == [
        (str(first.pk), False),
        (str(second.pk), True),
    ]
    later = Conditions(since=between + timedelta(microseconds=1))
    with pytest.raises(NoJudgments, match="none meets the conditions on agreement, length and time"):
        freeze_dataset(actor=max_, project=project, conditions=later)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"min_agreement": 1.5}, "An agreement of 1.5 is no share"),
        ({"min_characters": 9, "max_characters": 8}, "At least 9 and at most 8 characters"),
        ({"min_characters": -1}, "give 0 or more"),
        ({"since": timezone.now(), "until": timezone.now() - timedelta(days=1)}, "ends before it begins"),
    ],
)
def test_conditions_that_nothing_could_meet_are_refused(wrong, sentence):
    with pytest.raises(InvalidConditions, match=sentence):
        Conditions(**wrong)


def test_a_taken_name_gets_its_next_version_when_asked(project, max_, judged):
    first = freeze_dataset(actor=max_, project=project, name="helpful")
    with pytest.raises(ActionError, match="already: take another name, or make it a new version") as refused:
        freeze_dataset(actor=max_, project=project, name="helpful")
    assert refused.value.code == "dataset_name_taken"
    again = freeze_dataset(actor=max_, project=project, name="helpful", rounds=[1], new_version=True)
    other = freeze_dataset(actor=max_, project=project, name="harmless", new_version=True)
    assert [(d.name, d.version, d.label) for d in (first, again, other)] == [
        ("helpful", 1, "helpful"),
        ("helpful", 2, "helpful, version 2"),
        ("harmless", 1, "harmless"),
    ]
    assert counts(first) == (7, 3)  # the first is what it was


def test_licence_and_description_can_be_put_right(project, max_, judged):
    dataset = freeze_dataset(
        actor=max_, project=project, licence="cc-by-4.0", description="People of the kitchen."
    )
    files = dataset_manifest(dataset)
    describe_dataset(actor=max_, dataset=dataset, licence=" odc-by ", description="Cooks.\n")
    dataset.refresh_from_db()
    assert (dataset.licence, dataset.description) == ("odc-by", "Cooks.")
    assert dataset_manifest(dataset) == files
    assert AuditEvent.objects.filter(action="dataset.describe", target_id=str(dataset.pk)).count() == 1
    with pytest.raises(ActionError, match="at most 100 fit"):
        describe_dataset(actor=max_, dataset=dataset, licence="x" * 101, description="")


def test_nothing_of_the_database_is_changed_by_freezing(project, max_, judged):
    before = list(Judgment.objects.order_by("pk").values())
    freeze_dataset(actor=max_, project=project, conditions=Conditions(min_agreement=1))
    assert list(Judgment.objects.order_by("pk").values()) == before
