"""The reward model's tokenizer, and comparisons and demonstrations as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerFast

from learning.batches.collation import Example
from learning.distributed import DistributedContext
from learning.interface.atomic_files import atomic_folder
from learning.interface.messages import Answer, answer_texts, message_texts, stored_answer
from learning.interface.record_schemas import DEMONSTRATIONS
from learning.interface.training_options import BatchOptions
from learning.models.tokenization import (
    count_assistants_tokens,
    encode_answer_or_cut,
    encode_prompt_or_cut,
    train_tokenizer,
)
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
                    *(text for message in comparison.prompt for text in message_texts(message)),
                    *(text for answer in comparison.responses for text in answer_texts(answer)),
                )
            )
            with atomic_folder(path) as folder:
                train_tokenizer(texts, options.tokenizer.vocabulary_size).save_pretrained(folder)
        distributed.barrier()
        return load_tokenizer(path)

    return load_or_train_tokenizer(options.model.source, options.tokenizer, train)


@dataclass
class CutCounts:
    """How many prompts and responses were read, and how many of them were longer than the limits."""

    prompts: int = 0
    cut_prompts: int = 0
    responses: int = 0
    cut_responses: int = 0

    def note(self, batch: BatchOptions) -> str:
        """One sentence for the run's page."""
        return (
            f"{self.cut_prompts} of {self.prompts} prompts were cut at {batch.max_prompt_tokens} tokens, "
            f"{self.cut_responses} of {self.responses} responses at {batch.max_response_tokens}."
        )

    def as_result(self) -> dict[str, int]:
        return {"truncated_prompts": self.cut_prompts, "truncated_responses": self.cut_responses}


def tokenize_prompt_and_responses(
    tokenizer: Any,
    prompt: Sequence[Message],
    responses: Sequence[Answer],
    batch: BatchOptions,
    *,
    ended: Sequence[bool | None] | None = None,
    counts: CutCounts | None = None,
) -> Example:
    """A prompt and the responses to it as token ids; what was too long is added to `counts`.

    A response whose `ended` is False gets no end token: its sampler cut it off. Unknown (None, or no `ended` at
    all) counts as ended, as what people wrote has.
    """
    example, prompt_is_cut, responses_are_cut = tokenize_and_tell_cuts(
        tokenizer, prompt, responses, batch, ended=ended
    )
    if counts is not None:
        counts.prompts += 1
        counts.cut_prompts += prompt_is_cut
        counts.responses += len(responses_are_cut)
        counts.cut_responses += sum(responses_are_cut)
    return example


def tokenize_and_tell_cuts(
    tokenizer: Any,
    prompt: Sequence[Message],
    responses: Sequence[Answer],
    batch: BatchOptions,
    *,
    ended: Sequence[bool | None] | None = None,
) -> tuple[Example, bool, list[bool]]:
    """The same, and what was too long: the prompt, each of the responses."""
    prompt_ids, prompt_is_cut = encode_prompt_or_cut(tokenizer, prompt, batch.max_prompt_tokens)
    encoded = [
        encode_answer_or_cut(
            tokenizer, prompt, answer, batch.max_response_tokens, ended=has_ended is not False
        )
        for answer, has_ended in zip(responses, ended or [None] * len(responses), strict=True)
    ]
    response_ids = [ids for ids, _ in encoded]
    own = [
        count_assistants_tokens(tokenizer, prompt, answer, len(ids))
        for answer, ids in zip(responses, response_ids, strict=True)
    ]
    is_counted = None
    if any(counted is not None for counted in own):
        is_counted = [counted or [True] * len(ids) for counted, ids in zip(own, response_ids, strict=True)]
    example = Example(prompt_ids=prompt_ids, response_ids=response_ids, is_counted=is_counted)
    return example, prompt_is_cut, [is_cut for _, is_cut in encoded]


def tokenize_comparisons(
    tokenizer: Any, comparisons: Sequence[Comparison], batch: BatchOptions, counts: CutCounts | None = None
) -> list[Example]:
    return [
        tokenize_prompt_and_responses(
            tokenizer, item.prompt, item.responses, batch, ended=item.ended, counts=counts
        )
        for item in comparisons
    ]


def tokenize_demonstrations(context: RunContext[RewardModelConfig], tokenizer: Any) -> list[Example]:
    """The demonstrations of the run's inputs, one response an example; none when the run was given none."""
    if not context.has_input("demonstrations"):
        return []
    batch = context.options.batch
    return [
        tokenize_prompt_and_responses(
            tokenizer, row["prompt"], [stored_answer(row["response"], row["turns"])], batch
        )
        for row in context.read_input("demonstrations", DEMONSTRATIONS)
    ]
