"""What a run leaves on disk and nobody needs any more once its result is saved."""

import logging
import shutil

from django.conf import settings

from runs.models import Run
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
    for name in INTERMEDIATES:
        try:
            shutil.rmtree(run.path / name)
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("run %s: %s could not be removed (%s)", run.pk, run.path / name, error)
