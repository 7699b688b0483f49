"""What a round says when it will not go on."""

from workspace.errors import ActionError


class RoundRefused(ActionError):
    """The round cannot start as asked."""

    code = "round_refused"


class WrongStage(ActionError):
    """The round is not at the stage this belongs to; somebody else may have moved it."""

    code = "wrong_stage"
    is_conflict = True
