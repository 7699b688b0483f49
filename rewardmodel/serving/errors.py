"""What a request for rewards is told that gets none."""

from workspace.errors import ActionError


class ServingRefused(ActionError):
    """The reward model cannot be started or stopped now."""

    code = "serving_refused"
    is_conflict = True


class ScorerUnavailable(Exception):
    """There is no answer now and may be one later: a sentence, a code, and when to come back."""

    def __init__(self, message: str, *, code: str = "scorer_unavailable", retry_after: int = 5) -> None:
        super().__init__(message)
        self.message, self.code, self.retry_after = message, code, max(1, retry_after)
