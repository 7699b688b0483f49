"""What an action says when it will not do what was asked."""

from collections.abc import Mapping


class ActionError(Exception):
    """A user's mistake or a lost race: one sentence for the person, a code for programs and tests.

    `fields` maps a form field to its own sentence.
    """

    code = "invalid"

    def __init__(self, message: str, *, code: str | None = None, fields: Mapping[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fields = dict(fields or {})


class InvitationUnusable(ActionError):
    """The invitation was used, withdrawn or has expired."""

    code = "invitation_unusable"


class StaleVersion(ActionError):
    """The change rests on a version that is no longer the newest; `current` is."""

    code = "stale_version"

    def __init__(self, message: str, *, current: int):
        super().__init__(message)
        self.current = current


class LastManager(ActionError):
    """A project keeps at least one manager."""

    code = "last_manager"
