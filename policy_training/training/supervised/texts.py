"""Plain texts as training examples, of which every token counts: for pretraining, the ptx loss of PPO, and SFT."""

import sys
from collections.abc import Sequence
from typing import Any

from learning.batches.collation import Example
from learning.batches.sequence_packing import chunk_document
from learning.models.tokenization import encode_response
from policy_training.training.supervised.demonstrations import Row


def text_examples(rows: Sequence[Row], tokenizer: Any, max_tokens: int) -> list[Example]:
    """Each text as [start] text [end], in pieces of at most `max_tokens` tokens.

    The start token is context only; every token after it, the end token included, is predicted exactly once. A
    tokenizer without a start token begins with its end token, as GPT-2 was trained.
    """
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return [
        piece
        for row in rows
        for piece in chunk_document(
            [first, *encode_response(tokenizer, row["text"], sys.maxsize)], max_tokens
        )
    ]
