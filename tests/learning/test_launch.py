"""What became of several processes, in one sentence."""

import json
from dataclasses import asdict

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from learning.interface.run_directory import RunDirectory, Status
from learning.launch import describe_lost_process, report_lost_process

MEMORY = "; often: the machine ran out of memory"


def failures(*ends, seconds=()):
    """(rank, exit code) in the order in which torchrun noticed them, all at once unless seconds are given."""
    found = {}
    for number, (rank, code) in enumerate(ends):
        found[rank] = ProcessFailure(local_rank=rank, pid=100 + rank, exitcode=code, error_file="")
        found[rank].timestamp = 1_000 + (seconds[number] if seconds else 0)
    return found


@pytest.mark.parametrize(
    ("ends", "seconds", "said"),
    [
        ([(1, -9)], (), f"rank 1, signal 9 SIGKILL{MEMORY}"),
        ([(0, 1), (1, -9)], (), f"rank 1, signal 9 SIGKILL{MEMORY}"),  # the other heard of it and said so
        ([(1, -9), (0, -15)], (), f"rank 1, signal 9 SIGKILL{MEMORY}"),  # torchrun ended the other
        ([(0, -6), (2, -11)], (), "rank 2, signal 11 SIGSEGV"),  # an abort because the peer is gone
        ([(3, -6)], (), "rank 3, signal 6 SIGABRT"),
        ([(1, 9)], (), "rank 1, exit code 9"),
        ([(1, -15)], (), "rank 1, signal 15 SIGTERM"),
        ([(0, 1), (1, 1)], (), ""),  # both said why
        ([(0, 2), (1, -15)], (0, 1), ""),  # the user's mistake; torchrun ended the other
        ([(0, 1), (1, -9)], (0, 30), ""),  # the other hung and was ended half a minute later
        ([(0, 75), (1, 75)], (), ""),
        ([], (), ""),
    ],
)
def test_the_process_that_was_lost_is_told_from_those_that_followed(ends, seconds, said):
    expected = f"a process of this run ended ({said})" if said else ""
    assert describe_lost_process(failures(*ends, seconds=seconds)) == expected


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.write_fence(4)
    return directory


@pytest.mark.parametrize(
    ("outcome", "fence", "expected"),
    [
        ("failed", 4, ("failed", "lost")),
        ("running", 4, ("failed", "lost")),
        ("user_error", 4, ("user_error", "as it was")),
        ("checkpointed", 4, ("checkpointed", "as it was")),
        ("failed", 3, ("failed", "as it was")),  # of the attempt before
    ],
)
def test_the_status_of_the_attempt_gets_the_sentence_and_no_other_status(directory, outcome, fence, expected):
    status = Status(outcome=outcome, reason="as it was", fence=fence, step=7)
    (directory.path / "status.json").write_text(json.dumps(asdict(status)))
    report_lost_process(directory, 4, "lost")
    found = directory.status()
    assert (found.outcome, found.reason, found.step) == (*expected, 7)


def test_an_attempt_that_was_overtaken_or_has_a_result_writes_nothing(directory):
    path = directory.path / "status.json"
    path.write_text(json.dumps(asdict(Status(outcome="running", fence=4))))
    before = path.read_bytes()
    (directory.path / "result.json").write_text("{}")
    report_lost_process(directory, 4, "lost")
    (directory.path / "result.json").unlink()
    directory.write_fence(5)
    report_lost_process(directory, 4, "lost")
    assert path.read_bytes() == before
