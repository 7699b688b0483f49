"""What came, went and changed between two datasets, against judgments made one by one."""

import uuid

import pytest
from django.core.management import call_command

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.differences import dataset_difference
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Assignment
from annotation.queue.actions import claim_task

pytestmark = [pytest.mark.db, pytest.mark.django_db]
FIRST, SECOND = [["A"], ["B"]], [["B"], ["A"]]


@pytest.fixture
def two(project, max_, ada, make_batch):
    """One: four tasks of `first` judged. Then one is revised, one withdrawn, one more judged, `second` begun; the other
    is of batch `first` and `second` for one dataset, of `second` alone for another."""
    first = make_batch(tasks=5, name="first")

    def judge(batch=None):
        assignment = claim_task(actor=ada, project=project)
        submit_judgment(
            actor=ada, assignment=assignment, content=JudgmentInput(tiers=FIRST, strengths=[1]),
            idempotency_key=uuid.uuid4().hex,
        )  # fmt: skip
        return Assignment.objects.get(pk=assignment.pk)

    made = [judge() for _ in range(4)]
    old = freeze_dataset(actor=max_, project=project, name="old")
    revise_judgment(
        actor=ada, assignment=made[0], content=JudgmentInput(tiers=SECOND, strengths=[2]),
        idempotency_key=uuid.uuid4().hex,
    )  # fmt: skip
    withdraw_judgment(actor=ada, assignment=made[1], idempotency_key=uuid.uuid4().hex)
    judge()
    second = make_batch(tasks=2, name="second")
    judge(), judge()
    new = freeze_dataset(actor=max_, project=project, name="new")
    alone = freeze_dataset(actor=max_, project=project, name="alone", batches=[second])
    return old, new, alone, first


def test_added_changed_withdrawn_removed_and_the_same(two):
    old, new, alone, _ = two
    found = dataset_difference(old, new)
    # Four before: one revised, one withdrawn, two as they were. After: one more in the first batch, two in the second.
    assert found.counts == {"added": 3, "changed": 1, "withdrawn": 1, "removed": 0, "same": 2}
    assert found.by_batch == {
        "first": {"added": 1, "changed": 1, "withdrawn": 1, "removed": 0, "same": 2},
        "second": {"added": 2, "changed": 0, "withdrawn": 0, "removed": 0, "same": 0},
    }
    assert [len(found.examples[kind]) for kind in ("added", "changed", "withdrawn", "removed")] == [
        3,
        1,
        1,
        0,
    ]
    left_out = dataset_difference(new, alone)
    # What was withdrawn is missed by nobody.
    assert left_out.counts == {"added": 0, "changed": 0, "withdrawn": 0, "removed": 4, "same": 2}


def test_the_other_way_round_and_with_itself(two):
    old, new, _, _ = two
    back = dataset_difference(new, old)
    # What was withdrawn since is said anew by the older one.
    assert back.counts == {"added": 0, "changed": 2, "withdrawn": 0, "removed": 3, "same": 2}
    same = dataset_difference(new, new)
    assert (same.by_batch, same.counts["same"]) == ({}, 6)


def test_the_command_says_the_same(two, project, capsys):
    call_command("compare_datasets", project.slug, "old", "new")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "From “old” to “new”: 3 added, 1 changed, 1 withdrawn, 0 removed, 2 the same."
    assert lines[1:] == [
        "first: 1 added, 1 changed, 1 withdrawn, 0 removed, 2 the same",
        "second: 2 added, 0 changed, 0 withdrawn, 0 removed, 0 the same",
    ]
