"""Every step between two states is either in the table or refused, by the function and by the database."""

from itertools import product

import pytest

from runs.errors import IllegalTransition
from runs.models import Run
from runs.states import RunState
from runs.transitions import transition_run
from tests.runs.conftest import fields_of

pytestmark = [pytest.mark.django_db, pytest.mark.db]

ALLOWED = {
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "running"),
    ("running", "queued"),
    ("running", "paused"),
    ("running", "done"),
    ("running", "failed"),
    ("running", "user_error"),
    ("running", "cancelled"),
    ("paused", "queued"),
    ("paused", "cancelled"),
    ("failed", "queued"),
    ("user_error", "queued"),
    ("cancelled", "queued"),
}


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
