"""Rows of the inputs as training examples: what pretraining, SFT and the ptx loss of PPO share."""

from collections.abc import Sequence
from typing import Any

from learning.batches.collation import Example
from learning.interface.training_options import BatchOptions
from learning.models.tokenization import encode_prompt, encode_response

Row = dict[str, Any]


def split_train(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """(rows of split "train", rows of every other split), each in the order of the file."""
    return [row for row in rows if row["split"] == "train"], [row for row in rows if row["split"] != "train"]


def demonstration_example(row: Row, tokenizer: Any, batch: BatchOptions) -> Example:
    """The prompt, whose tokens do not count, and the response, whose tokens all do."""
    return Example(
        encode_prompt(tokenizer, row["prompt"], batch.max_prompt_tokens),
        [encode_response(tokenizer, row["response"], batch.max_response_tokens)],
    )


def demonstration_texts(rows: Sequence[Row]) -> list[str]:
    """Everything a tokenizer should know: each turn and each response by itself."""
    return [text for row in rows for text in (*(turn["content"] for turn in row["prompt"]), row["response"])]
