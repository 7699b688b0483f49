"""Supervised fine-tuning: a policy learns to answer as the demonstrations do. Only response tokens count.

    python -m policy_training.training.sft RUN_DIR

Reads inputs `demonstrations`; rows of split "train" train, all others are held out. Starts from a folder, a
hub id, or a fresh architecture, whose tokenizer is trained on the training demonstrations. Writes model/ and
result.json.
"""

from typing import Any

from learning.command import run_command
from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS
from learning.packing import Example
from learning.run_context import RunContext
from learning.tokenization import encode_prompt, encode_response
from policy_training.training.config import LanguageModelConfig
from policy_training.training.supervised import fit, tokenizer_for


def main(attempt: RunContext[LanguageModelConfig]) -> dict[str, Any]:
    config = attempt.options
    rows = attempt.read_input("demonstrations", DEMONSTRATIONS)
    train_rows = [row for row in rows if row["split"] == "train"]
    heldout_rows = [row for row in rows if row["split"] != "train"]
    if not train_rows:
        raise UserError(
            f"inputs/demonstrations: none of its {len(rows)} rows has split 'train'; add demonstrations to learn from"
        )
    tokenizer = tokenizer_for(config, demonstration_texts(train_rows))
    return fit(
        attempt,
        tokenizer=tokenizer,
        train=[response_example(row, tokenizer, config) for row in train_rows],
        heldout=[response_example(row, tokenizer, config) for row in heldout_rows],
        questions=[
            (
                row["prompt"][-1]["content"],
                encode_prompt(tokenizer, row["prompt"], config.batch.max_prompt_tokens),
            )
            for row in heldout_rows[: config.watching.samples]
        ],
    )


def response_example(row: dict[str, Any], tokenizer: Any, config: LanguageModelConfig) -> Example:
    return Example(
        encode_prompt(tokenizer, row["prompt"], config.batch.max_prompt_tokens),
        [encode_response(tokenizer, row["response"], config.batch.max_response_tokens)],
    )


def demonstration_texts(rows: list[dict[str, Any]]) -> list[str]:
    """Everything a tokenizer should know: each turn and each response by itself."""
    return [text for row in rows for text in (*(turn["content"] for turn in row["prompt"]), row["response"])]


if __name__ == "__main__":
    run_command(main, LanguageModelConfig)
