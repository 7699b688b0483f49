"""Supervised fine-tuning: a policy learns to answer as the demonstrations do. Only response tokens count.

    python -m policy_training.training.supervised.sft RUN_DIR

Reads inputs `demonstrations`, and `texts` where a share of pretraining text is mixed in; rows of split "train" train.
All other demonstrations are held out. Starts from a folder, a hub id, or random weights, whose tokenizer is trained on
the training rows. With `data.every_assistant_turn` every assistant turn of a demonstration counts, not only its last.
Writes model/ and result.json.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from learning.batches.collation import Example
from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS, TEXTS
from learning.models.tokenization import encode_answer, encode_prompt
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.supervised.demonstrations import (
    Row,
    demonstration_examples,
    demonstration_texts,
    row_answer,
    split_train,
)
from policy_training.training.supervised.dialogues import TurnCounts, every_turn_examples
from policy_training.training.supervised.texts import text_examples
from policy_training.training.supervised.training import fit, prepare_tokenizer


def main(context: RunContext[LanguageModelConfig]) -> dict[str, Any]:
    config = context.options
    rows = context.read_input("demonstrations", DEMONSTRATIONS)
    train_rows, heldout_rows = split_train(rows)
    if not train_rows:
        raise UserError(
            f"inputs/demonstrations: none of its {len(rows)} rows has split 'train'; add demonstrations to learn from"
        )
    text_rows = read_texts(context) if config.data.texts_share > 0 else []
    tokenizer = prepare_tokenizer(
        config, demonstration_texts(train_rows) + [row["text"] for row in text_rows]
    )
    kept, left_out = keep_lengths(train_rows, tokenizer, config.data)
    heldout, heldout_left_out = keep_lengths(heldout_rows, tokenizer, config.data)
    if not kept:
        raise UserError(
            f"config.data: none of the {len(train_rows)} training demonstrations has {_limits(config.data)}; change "
            "the limits"
        )
    counts, heldout_counts = TurnCounts(), TurnCounts()
    notes = []
    if left_out or heldout_left_out:
        notes.append(
            f"{left_out} of {len(train_rows)} training and {heldout_left_out} of {len(heldout_rows)} held-out "
            f"demonstrations are left out: their responses do not have {_limits(config.data)}."
        )
    train_examples = _examples(kept, tokenizer, config, counts)
    heldout_examples = _examples(heldout, tokenizer, config, heldout_counts)
    if config.data.every_assistant_turn:
        notes.append(counts.note())
    if notes:
        context.set_status(notes=notes)
    result = fit(
        context,
        config=config,
        tokenizer=tokenizer,
        train=train_examples,
        heldout=heldout_examples,
        texts=text_examples(text_rows, tokenizer, _max_text_tokens(config)),
        sample_prompts=[
            (
                row["prompt"][-1]["content"],
                encode_prompt(tokenizer, row["prompt"], config.batch.max_prompt_tokens),
            )
            for row in heldout[: config.evaluation.logged_samples]
        ],
    )
    if config.data.every_assistant_turn:
        result |= {"dialogues": asdict(counts), "heldout_dialogues": asdict(heldout_counts)}
    return result | {"left_out_by_length": {"train": left_out, "heldout": heldout_left_out}}


def read_texts(context: RunContext[LanguageModelConfig]) -> list[Row]:
    """The training rows of the run's texts. Raises UserError."""
    share = context.options.data.texts_share
    if not context.has_input("texts"):
        raise UserError(f"config.data.texts_share: {share} needs inputs/texts; add texts or set it to 0")
    train_rows, _ = split_train(context.read_input("texts", TEXTS))
    if not train_rows:
        raise UserError(f"inputs/texts: no row has split 'train', and config.data.texts_share is {share}")
    return train_rows


def keep_lengths(
    rows: Sequence[Row], tokenizer: Any, options: LanguageModelDataOptions
) -> tuple[list[Row], int]:
    """The rows whose response has as many tokens (its end not counted) as the options ask, and how many have not."""
    least, most = options.min_demonstration_tokens, options.max_demonstration_tokens
    if not least and most is None:
        return list(rows), 0
    kept = [
        row
        for row in rows
        if least
        <= len(encode_answer(tokenizer, row["prompt"], row_answer(row), sys.maxsize)) - 1
        <= (sys.maxsize if most is None else most)
    ]
    return kept, len(rows) - len(kept)


def _limits(options: LanguageModelDataOptions) -> str:
    least, most = options.min_demonstration_tokens, options.max_demonstration_tokens
    if most is None:
        return f"at least {least} tokens"
    return f"{least} to {most} tokens"


def _examples(
    rows: Sequence[Row], tokenizer: Any, config: LanguageModelConfig, counts: TurnCounts
) -> list[Example]:
    if not config.data.every_assistant_turn:
        return [example for row in rows for example in demonstration_examples(row, tokenizer, config.batch)]
    return [example for row in rows for example in every_turn_examples(row, tokenizer, config.batch, counts)]


def _max_text_tokens(config: LanguageModelConfig) -> int:
    """Of a piece of a text: as a prompt and its response, but no more than a packed row holds."""
    most = config.batch.max_sequence_tokens
    return min(most, config.data.max_length) if config.data.packing else most


if __name__ == "__main__":
    run_recipe(main, LanguageModelConfig)
