"""Rewards of texts: the one way our code asks a reward model, whether after training, on its own, or inside
PPO.

A reward is the raw output of the score head at the last token of the response, minus the model's
`reward_shift`. Texts go through the reward model's own tokenizer, so that it may have another base than the
policy it judges.

Suffixes: N responses of all prompts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from learning.architectures import require_positions
from learning.batching import micro_batches, shape_of
from learning.language_models import is_reward_model, load_reward_model, load_tokenizer
from learning.options import UserError
from learning.packing import Batch, Example, choose_layout, collate, scores_N
from learning.processes import Processes
from learning.tokenization import encode_prompt, encode_response
from learning.training_options import BatchOptions, Layout, ModelSource
from rewardmodel.training.comparisons import Message

SELF_CHECK_EXAMPLES = 8


def encode_group(
    tokenizer: Any,
    prompt: Sequence[Message],
    responses: Sequence[str],
    batch: BatchOptions,
    *,
    ended: Sequence[bool] | None = None,
) -> Example:
    """A prompt and the responses to it as token ids; a response that has not `ended` gets no end token."""
    responses_ids = [encode_response(tokenizer, text, batch.max_response_tokens) for text in responses]
    for index, has_ended in enumerate(ended or ()):
        ids = responses_ids[index]
        if not has_ended and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
            responses_ids[index] = ids[:-1]
    return Example(
        prompt_ids=encode_prompt(tokenizer, prompt, batch.max_prompt_tokens), responses_ids=responses_ids
    )


def count_truncated(examples: Sequence[Example], eos_id: int) -> int:
    """How many responses were cut at the token limit: the others end with the end token."""
    return sum(ids[-1] != eos_id for example in examples for ids in example.responses_ids)


def exact_scores_N(model: Any, batch: Batch) -> Tensor:
    """scores_N in the precision of the weights, whatever autocast is on around it."""
    with torch.autocast(batch.input_ids_BT.device.type, enabled=False):
        return scores_N(model, batch)


def score_examples(
    score: Callable[[Batch], Tensor],
    examples: Sequence[Example],
    *,
    layout: Layout,
    pad_id: int,
    max_micro_batch_tokens: int,
    processes: Processes,
) -> list[list[float]]:
    """Scores of every response, by example, in the order given. Every process does a share and all get the
    result.
    """
    starts = [0]
    for example in examples:
        starts.append(starts[-1] + len(example.responses_ids))
    found_N = torch.zeros(starts[-1], dtype=torch.float64)
    if not examples:
        return []
    plan = micro_batches(
        [shape_of(example, layout) for example in examples],
        range(len(examples)),
        max_tokens=max_micro_batch_tokens,
        rank=processes.rank,
        world_size=processes.world_size,
    )
    for micro_batch in plan:
        batch = collate(
            [examples[index] for index in micro_batch.indices],
            layout=layout,
            pad_id=pad_id,
            device=processes.device,
        )
        values_N = score(batch).double().cpu()
        if (
            micro_batch.is_filler
        ):  # the same work twice, so that every process takes part in every forward pass
            continue
        places = [place for index in micro_batch.indices for place in range(starts[index], starts[index + 1])]
        found_N[torch.tensor(places)] = values_N
    found = processes.all_reduce_sum(found_N.to(processes.device)).tolist()
    return [found[start:end] for start, end in zip(starts[:-1], starts[1:], strict=True)]


def alone() -> Processes:
    """This process by itself, on the CPU, whatever launched it."""
    return Processes(rank=0, world_size=1, device=torch.device("cpu"))


class RewardScorer:
    """A reward model on disk, ready to score texts."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch: BatchOptions,
        dtype: Literal["fp32", "bf16"] = "fp32",
        processes: Processes | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.batch = batch
        self.dtype = dtype
        self.processes = processes or alone()
        self.reward_shift = float(getattr(model.config, "reward_shift", 0.0))
        self.layout: Layout | None = None  # decided by the self-check on the first texts
        self.layout_reason = ""
        self.truncated_responses = 0
        require_positions(model, batch.max_prompt_tokens + batch.max_response_tokens)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        batch: BatchOptions,
        dtype: Literal["fp32", "bf16"] = "fp32",
        processes: Processes | None = None,
    ) -> "RewardScorer":
        """Raises UserError when the folder holds no reward model or no tokenizer."""
        if not is_reward_model(path):
            raise UserError(f"{path} is not a reward model; give the model folder of a reward model's run.")
        source = ModelSource(path=str(path))
        processes = processes or alone()
        tokenizer = load_tokenizer(source)
        model = load_reward_model(source, tokenizer).to(processes.device)
        return cls(model, tokenizer, batch=batch, dtype=dtype, processes=processes)

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        responses: Sequence[Sequence[str]],
        *,
        ended: Sequence[Sequence[bool]] | None = None,
    ) -> list[list[float]]:
        """Rewards of the responses to each prompt; `ended` False leaves the end token off an unfinished
        response.
        """
        examples = [
            encode_group(
                self.tokenizer, prompt, texts, self.batch, ended=None if ended is None else ended[index]
            )
            for index, (prompt, texts) in enumerate(zip(prompts, responses, strict=True))
        ]
        return self.score_examples(examples)

    def score_examples(self, examples: Sequence[Example]) -> list[list[float]]:
        """Rewards of token ids of the scorer's own tokenizer."""
        if not examples:
            return []
        if self.layout is None:
            self.layout, self.layout_reason = choose_layout(
                self.model, examples[:SELF_CHECK_EXAMPLES], dtype=self.dtype, requested=self.batch.layout
            )
        self.truncated_responses += count_truncated(examples, self.tokenizer.eos_token_id)
        scores = score_examples(
            self._score,
            examples,
            layout=self.layout,
            pad_id=self.tokenizer.pad_token_id,
            max_micro_batch_tokens=self.batch.max_micro_batch_tokens,
            processes=self.processes,
        )
        return [[score - self.reward_shift for score in group] for group in scores]

    @torch.no_grad()
    def _score(self, batch: Batch) -> Tensor:
        with torch.autocast(batch.input_ids_BT.device.type, torch.bfloat16, enabled=self.dtype == "bf16"):
            return scores_N(self.model, batch)
