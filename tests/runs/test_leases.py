"""Claims, renewals and ends, with real concurrent claimants."""

import threading

import pytest
from django.db import connection

from runs.actions import cancel_run
from runs.launchers import Process
from runs.leases import LeaseWatch, LostLease, claim_run, finish_run, record_process, renew, requeue
from runs.models import Run
from runs.states import RunState
from workspace.database import database_now_plus

pytestmark = [pytest.mark.django_db, pytest.mark.db]
KIND = "tests.counting"


def claim(worker="w1", kinds=(KIND,), lease=30.0, watch=None, host="here"):
    return claim_run(
        kinds=kinds, worker_name=worker, host=host, lease_seconds=lease, watch=watch or LeaseWatch()
    )


def lapse(run):
    Run.objects.filter(pk=run.pk).update(lease_until=database_now_plus(-1))


def test_the_oldest_due_run_of_a_known_kind_is_claimed(queue_counting):
    first, second = queue_counting(), queue_counting()
    assert claim(kinds=("tests.other",)) is None
    taken = claim()
    assert taken.run == first and not taken.attempts_exhausted and taken.previous_process is None
    assert (taken.run.state, taken.run.fence, taken.run.attempt) == ("running", 1, 1)
    assert claim("w2").run == second
    assert claim("w3") is None


def test_a_run_that_waits_for_its_back_off_is_not_claimed(queue_counting):
    run = queue_counting()
    requeue(claim().run, seconds=60, error="It broke.", count_attempt=True)
    assert claim() is None
    run.refresh_from_db()
    assert (run.state, run.attempt, run.error, run.lease_until) == ("queued", 1, "It broke.", None)


def test_a_run_handed_back_has_not_used_an_attempt_but_a_fence(queue_counting):
    queue_counting()
    requeue(claim().run, seconds=0, error="", count_attempt=False)
    again = claim().run
    assert (again.attempt, again.fence) == (1, 2)


def test_a_lapsed_lease_is_taken_over_with_the_orphans_process(queue_counting):
    queue_counting()
    lost = claim().run
    record_process(lost, Process(host="here", pid=4711, identity="boot:1"), 30)
    assert claim("w2") is None, "the lease is good"
    lapse(lost)
    taken = claim("w2", host="there")
    assert taken.previous_process == Process(host="here", pid=4711, identity="boot:1")
    assert (taken.run.fence, taken.run.attempt, taken.run.worker_name) == (2, 2, "w2")
    for write in (
        lambda: renew(lost, 30),
        lambda: record_process(lost, None, 30),
        lambda: requeue(lost, seconds=0, error="", count_attempt=False),
        lambda: finish_run(lost, RunState.DONE),
    ):
        with pytest.raises(LostLease):
            write()
    taken.run.refresh_from_db()
    assert (taken.run.state, taken.run.worker_name, taken.run.fence) == ("running", "w2", 2)


def test_a_run_whose_workers_are_lost_again_and_again_is_exhausted(queue_counting):
    queue_counting()
    for attempt in (1, 2, 3):
        taken = claim()
        assert (taken.run.attempt, taken.attempts_exhausted) == (attempt, False)
        lapse(taken.run)
    assert claim().attempts_exhausted


def test_a_renewal_tells_of_a_cancel_and_copies_progress(queue_counting, max_):
    queue_counting()
    run = claim().run
    assert renew(run, 30, {"stage": "training", "step": 3}) is False
    cancel_run(actor=max_, run=run)
    assert renew(run, 30) is True
    run.refresh_from_db()
    assert run.progress == {"stage": "training", "step": 3}


def test_a_clock_set_back_does_not_keep_a_dead_workers_run_forever(queue_counting, monkeypatch):
    """The database's clock may say for an hour that a lease is good; a watch that sees it stand still knows better."""
    queue_counting()
    run = claim(lease=1).run
    Run.objects.filter(pk=run.pk).update(lease_until=database_now_plus(3600))
    watch, now = LeaseWatch(), [100.0]
    monkeypatch.setattr("runs.leases.time.monotonic", lambda: now[0])
    assert claim("w2", lease=1, watch=watch) is None
    now[0] += 1.0
    Run.objects.filter(pk=run.pk).update(lease_until=database_now_plus(3600))  # a living owner renews
    assert claim("w2", lease=1, watch=watch) is None
    now[0] += 1.4
    assert claim("w2", lease=1, watch=watch) is None
    now[0] += 0.2
    assert claim("w2", lease=1, watch=watch).run.fence == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_claimants_at_once_each_run_goes_to_exactly_one(queue_counting):
    ids = {queue_counting(title=f"Count {number}").pk for number in range(6)}
    taken: list[int] = []
    ready = threading.Barrier(6)

    def claimant(name: str) -> None:
        try:
            ready.wait()
            while (found := claim(name)) is not None:
                taken.append(found.run.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=claimant, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(150)
    # A claimant that meets a locked row may leave early; whatever is left is there for the next look.
    while (found := claim("last")) is not None:
        taken.append(found.run.pk)
    assert sorted(taken) == sorted(ids)
    assert set(Run.objects.values_list("fence", flat=True)) == {1}
