"""What an action says when it will not do what was asked."""

from collections.abc import Mapping


class ActionError(Exception):
    """A user's mistake or a lost race: one sentence for the person, a code for programs and tests.

    `fields` maps a form field to its own sentence.
    """

    code = "invalid"
    # The request is in order; it is the state of things that refuses it, perhaps not for ever (409 of the API).
    is_conflict = False

    def __init__(self, message: str, *, code: str | None = None, fields: Mapping[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fields = dict(fields or {})


class InvitationUnusable(ActionError):
    """The invitation was used, withdrawn or has expired."""

    code = "invitation_unusable"
    is_conflict = True


class StaleVersion(ActionError):
    """The change rests on a version that is no longer the newest; `current` is."""

    code = "stale_version"
    is_conflict = True

    def __init__(self, message: str, *, current: int):
        super().__init__(message)
        self.current = current


class LastManager(ActionError):
    """A project keeps at least one manager."""

    code = "last_manager"
    is_conflict = True
