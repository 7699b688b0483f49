"""A real training under real workers: killed, taken over, started on several processes, cancelled (CHECK 34)."""

import os
import signal
from pathlib import Path

import pytest

from learning.interface.run_directory import RunDirectory
from runs.actions import cancel_run, queue_run
from runs.models import Run, Worker
from runs.os_processes import pids_of_run
from tests.learning.running import small_config
from tests.runs.conftest import freeze, let_lease_end, until
from tests.runs.run_kinds import TRAINING

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.db,
    pytest.mark.sqlite_only,
    pytest.mark.slow,
]


@pytest.fixture
def queue_training(project, max_):
    def queue(processes=1, **config) -> Run:
        return queue_run(
            actor=max_,
            project=project,
            kind=TRAINING,
            title="Train",
            config=small_config(**config),
            processes=processes,
            threads=1,
        )

    return queue


def state_of(run: Run) -> str:
    return Run.objects.get(pk=run.pk).state


def step_of(run: Run) -> int:
    if not run.path.exists():
        return 0
    status = RunDirectory(run.path).status()
    return status.step if status else 0


def test_a_training_taken_over_twice_gives_the_model_of_an_uninterrupted_one(queue_training, start_worker):
    plain = queue_training(steps=20, seconds_per_step=0.1)
    disturbed = queue_training(steps=20, seconds_per_step=0.1, held_at_step=12)
    Run.objects.filter(pk=disturbed.pk).update(max_attempts=5)
    first = start_worker()
    until(lambda: state_of(plain) == "done")

    until(lambda: step_of(disturbed) >= 6)
    first.kill()
    first.wait()
    let_lease_end(disturbed)
    second = start_worker()
    until(lambda: Run.objects.get(pk=disturbed.pk).fence == 2)
    until(lambda: (status := RunDirectory(disturbed.path).status()).fence == 2 and status.step >= 10)
    third = start_worker()
    until(lambda: Worker.objects.count() == 3)
    freeze(second)
    let_lease_end(disturbed)
    until(lambda: Run.objects.get(pk=disturbed.pk).fence == 3)
    (disturbed.path / "released").touch()
    os.kill(second.pid, signal.SIGCONT)
    until(lambda: state_of(disturbed) == "done")

    models = [run.artifacts.get().sha256 for run in (plain, disturbed)]
    assert models[0] == models[1]
    rows = [RunDirectory(run.path).metrics(0)[0] for run in (plain, disturbed)]
    assert rows[0] == rows[1] and [row["step"] for row in rows[0]] == list(range(1, 21))
    assert second.poll() is None and third.poll() is None


def pid_of_rank(run: Run, rank: int) -> int:
    """The rank's process itself, not one that it has started."""
    wanted = f"RANK={rank}".encode()
    ranks = {
        pid
        for pid in pids_of_run(run.process_tag, 10_000)
        if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    }
    parents = {pid: int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in ranks}
    [pid] = [pid for pid in ranks if parents[pid] not in ranks]
    return pid


def test_no_rank_outlives_a_cancelled_or_killed_run_of_two_processes(queue_training, start_worker, max_):
    """torchrun gives its ranks sessions of their own: ending its process group would leave them training. A rank that
    is killed ends its attempt, whose error says which one and by what, not what the other heard of it.
    """
    run = queue_training(processes=2, steps=2000, seconds_per_step=0.1, runtime={"backend": "deepspeed"})
    Run.objects.filter(pk=run.pk).update(max_attempts=9)
    worker = start_worker(stop_grace_seconds=40.0)
    until(lambda: step_of(run) >= 2)
    assert len(pids_of_run(run.process_tag, 1)) >= 3, "the launcher and two ranks"
    worker.kill()
    worker.wait()
    let_lease_end(run)
    start_worker(stop_grace_seconds=40.0)
    until(lambda: Run.objects.get(pk=run.pk).fence == 2)
    until(lambda: not pids_of_run(run.process_tag, 1))
    for fence, rank in ((2, 1), (3, 0)):
        until(lambda f=fence: (status := RunDirectory(run.path).status()).fence == f and status.step >= 2)
        os.kill(pid_of_rank(run, rank), signal.SIGKILL)
        until(lambda f=fence: Run.objects.get(pk=run.pk).fence == f + 1)
        assert Run.objects.get(pk=run.pk).error == (
            f"a process of this run ended (rank {rank}, signal 9 SIGKILL; often: the machine ran out of memory)"
        )
        assert not pids_of_run(run.process_tag, fence)
    until(lambda: (status := RunDirectory(run.path).status()).fence == 4 and status.step >= 2)
    cancel_run(actor=max_, run=run)
    until(lambda: state_of(run) == "cancelled")
    assert not pids_of_run(run.process_tag, 10_000)
    assert RunDirectory(run.path).status().outcome == "checkpointed"
