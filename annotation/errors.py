"""What annotation says when it will not do what was asked."""

from workspace.errors import ActionError


class PromptConflict(ActionError):
    """A prompt id that is taken by another conversation."""

    code = "prompt_conflict"


class UnreadableText(ActionError):
    """Empty, too long, not text, or with characters that cannot be stored."""

    code = "unreadable_text"


class BatchInvalid(ActionError):
    code = "batch_invalid"


class BatchNotOpen(ActionError):
    """The batch is closed to what was asked."""

    code = "batch_not_open"


class TaskInvalid(ActionError):
    code = "task_invalid"


class NotAMember(ActionError):
    """Only members of a project get its tasks."""

    code = "not_a_member"


class NotYourTask(ActionError):
    code = "not_your_task"


class NoSlotLeft(ActionError):
    """Everybody the task needs has taken it."""

    code = "no_slot_left"


class BadAnswer(ActionError):
    """Tiers, strengths, marks or seconds that do not describe a weak order of the responses shown."""

    code = "bad_answer"


class AlreadySubmitted(ActionError):
    """The task has this annotator's judgment already: revise that one."""

    code = "already_submitted"


class NothingToRevise(ActionError):
    code = "nothing_to_revise"


class KeyReused(ActionError):
    """An idempotency key that belongs to another task's judgment."""

    code = "key_reused"


class DraftTooLarge(ActionError):
    code = "draft_too_large"
