"""Every step between two states is either in the table or refused, by the function and by the database."""

from itertools import product

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from runs.errors import IllegalTransition
from runs.models import Artifact, Run
from runs.states import FINISHED, RunState
from runs.transitions import transition_run
from workspace.database import database_now_plus

pytestmark = [pytest.mark.django_db, pytest.mark.db]

ALLOWED = {
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "running"),
    ("running", "queued"),
    ("running", "done"),
    ("running", "failed"),
    ("running", "user_error"),
    ("running", "cancelled"),
    ("failed", "queued"),
    ("user_error", "queued"),
    ("cancelled", "queued"),
}


def fields_of(state: str) -> dict:
    """What the database wants of a run in this state."""
    running, finished = state == "running", state in FINISHED
    return {
        "lease_until": database_now_plus(30) if running else None,
        "fence": 1,
        "started_at": Now(),
        "finished_at": Now() if finished else None,
        "error": "It broke." if state in ("failed", "user_error") else "",
    }


@pytest.fixture
def run_in(queue_counting):
    def put(state: str) -> Run:
        run = queue_counting()
        Run.objects.filter(pk=run.pk).update(state=state, **fields_of(state))
        run.refresh_from_db()
        return run

    return put


@pytest.mark.parametrize(("before", "after"), sorted(product(RunState.values, RunState.values)))
def test_a_step_is_taken_exactly_when_the_table_has_it(run_in, before, after):
    run = run_in(before)
    if (before, after) in ALLOWED:
        assert transition_run(Run.objects.all(), run, RunState(after), **fields_of(after))
        expected = after
    else:
        with pytest.raises(IllegalTransition):
            transition_run(Run.objects.all(), run, RunState(after), **fields_of(after))
        expected = before
    run.refresh_from_db()
    assert run.state == expected


def test_a_mover_with_an_old_fence_or_state_changes_nothing(run_in):
    run = run_in("running")
    seen = Run.objects.get(pk=run.pk)
    Run.objects.filter(pk=run.pk).update(fence=2)
    assert not transition_run(Run.objects.all(), seen, RunState.DONE, **fields_of("done"))
    seen.refresh_from_db()
    Run.objects.filter(pk=run.pk).update(state="cancelled", **fields_of("cancelled"))
    assert not transition_run(Run.objects.all(), seen, RunState.DONE, **fields_of("done"))
    run.refresh_from_db()
    assert run.state == "cancelled"


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        # An unknown state breaks a second rule as well; which one is named first is the database's choice.
        ("run_state_valid|finished_run_has_its_time", {"state": "asleep"}),
        ("running_run_has_lease_and_fence", {"state": "running", "lease_until": None}),
        ("only_a_running_run_has_a_lease", {"lease_until": Now()}),
        ("finished_run_has_its_time", {"finished_at": Now()}),
        ("finished_run_has_its_time", {"state": "done"}),
        ("run_error_says_why", {"state": "failed", "finished_at": Now()}),
        ("run_error_says_why", {"state": "done", "finished_at": Now(), "error": "x"}),
        ("run_attempts_are_bounded", {"attempt": 4}),
        ("run_counts_are_positive", {"processes": 0}),
        ("run_directory_is_one_plain_name", {"directory": "../secrets"}),
        ("run_directory_is_one_plain_name", {"directory": ".."}),
        ("run_directory_is_one_plain_name", {"directory": ""}),
    ],
)
def test_the_database_refuses_a_row_that_breaks_a_rule(run_in, constraint, changes):
    run = run_in("queued")
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(**changes)
    assert Run.objects.filter(pk=run.pk).update(title="A change that breaks none") == 1


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("artifact_kind_valid", {"kind": "cake"}),
        ("artifact_has_a_path", {"path": ""}),
        ("artifact_has_a_sha256", {"sha256": "abc"}),
    ],
)
def test_the_database_refuses_an_artifact_that_breaks_a_rule(project, constraint, changes):
    good = {"project": project, "kind": "policy", "path": "models/a", "sha256": "0" * 64, "size_bytes": 1}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Artifact.objects.create(**{**good, **changes})
    Artifact.objects.create(**good)
    with pytest.raises(IntegrityError), transaction.atomic():
        Artifact.objects.create(**good)
