"""A checkpoint of a run that becomes a model of its own: which one is meant."""

from django.utils.translation import gettext

from runs.models import Run
from runs.run_files import Checkpoint, checkpoints
from workspace.errors import ActionError


def find_checkpoint(run: Run, step: int) -> Checkpoint:
    """Raises ActionError, naming the steps that have one."""
    found = {checkpoint.step: checkpoint for checkpoint in checkpoints(run)}
    if step not in found:
        known = ", ".join(str(known) for known in sorted(found)) or gettext("none")
        raise ActionError(
            gettext("The run has no checkpoint of step %(step)s; it has %(known)s.")
            % {"step": step, "known": known},
            code="no_checkpoint",
        )
    return found[step]
