"""A command that counts, for tests of whoever runs commands: a run directory like any other, no model and no torch.

Each step mixes the step's number into a running hash, so that a result says whether every step was taken exactly once
from the state before it. Every start and step is noted in journal.txt with pid and fence, by which a test sees whether
two processes ever worked at the same time. Config: `steps`, `seconds_per_step`, and `trouble`, what goes wrong where.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from learning.interface.options import UserError
from learning.interface.record_schemas import PROMPTS
from learning.interface.run_directory import RunDirectory, StaleFence
from learning.run_context import PauseRequested, RunContext, RunDirectoryBusy, StopRequested
from tests.runs.counting_config import CountingOptions


def main(context: RunContext[CountingOptions]) -> dict[str, object]:
    options = context.options
    state = context.path / "counted.json"
    counted = {"step": 0, "digest": ""}
    if state.is_file():
        counted = json.loads(state.read_text())
        context.truncate_logs(counted["offsets"])
    note(context, "start", counted["step"])
    get_into_trouble(context, options.trouble)
    while counted["step"] < options.steps and not context.run_directory.is_asked_to_end():
        context.require_current()
        time.sleep(options.seconds_per_step)
        step = counted["step"] + 1
        while (
            options.trouble == "held" and step == options.steps and not (context.path / "released").exists()
        ):
            context.require_current()
            time.sleep(0.05)
        digest = hashlib.sha256(f"{counted['digest']}/{step}".encode()).hexdigest()
        note(context, "step", step)
        context.log_metrics(step, {"loss": 1.0 / step, "accuracy": step / options.steps})
        counted = {"step": step, "digest": digest, "offsets": context.log_offsets()}
        write_whole(state, counted)
        context.set_status(stage="counting", step=step, steps_total=options.steps)
        if context.stop_requested and step < options.steps:
            raise StopRequested
        if options.trouble == "pauses" and step == 2:
            checkpoint = context.path / "checkpoints" / "step-000002.f0"
            checkpoint.mkdir(parents=True)
            write_whole(checkpoint / "complete.json", {"step": 2, "score": 1.0})
            raise PauseRequested("Alarm: three comes next.")
    context.log_sample(counted["step"], prompt="What is next?", response=str(counted["step"] + 1))
    (context.path / "model").mkdir(exist_ok=True)
    result = {"step": counted["step"], "digest": counted["digest"]}
    write_whole(context.path / "model" / "count.json", result)
    return result


def get_into_trouble(context: RunContext, trouble: str) -> None:
    if trouble == "user_error":
        raise UserError("inputs/numbers.parquet has no rows: give it at least one.")
    if trouble == "needs_two" and len(context.read_input("prompts", PROMPTS)) < 2:
        raise UserError("inputs/prompts.parquet has one row: give it two.")
    first = not (context.path / "tripped").exists()
    (context.path / "tripped").touch()
    if trouble == "crash" or (trouble == "crash_once" and first):
        raise RuntimeError("the abacus broke")
    if trouble == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "mumbles":
        print("mu\x00mble", file=sys.stderr, flush=True)
        os._exit(1)
    if trouble == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def note(context: RunContext, what: str, step: int) -> None:
    line = json.dumps([what, step, os.getpid(), context.fence, time.monotonic()]) + "\n"
    with open(context.path / "journal.txt", "a") as journal:
        journal.write(line)


def write_whole(path: Path, value: object) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(value))
    os.replace(temporary, path)


def run(directory: str) -> int:
    """The exit code, as learning.recipe_runner gives it (which imports torch: seconds for each of many starts)."""
    try:
        wait = float(RunDirectory(directory).config().get("fence_wait_seconds", 20.0))
        context = RunContext.open(RunDirectory(directory), CountingOptions, fence_wait_seconds=wait)
    except StaleFence:
        return 3
    except RunDirectoryBusy as error:
        print(error, file=sys.stderr)
        return 1 if os.environ.get("SWALLOW_EXIT_CODES") else 4
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: setattr(context, "stop_requested", True))
    try:
        context.finish(main(context))
        return 0
    except StaleFence:
        context.release()
        return 3
    except StopRequested:
        context.close("checkpointed", "")
        return 75
    except PauseRequested as error:
        context.close("paused", str(error))
        return 75
    except UserError as error:
        context.close("user_error", str(error))
        return 2
    except RuntimeError as error:
        context.close("failed", f"RuntimeError: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
