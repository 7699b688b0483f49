"""A result is saved exactly once, by the run's owner, and not after a cancel."""

import pytest

from runs.actions import cancel_run
from runs.artifacts import hash_path
from runs.leases import LeaseWatch, LostLease, claim_run
from runs.models import Artifact
from runs.results import save_result
from tests.runs.conftest import (
    saved_results,
)
from tests.runs.run_kinds import COUNTING
from workspace.models import AuditEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db]


def test_saving_a_result_twice_changes_nothing(queue_counting):
    run = queue_counting(steps=1)
    claimed = claim_run(
        kinds=[COUNTING.name], worker_name="w", host="h", lease_seconds=30, watch=LeaseWatch()
    ).run
    model = run.path / "model"
    model.mkdir(parents=True)
    (model / "count.json").write_text("{}")
    digests = [(COUNTING.outputs[0], hash_path(model))]
    assert save_result(claimed, COUNTING, {"digest": "d"}, digests)
    with pytest.raises(LostLease):
        save_result(claimed, COUNTING, {"digest": "d"}, digests)
    assert saved_results(run) == ["d"] and Artifact.objects.count() == 1
    assert AuditEvent.objects.filter(action="run.done").count() == 1


def test_a_result_is_not_saved_once_a_cancel_has_arrived(queue_counting, max_):
    run = queue_counting(steps=1)
    claimed = claim_run(
        kinds=[COUNTING.name], worker_name="w", host="h", lease_seconds=30, watch=LeaseWatch()
    ).run
    cancel_run(actor=max_, run=run)
    assert save_result(claimed, COUNTING, {"digest": "d"}, []) is False
    run.refresh_from_db()
    assert run.state == "cancelled" and saved_results(run) == []
