"""Dialogues of which every assistant turn is learned.

Secrets of RLHF I (5.1) fine-tunes on 600,000 multi-turn dialogues; its loader of the MOSS data counts them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from learning.batches.collation import Example
from learning.interface.messages import Messages, answer_turns, to_answer
from learning.interface.training_options import BatchOptions
from learning.interface.vocabulary import LAST_ROLES
from learning.models.tokenization import encode_answer, encode_prompt
from policy_training.training.supervised.demonstrations import Row, row_answer


@dataclass
class TurnCounts:
    """What became of the dialogues; for result.json and the run's page."""

    dialogues: int = 0
    assistant_turns: int = 0  # learned; turns with nothing between them are one
    dialogues_by_turn: int = 0  # whose turns are rows of their own

    def note(self) -> str:
        by_turn = f", {self.dialogues_by_turn} of them a turn a row" if self.dialogues_by_turn else ""
        return (
            f"{self.assistant_turns:,} assistant turns of {self.dialogues:,} dialogues are learned{by_turn}."
        )


def every_turn_examples(row: Row, tokenizer: Any, batch: BatchOptions, counts: TurnCounts) -> list[Example]:
    """The demonstration with every assistant turn counted: its tokens and its end, nothing of the other turns.

    One row where the chat template renders the dialogue as one text that only grows, and it fits into the tokens of a
    prompt and a response. Elsewhere (a template that renders earlier turns differently, a long dialogue) each turn is a
    row after the prompt that a policy would be given there. Both count the same tokens. Turns with nothing in them and
    turns before anybody asked are read and not learned.
    """
    messages = [*row["prompt"], *answer_turns(row_answer(row))]
    spans = _learned_spans(messages)
    by_turn = [
        Example(
            encode_prompt(tokenizer, messages[:start], batch.max_prompt_tokens),
            [
                encode_answer(
                    tokenizer, messages[:start], to_answer(messages[start:end]), batch.max_response_tokens
                )
            ],
        )
        for start, end in spans
    ]
    counts.dialogues += 1
    counts.assistant_turns += len(spans)
    if len(spans) == 1:
        return by_turn
    starts = [start for start, _ in spans]
    whole = _one_row(messages, starts, by_turn, tokenizer, batch)
    if whole is None:
        counts.dialogues_by_turn += 1
        return by_turn
    return [whole]


def _learned_spans(messages: Messages) -> list[tuple[int, int]]:
    """(first, end) of each stretch of assistant turns that answers somebody and says something."""
    spans, place = [], 0
    for is_assistant, group in groupby(messages, key=lambda turn: turn["role"] == "assistant"):
        turns = list(group)
        asked = any(turn["role"] in LAST_ROLES for turn in messages[:place])
        if (
            is_assistant
            and asked
            and any(turn["content"].strip() or turn.get("tool_calls") for turn in turns)
        ):
            spans.append((place, place + len(turns)))
        place += len(turns)
    return spans


def _one_row(
    messages: Messages, starts: Sequence[int], by_turn: Sequence[Example], tokenizer: Any, batch: BatchOptions
) -> Example | None:
    """The dialogue in one row; None where a turn's prompt does not begin with all that stands before it."""
    max_tokens = batch.max_sequence_tokens
    ids: list[int] = []
    is_counted: list[bool] = []
    for start, example in zip(starts, by_turn, strict=True):
        # Cut, a prompt loses its beginning, and the comparison fails.
        prompt = encode_prompt(tokenizer, messages[:start], max_tokens)
        if prompt[: len(ids)] != ids:
            return None
        answer = list(example.response_ids[0])
        is_counted += [False] * (len(prompt) - len(ids)) + [True] * len(answer)
        ids = [*prompt, *answer]
        if len(ids) > max_tokens:
            return None
    first = is_counted.index(True)
    return Example(ids[:first], [ids[first:]], [is_counted[first:]])
