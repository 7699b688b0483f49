"""Rewards of texts, for the commands score and evaluate and for PPO.

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
from learning.interface.options import UserError
from learning.interface.training_options import BatchOptions, Layout, ModelSource
from learning.language_models import is_reward_model, load_reward_model, load_tokenizer
from learning.packing import Batch, Example, choose_layout, collate, scores_N
from learning.processes import Processes
from rewardmodel.training.comparisons import Message
from rewardmodel.training.tokenization import count_truncated, tokenize_prompt_and_responses

SELF_CHECK_EXAMPLES = 8


def compute_fp32_scores(model: Any, batch: Batch) -> Tensor:
    """scores_N without autocast, in the precision of the weights."""
    with torch.autocast(batch.input_ids_BT.device.type, enabled=False):
        return scores_N(model, batch)


def score_batches(
    score: Callable[[Batch], Tensor],
    examples: Sequence[Example],
    *,
    layout: Layout,
    pad_id: int,
    max_micro_batch_tokens: int,
    processes: Processes,
) -> list[list[float]]:
    """Scores of every response, by example, in the order given.

    Every process does its share of the work and gets all scores.
    """
    starts = [0]
    for example in examples:
        starts.append(starts[-1] + len(example.responses_ids))
    all_scores_N = torch.zeros(starts[-1], dtype=torch.float64)
    if not examples:
        return []
    planned = micro_batches(
        [shape_of(example, layout) for example in examples],
        range(len(examples)),
        max_tokens=max_micro_batch_tokens,
        rank=processes.rank,
        world_size=processes.world_size,
    )
    for micro_batch in planned:
        batch = collate(
            [examples[index] for index in micro_batch.indices],
            layout=layout,
            pad_id=pad_id,
            device=processes.device,
        )
        values_N = score(batch).double().cpu()
        # A filler repeats work, so that every process takes part in every forward pass.
        if micro_batch.is_filler:
            continue
        positions = [n for index in micro_batch.indices for n in range(starts[index], starts[index + 1])]
        all_scores_N[torch.tensor(positions)] = values_N
    scores = processes.all_reduce_sum(all_scores_N.to(processes.device)).tolist()
    return [scores[start:end] for start, end in zip(starts[:-1], starts[1:], strict=True)]


def single_process() -> Processes:
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
        self.processes = processes or single_process()
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
        processes = processes or single_process()
        tokenizer = load_tokenizer(source)
        model = load_reward_model(source, tokenizer).to(processes.device)
        return cls(model, tokenizer, batch=batch, dtype=dtype, processes=processes)

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        responses: Sequence[Sequence[str]],
        *,
        has_eos: Sequence[Sequence[bool]] | None = None,
    ) -> list[list[float]]:
        """Rewards of the responses to each prompt.

        A response whose `has_eos` is False, because sampling cut it off, gets no end token.
        """
        examples = [
            tokenize_prompt_and_responses(
                self.tokenizer, prompt, texts, self.batch, has_eos=None if has_eos is None else has_eos[index]
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
        scores = score_batches(
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
