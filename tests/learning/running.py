"""Starting the small recipe as a real process."""

import os
import subprocess
import sys
from pathlib import Path

from learning.interface.run_directory import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
MODULE = "tests.learning.small_recipe"


def small_config(**changes):
    runtime = {"checkpoint_every_steps": 2, **changes.pop("runtime", {})}
    optimizer = {"learning_rate": 1e-2, "warmup_steps": 2, **changes.pop("optimizer", {})}
    return {"optimizer": optimizer, "runtime": runtime, **changes}


def create(path, **changes):
    return RunDirectory.create(path, command=MODULE, config=small_config(**changes))


def environment(fence=None, **extra):
    kept = {
        key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    }
    kept |= {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "PYTHONPATH": str(ROOT), **extra}
    kept.pop("ROUNDTABLE_FENCE", None)
    return kept if fence is None else {**kept, "ROUNDTABLE_FENCE": str(fence)}


def start(run, *, fence=None, processes=1, command=MODULE, **extra):
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    return subprocess.Popen(
        [*launcher, command, str(run.path)],
        cwd=ROOT,
        env=environment(fence, **extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(run, *, expected=0, **options):
    """Run to the end; returns stderr. Shows the log when the exit code is another."""
    process = start(run, **options)
    _, stderr = process.communicate(timeout=600)
    assert process.returncode == expected, f"exit {process.returncode}\n{run.log_tail(30)}\n{stderr[-3000:]}"
    return stderr


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "time"} for row in rows]
