"""Start a command on several processes of this machine, and say in one sentence when one of them was lost.

python -m learning.launch PROCESSES MODULE RUN_DIR

This is torchrun (its API, its environment variables). When a process is killed the others learn only that a connection
broke, and so says the status they leave; how each process ended is known here alone, after all have.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import parse_args, run

from learning.interface.atomic_files import write_json_atomically
from learning.interface.exit_codes import EXIT_CODES, EXIT_FAILED, EXIT_USER_ERROR
from learning.interface.options import UserError
from learning.interface.run_directory import FENCE_VARIABLE, RunDirectory

# torchrun ends the others once one has failed, with SIGKILL after 30 s or more: such a signal says nothing.
SAME_MOMENT_SECONDS = 5


def main(arguments: list[str]) -> int:
    if len(arguments) != 3 or not arguments[0].isdigit():
        print("expected a number of processes, a module and the run directory", file=sys.stderr)
        return EXIT_USER_ERROR
    processes, module, directory = arguments
    torchrun = ["--standalone", "--nnodes=1", f"--nproc-per-node={processes}", "-m", module, directory]
    started_with = fence_of(RunDirectory(directory))
    try:
        run(parse_args(torchrun))
    except SignalException as stopped:
        return 128 + stopped.sigval
    except ChildFailedError as error:
        sentence = describe_lost_process(error.failures)
        if sentence:
            report_lost_process(RunDirectory(directory), started_with, sentence)
            print(sentence, file=sys.stderr, flush=True)
        return EXIT_FAILED
    return 0


def describe_lost_process(failures: Mapping[int, ProcessFailure]) -> str:
    """Which process ended by itself, and how; empty when all that failed said why themselves.

    `failures` by rank, in the order in which they were noticed.
    """
    if not failures:
        return ""
    first = next(iter(failures.values()))
    at_once = {
        rank: failure
        for rank, failure in failures.items()
        if failure is first
        or (
            failure.timestamp - first.timestamp <= SAME_MOMENT_SECONDS and failure.exitcode != -signal.SIGTERM
        )
    }
    # An abort is often what a process does whose peer is gone: another signal tells more.
    by_signal = sorted(
        (rank for rank in at_once if at_once[rank].exitcode < 0),
        key=lambda rank: at_once[rank].exitcode == -signal.SIGABRT,
    )
    unknown_code = [
        rank for rank in at_once if at_once[rank].exitcode not in EXIT_CODES and rank not in by_signal
    ]
    for rank in (*by_signal, *unknown_code):
        return f"a process of this run ended (rank {rank}, {_describe_exit(at_once[rank].exitcode)})"
    return ""


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = f" {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        name = ""
    hint = "; often: the machine ran out of memory" if code == -signal.SIGKILL else ""
    return f"signal {-code}{name}{hint}"


def fence_of(directory: RunDirectory) -> int | None:
    """Of the attempt that this process belongs to."""
    given = os.environ.get(FENCE_VARIABLE, "")
    try:
        return int(given) if given.isdigit() else directory.read_fence()
    except UserError:
        return None


def report_lost_process(directory: RunDirectory, fence: int | None, sentence: str) -> None:
    """Put the sentence into the status that this attempt left; what another attempt or a result says stands."""
    try:
        status = directory.status()
        if status is None or status.fence != fence or directory.read_fence() != fence:
            return
        if status.outcome in ("running", "failed") and directory.result() is None:
            lost = replace(status, outcome="failed", reason=sentence, eta_seconds=None)
            write_json_atomically(directory.path / "status.json", asdict(lost), sync=False)
    except (OSError, UserError) as error:
        print(f"the status could not be written: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
