"""What can be wrong with asking for, stopping or repeating a run."""

from workspace.errors import ActionError


class IllegalTransition(ActionError):
    """The run is in a state from which this step does not exist."""

    code = "illegal_transition"
    is_conflict = True


class BadRunConfig(ActionError):
    """The configuration would be refused by the command; nothing was queued."""

    code = "bad_run_config"


class RunChanged(ActionError):
    """Somebody else, or the worker, changed the run a moment ago."""

    code = "run_changed"
    is_conflict = True


class BadArtifact(ActionError):
    """There is nothing usable at the artifact's path."""

    code = "bad_artifact"
