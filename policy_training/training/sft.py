"""Supervised fine-tuning: a policy learns to answer as the demonstrations do. Only response tokens count.

    python -m policy_training.training.sft RUN_DIR

Reads inputs `demonstrations`; rows of split "train" train, all others are held out. Starts from a folder, a hub id,
or random weights, whose tokenizer is trained on the training demonstrations. Writes model/ and result.json.
"""

from typing import Any

from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS
from learning.models.tokenization import encode_prompt
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import LanguageModelConfig
from policy_training.training.demonstrations import (
    demonstration_examples,
    demonstration_texts,
    split_train,
)
from policy_training.training.supervised import fit, prepare_tokenizer


def main(context: RunContext[LanguageModelConfig]) -> dict[str, Any]:
    config = context.options
    rows = context.read_input("demonstrations", DEMONSTRATIONS)
    train_rows, heldout_rows = split_train(rows)
    if not train_rows:
        raise UserError(
            f"inputs/demonstrations: none of its {len(rows)} rows has split 'train'; add demonstrations to learn from"
        )
    tokenizer = prepare_tokenizer(config, demonstration_texts(train_rows))
    return fit(
        context,
        tokenizer=tokenizer,
        train=[
            example for row in train_rows for example in demonstration_examples(row, tokenizer, config.batch)
        ],
        heldout=[
            example
            for row in heldout_rows
            for example in demonstration_examples(row, tokenizer, config.batch)
        ],
        sample_prompts=[
            (
                row["prompt"][-1]["content"],
                encode_prompt(tokenizer, row["prompt"], config.batch.max_prompt_tokens),
            )
            for row in heldout_rows[: config.evaluation.logged_samples]
        ],
    )


if __name__ == "__main__":
    run_recipe(main, LanguageModelConfig)
