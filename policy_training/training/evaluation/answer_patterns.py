"""What of a generated text is its answer: the group of a task's regular expression, at its last place in the text.

The expression is a user's and the text a model's, and some expressions take for ever on some texts: so each text has a
time limit, which the standard library's `re` does not know.
"""

from collections.abc import Sequence

import regex

from learning.interface.options import UserError
from policy_training.training.evaluation.figures import is_exact
from policy_training.training.rewards.functions import number_in

SECONDS_A_TEXT = 1.0
MOST_TIMEOUTS = 20  # of a task's texts; then the expression is at fault


class AnswerPattern:
    """Raises UserError for what is no expression with one group."""

    def __init__(self, pattern: str, *, task: str, seconds_a_text: float = SECONDS_A_TEXT) -> None:
        self.task, self.seconds_a_text, self.timeouts = task, seconds_a_text, 0
        try:
            self._compiled = regex.compile(pattern)
        except regex.error as error:
            raise UserError(
                f"inputs/items: the answer_pattern of the task {task!r} cannot be read ({error})"
            ) from error
        if self._compiled.groups != 1:
            raise UserError(
                f"inputs/items: the answer_pattern of the task {task!r} has {self._compiled.groups} groups; it takes "
                "one, which is the answer"
            )

    def answer_in(self, text: str) -> str | None:
        """None: the pattern is nowhere in it, or took too long, which `timeouts` counts. Raises UserError where it
        takes too long again and again.
        """
        try:
            matches = list(self._compiled.finditer(text, timeout=self.seconds_a_text))
        except TimeoutError:
            self.timeouts += 1
            if self.timeouts > MOST_TIMEOUTS:
                raise UserError(
                    f"inputs/items: the answer_pattern of the task {self.task!r} took longer than "
                    f"{self.seconds_a_text:g} s on {self.timeouts} texts; write it without repetitions within "
                    "repetitions"
                ) from None
            return None
        last = matches[-1][1] if matches else None
        return None if last is None else last.strip()


def is_right_answer(found: str | None, answers: Sequence[str]) -> bool:
    """As is_exact; of an answer that is a number the value counts, so that 1,234.0 is 1234 and -3 is not 3."""
    if found is None:
        return False
    number = number_in(found)
    return any(
        is_exact(found, [answer]) if (right := number_in(answer)) is None else number == right
        for answer in answers
    )
