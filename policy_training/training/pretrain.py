"""Pretraining: a language model on plain texts, or on whole dialogues. Every token counts.

    python -m policy_training.training.pretrain RUN_DIR

Reads inputs `texts` (record_schemas.TEXTS), or `demonstrations` read as whole dialogues; rows of split "train" train,
all others are held out. Texts longer than batch.max_prompt_tokens + batch.max_response_tokens are cut into
pieces of that length. Writes model/ and result.json.
"""

from typing import Any

from learning.batches.collation import Example
from learning.batches.sequence_packing import chunk_document
from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS, TEXTS
from learning.models.tokenization import encode_prompt, encode_response
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import LanguageModelConfig
from policy_training.training.demonstrations import demonstration_texts, split_train
from policy_training.training.supervised import fit, prepare_tokenizer


def main(context: RunContext[LanguageModelConfig]) -> dict[str, Any]:
    config = context.options
    name = "texts" if context.has_input("texts") else "demonstrations"
    rows = context.read_input(name, TEXTS if name == "texts" else DEMONSTRATIONS)
    train_rows, heldout_rows = split_train(rows)
    if not train_rows:
        raise UserError(
            f"inputs/{name}: none of its {len(rows)} rows has split 'train'; add texts to learn from"
        )
    texts = [row["text"] for row in train_rows] if name == "texts" else demonstration_texts(train_rows)
    tokenizer = prepare_tokenizer(config, texts)
    return fit(
        context,
        tokenizer=tokenizer,
        train=[example for row in train_rows for example in full_sequence_examples(row, tokenizer, config)],
        heldout=[
            example for row in heldout_rows for example in full_sequence_examples(row, tokenizer, config)
        ],
    )


def full_sequence_examples(row: dict[str, Any], tokenizer: Any, config: LanguageModelConfig) -> list[Example]:
    """The row's tokens with only the first as context, so that all the others count; a long row is cut up."""
    if "text" in row:
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        unlimited = len(row["text"].encode()) + 1  # a byte-level tokenizer never makes more tokens than bytes
        ids = [first, *encode_response(tokenizer, row["text"], unlimited)]
    else:
        ids = [
            *encode_prompt(tokenizer, row["prompt"], config.batch.max_prompt_tokens),
            *encode_response(tokenizer, row["response"], config.batch.max_response_tokens),
        ]
    return chunk_document(ids, config.batch.max_prompt_tokens + config.batch.max_response_tokens)


if __name__ == "__main__":
    run_recipe(main, LanguageModelConfig)
