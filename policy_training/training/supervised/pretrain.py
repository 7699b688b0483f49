"""Pretraining: a language model on plain texts, or on whole dialogues. Every token counts.

    python -m policy_training.training.supervised.pretrain RUN_DIR

Reads inputs `texts` (record_schemas.TEXTS), or `demonstrations` read as whole dialogues; rows of split "train" train,
all others are held out. Texts longer than batch.max_prompt_tokens + batch.max_response_tokens are cut into
pieces of that length. Writes model/ and result.json.
"""

from collections.abc import Sequence
from typing import Any

from learning.batches.collation import Example
from learning.batches.sequence_packing import chunk_document
from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS, TEXTS
from learning.interface.training_options import BatchOptions
from learning.models.tokenization import encode_answer, encode_prompt
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.supervised.demonstrations import (
    Row,
    demonstration_texts,
    row_answer,
    split_train,
)
from policy_training.training.supervised.texts import text_examples
from policy_training.training.supervised.training import fit, prepare_tokenizer


def main(context: RunContext[LanguageModelConfig]) -> dict[str, Any]:
    config = context.options
    _require_no_options_of_sft(config.data)
    name = "texts" if context.has_input("texts") else "demonstrations"
    rows = context.read_input(name, TEXTS if name == "texts" else DEMONSTRATIONS)
    train_rows, heldout_rows = split_train(rows)
    if not train_rows:
        raise UserError(
            f"inputs/{name}: none of its {len(rows)} rows has split 'train'; add texts to learn from"
        )
    texts = [row["text"] for row in train_rows] if name == "texts" else demonstration_texts(train_rows)
    tokenizer = prepare_tokenizer(config, texts)

    def examples(rows: Sequence[Row]) -> list[Example]:
        if name == "demonstrations":
            return whole_demonstration_examples(rows, tokenizer, config.batch)
        return text_examples(rows, tokenizer, config.batch.max_sequence_tokens)

    return fit(
        context,
        config=config,
        tokenizer=tokenizer,
        train=examples(train_rows),
        heldout=examples(heldout_rows),
    )


def whole_demonstration_examples(rows: Sequence[Row], tokenizer: Any, batch: BatchOptions) -> list[Example]:
    """Each demonstration's tokens with only the first as context, so that all the others count."""
    return [
        piece
        for row in rows
        for piece in chunk_document(
            [
                *encode_prompt(tokenizer, row["prompt"], batch.max_prompt_tokens),
                *encode_answer(tokenizer, row["prompt"], row_answer(row), batch.max_response_tokens),
            ],
            batch.max_sequence_tokens,
        )
    ]


def _require_no_options_of_sft(options: LanguageModelDataOptions) -> None:
    """UserError for an option that would do nothing here: what is not read is not accepted."""
    neutral = LanguageModelDataOptions()
    for name in (
        "every_assistant_turn",
        "texts_share",
        "min_demonstration_tokens",
        "max_demonstration_tokens",
    ):
        if getattr(options, name) != getattr(neutral, name):
            raise UserError(
                f"config.data.{name}: is of fine-tuning only, pretraining counts every token; take it out"
            )


if __name__ == "__main__":
    run_recipe(main, LanguageModelConfig)
