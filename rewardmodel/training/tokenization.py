"""The reward model's tokenizer, and comparisons and demonstrations as token ids."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerFast

from learning.batches.collation import Example
from learning.distributed import DistributedContext
from learning.interface.atomic_files import atomic_folder
from learning.interface.record_schemas import DEMONSTRATIONS
from learning.interface.training_options import BatchOptions
from learning.models.tokenization import encode_prompt, encode_response, train_tokenizer
from learning.models.tokenizers import load_or_train_tokenizer, load_tokenizer
from learning.run_context import RunContext
from rewardmodel.training.comparisons import Comparison, Message
from rewardmodel.training.config import RewardModelConfig


def prepare_tokenizer(
    context: RunContext[RewardModelConfig], training: Sequence[Comparison], distributed: DistributedContext
) -> Any:
    """The tokenizer of the model to start from; for random weights one trained on these comparisons.

    Unless the options name a folder with one. A trained tokenizer is kept in the run directory: a resumed run
    must not depend on training it the same way twice.
    """
    options = context.options

    def train() -> PreTrainedTokenizerFast:
        path = context.path / "tokenizer"
        if distributed.is_main and not path.exists():
            texts = (
                text
                for comparison in training
                for text in (
                    *(str(message["content"]) for message in comparison.prompt),
                    *comparison.responses,
                )
            )
            with atomic_folder(path) as folder:
                train_tokenizer(texts, options.tokenizer.vocabulary_size).save_pretrained(folder)
        distributed.barrier()
        return load_tokenizer(path)

    return load_or_train_tokenizer(options.model.source, options.tokenizer, train)


def tokenize_prompt_and_responses(
    tokenizer: Any,
    prompt: Sequence[Message],
    responses: Sequence[str],
    batch: BatchOptions,
    *,
    has_eos: Sequence[bool] | None = None,
) -> Example:
    """A prompt and the responses to it as token ids; a response whose `has_eos` is False gets no end token."""
    response_ids = [encode_response(tokenizer, text, batch.max_response_tokens) for text in responses]
    for index, keeps_eos in enumerate(has_eos or ()):
        ids = response_ids[index]
        if not keeps_eos and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
            response_ids[index] = ids[:-1]
    return Example(
        prompt_ids=encode_prompt(tokenizer, prompt, batch.max_prompt_tokens), response_ids=response_ids
    )


def tokenize_comparisons(
    tokenizer: Any, comparisons: Sequence[Comparison], batch: BatchOptions
) -> list[Example]:
    return [
        tokenize_prompt_and_responses(tokenizer, item.prompt, item.responses, batch) for item in comparisons
    ]


def tokenize_demonstrations(context: RunContext[RewardModelConfig], tokenizer: Any) -> list[Example]:
    """The demonstrations of the run's inputs, one response an example; none when the run was given none."""
    if not context.has_input("demonstrations"):
        return []
    batch = context.options.batch
    return [
        tokenize_prompt_and_responses(tokenizer, row["prompt"], [row["response"]], batch)
        for row in context.read_input("demonstrations", DEMONSTRATIONS)
    ]


def count_truncated(examples: Sequence[Example], eos_id: int) -> int:
    """How many responses were cut at the token limit: the others end with the end token."""
    return sum(ids[-1] != eos_id for example in examples for ids in example.response_ids)
