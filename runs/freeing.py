"""What a run leaves on disk and nobody needs any more once its result is saved."""

import json
import logging
import shutil
from pathlib import Path

from django.conf import settings

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from runs.models import Run
from runs.run_files import best_checkpoint
from runs.states import RunState

logger = logging.getLogger(__name__)

# What a run that is started again goes on from. Its result is in model/ and result.json, and needs neither.
INTERMEDIATES = ("checkpoints", "shards")


def free_intermediates(run: Run) -> None:
    """Remove checkpoints and partial results of a run that is done: it is never started again (states.py).

    A disk that refuses costs space and nothing else; `manage.py prune` tries again.
    """
    if run.state != RunState.DONE:
        raise ValueError(f"run {run.pk} is {run.state}: it may go on from its checkpoints")
    if settings.RUN_KEEP_CHECKPOINTS:
        return
    for path in intermediates(run, run.path):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("run %s: %s could not be removed (%s)", run.pk, path, error)


def intermediates(run: Run, folder: Path) -> list[Path]:
    """What the folder of a run that is done can do without: all but the checkpoints that its options name
    (`runtime.keep_steps`), those that say themselves that they stay (ends of epochs) and, where an alarm was raised,
    the best one from before it.
    """
    steps = (run.config.get("runtime") or {}).get("keep_steps") or ()
    names = {f"step-{step:06d}" for step in steps}  # step-000200.f3 (learning.checkpoints)
    best = _best_before_an_alarm(folder)
    found = folder / "checkpoints"
    checkpoints = sorted(path for path in found.iterdir() if path.is_dir()) if found.is_dir() else []
    removable = [
        path
        for path in checkpoints
        if path.name.partition(".")[0] not in names and path != best and not _stays(path)
    ]
    if len(removable) == len(checkpoints):
        return [folder / name for name in INTERMEDIATES if (folder / name).is_dir()]
    return [*removable, *(path for path in [folder / "shards"] if path.is_dir())]


def _stays(checkpoint: Path) -> bool:
    try:
        return json.loads((checkpoint / "complete.json").read_bytes()).get("stays") is True
    except (OSError, ValueError, AttributeError):
        return False  # not complete: nobody can use it


def _best_before_an_alarm(folder: Path) -> Path | None:
    """What a run learned before an alarm, where its result is of later weights: it can still become a policy."""
    try:
        result = RunDirectory(folder).result() or {}
    except (OSError, UserError):
        return None
    if not result.get("alarms") or result.get("ended_early_at_step") is not None:
        return None
    best = best_checkpoint(folder)
    return best.path if best is not None else None
