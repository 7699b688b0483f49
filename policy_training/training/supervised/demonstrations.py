"""Rows of the inputs as training examples: what pretraining, SFT and the ptx loss of PPO share."""

import itertools
from collections.abc import Sequence
from typing import Any

from learning.batches.collation import Example
from learning.interface.messages import Answer, answer_turns, message_texts, stored_answer, to_answer
from learning.interface.training_options import BatchOptions
from learning.models.tokenization import encode_answer, encode_prompt

Row = dict[str, Any]


def split_train(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """(rows of split "train", rows of every other split), each in the order of the file."""
    return [row for row in rows if row["split"] == "train"], [row for row in rows if row["split"] != "train"]


def demonstration_examples(row: Row, tokenizer: Any, batch: BatchOptions) -> list[Example]:
    """The prompt, whose tokens do not count, and the response, whose tokens all do.

    A response in which tools answer, or which goes on with turns of the user, is one example for each stretch of the
    assistant's own turns, with what comes before it as the prompt: what others say is not learned.
    """
    examples = []
    prompt = list(row["prompt"])
    for is_own, turns in itertools.groupby(
        answer_turns(row_answer(row)), key=lambda turn: turn["role"] == "assistant"
    ):
        spoken = list(turns)
        if is_own:
            examples.append(
                Example(
                    encode_prompt(tokenizer, prompt, batch.max_prompt_tokens),
                    [encode_answer(tokenizer, prompt, to_answer(spoken), batch.max_response_tokens)],
                )
            )
        prompt += spoken
    return examples


def demonstration_texts(rows: Sequence[Row]) -> list[str]:
    """Everything a tokenizer should know: each turn and each response by itself."""
    return [
        text
        for row in rows
        for turn in (*row["prompt"], *answer_turns(row_answer(row)))
        for text in message_texts(turn)
    ]


def row_answer(row: Row) -> Answer:
    """The response of a DEMONSTRATIONS row."""
    return stored_answer(row["response"], row.get("turns"))
