"""What annotation says when it will not do what was asked."""

from workspace.errors import ActionError


class PromptConflict(ActionError):
    """A prompt id that is taken by another conversation."""

    code = "prompt_conflict"


class InvalidText(ActionError):
    """Empty, too long, not text, or with characters that cannot be stored."""

    code = "invalid_text"


class InvalidBatch(ActionError):
    code = "invalid_batch"


class BatchNotOpen(ActionError):
    """The batch is closed to what was asked."""

    code = "batch_not_open"
    is_conflict = True


class InvalidTask(ActionError):
    code = "invalid_task"


class InvalidPayRate(ActionError):
    code = "invalid_pay_rate"


class NotAMember(ActionError):
    """Only members of a project get its tasks."""

    code = "not_a_member"


class MemberPaused(ActionError):
    """A manager has paused them: they get no tasks."""

    code = "member_paused"
    is_conflict = True


class DailyLimitReached(ActionError):
    """They have done what a day allows them: they get no tasks until the next."""

    code = "daily_limit_reached"
    is_conflict = True


class AcknowledgementNeeded(ActionError):
    """A version of the guideline has to be confirmed before the next task."""

    code = "acknowledgement_needed"
    is_conflict = True


class InvalidAssigning(ActionError):
    """A group, skill, person or limit that does not fit."""

    code = "invalid_assigning"


class NotYourTask(ActionError):
    code = "not_your_task"


class NoSlotLeft(ActionError):
    """All slots of the task are taken."""

    code = "no_slot_left"
    is_conflict = True


class InvalidJudgment(ActionError):
    """A malformed judgment: tiers, strengths, marks, flags, seconds, rationale or idempotency key."""

    code = "invalid_judgment"


class InvalidQuestion(ActionError):
    """A question about a task, or its answer: too long, or one too many."""

    code = "invalid_question"


class BadRequest(ActionError):
    """A request of the work page's script that is too large or is not what it should be."""

    code = "bad_request"


class AlreadySubmitted(ActionError):
    """The task has this annotator's judgment already: revise that one."""

    code = "already_submitted"
    is_conflict = True


class NothingToRevise(ActionError):
    code = "nothing_to_revise"
    is_conflict = True


class IdempotencyKeyReused(ActionError):
    """An idempotency key that belongs to another task's judgment."""

    code = "idempotency_key_reused"


class DraftTooLarge(ActionError):
    code = "draft_too_large"


class NothingToMeasure(ActionError):
    """Quality is asked for where nothing is judged."""

    code = "nothing_to_measure"


class InvalidDecision(ActionError):
    """A decision on a task, or a remark to its annotator, that cannot be taken."""

    code = "invalid_decision"


class DecidedMeanwhile(ActionError):
    """Somebody has decided the task since the actor looked."""

    code = "decided_meanwhile"
    is_conflict = True


class ReturnedAlready(ActionError):
    """The judgment was sent back, answered or changed since the actor looked."""

    code = "returned_already"
    is_conflict = True


class PracticeNotSkipped(ActionError):
    """A task of a training is answered, not skipped."""

    code = "practice_not_skipped"


class InvalidTraining(ActionError):
    """A training that nobody could pass, or a step of one that does not fit."""

    code = "invalid_training"


class ConversationRefused(ActionError):
    """A live conversation that cannot be begun, or cannot go on as asked."""

    code = "conversation_refused"


class ConversationChanged(ActionError):
    """It has gone on meanwhile, in another window."""

    code = "conversation_changed"
    is_conflict = True


class InvalidWriting(ActionError):
    """A text, or work that asks for texts, that does not fit what was asked."""

    code = "invalid_writing"


class WritingRefused(ActionError):
    """The item is not the actor's to write or check, or the work is closed."""

    code = "writing_refused"
    is_conflict = True


class WritingChanged(ActionError):
    """The text has gone on since the actor looked: another window, or another reviewer."""

    code = "writing_changed"
    is_conflict = True
