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

from learning.batches.collation import Example, TokenBatch, collate
from learning.batches.forward import compute_scores
from learning.batches.layout import choose_layout
from learning.batches.micro_batching import example_size, micro_batches
from learning.distributed import DistributedContext
from learning.interface.messages import Answer
from learning.interface.options import UserError
from learning.interface.training_options import BatchOptions, Layout, ModelSource
from learning.micro_batch_size import with_micro_batch_tokens
from learning.models.architectures import require_max_positions
from learning.models.loading import is_reward_model, load_reward_model
from learning.models.tokenizers import load_tokenizer
from rewardmodel.training.comparisons import Message
from rewardmodel.training.tokenization import CutCounts, tokenize_prompt_and_responses

SELF_CHECK_EXAMPLES = 8


def compute_fp32_scores(model: Any, batch: TokenBatch) -> Tensor:
    """scores_N without autocast, in the precision of the weights."""
    with torch.autocast(batch.input_ids_BT.device.type, enabled=False):
        return compute_scores(model, batch)


def score_batches(
    score: Callable[[TokenBatch], Tensor],
    examples: Sequence[Example],
    *,
    layout: Layout,
    pad_id: int,
    max_micro_batch_tokens: int,
    distributed: DistributedContext,
    before_pass: Callable[[], None] = lambda: None,
) -> list[list[float]]:
    """Scores of every response, by example, in the order given.

    Every process does its share of the work and gets all scores. Responses to a prompt that are the same ids get the
    same score to the bit: rounding alone must not prefer one of them.
    """
    starts = [0]
    for example in examples:
        starts.append(starts[-1] + len(example.response_ids))
    all_scores_N = torch.zeros(starts[-1], dtype=torch.float64)
    if not examples:
        return []
    planned = micro_batches(
        [example_size(example, layout) for example in examples],
        range(len(examples)),
        max_tokens=max_micro_batch_tokens,
        rank=distributed.rank,
        world_size=distributed.world_size,
    )
    for micro_batch in planned:
        before_pass()
        batch = collate(
            [examples[index] for index in micro_batch.indices],
            layout=layout,
            pad_id=pad_id,
            device=distributed.device,
        )
        values_N = score(batch).double().cpu()
        # A filler repeats work, so that every process takes part in every forward pass.
        if micro_batch.is_dummy:
            continue
        positions = [n for index in micro_batch.indices for n in range(starts[index], starts[index + 1])]
        all_scores_N[torch.tensor(positions)] = values_N
    scores = distributed.all_reduce_sum(all_scores_N.to(distributed.device)).tolist()
    by_example = [scores[start:end] for start, end in zip(starts[:-1], starts[1:], strict=True)]
    for example, values in zip(examples, by_example, strict=True):
        first_of: dict[tuple[int, ...], int] = {}
        for index, ids in enumerate(example.response_ids):
            values[index] = values[first_of.setdefault(tuple(ids), index)]
    return by_example


def single_process() -> DistributedContext:
    """This process by itself, on the CPU, whatever launched it."""
    return DistributedContext(rank=0, world_size=1, device=torch.device("cpu"))


class RewardScorer:
    """A reward model on disk, ready to score texts."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch: BatchOptions,
        dtype: Literal["fp32", "bf16"] = "fp32",
        distributed: DistributedContext | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.distributed = distributed or single_process()
        self.batch = with_micro_batch_tokens(batch, [model], self.distributed.device.type)
        self.dtype = dtype
        self.reward_shift = float(getattr(model.config, "reward_shift", 0.0))
        self.layout: Layout | None = None  # decided by the self-check on the first texts
        self.layout_reason = ""
        self.before_pass: Callable[[], None] = lambda: None  # called before each forward pass; may raise
        self.cuts = CutCounts()  # of the texts that were scored
        require_max_positions(model, batch.max_sequence_tokens)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        batch: BatchOptions,
        dtype: Literal["fp32", "bf16"] = "fp32",
        distributed: DistributedContext | None = None,
        load_model: Callable[[ModelSource, Any], Any] = load_reward_model,
    ) -> "RewardScorer":
        """Raises UserError when the folder holds no reward model or no tokenizer."""
        if not is_reward_model(path):
            raise UserError(f"{path} is not a reward model; give the model folder of a reward model's run.")
        source = ModelSource(path=str(path))
        distributed = distributed or single_process()
        tokenizer = load_tokenizer(source)
        model = load_model(source, tokenizer).to(distributed.device)
        return cls(model, tokenizer, batch=batch, dtype=dtype, distributed=distributed)

    def score(
        self,
        prompts: Sequence[Sequence[Message]],
        responses: Sequence[Sequence[Answer]],
        *,
        ended: Sequence[Sequence[bool | None]] | None = None,
    ) -> list[list[float]]:
        """Rewards of the responses to each prompt; see `tokenize`."""
        return self.score_examples(self.tokenize(prompts, responses, ended=ended))

    def tokenize(
        self,
        prompts: Sequence[Sequence[Message]],
        responses: Sequence[Sequence[Answer]],
        *,
        ended: Sequence[Sequence[bool | None]] | None = None,
    ) -> list[Example]:
        """The responses to each prompt as the model reads them.

        A response whose `ended` is False, because sampling cut it off, gets no end token.
        """
        return [
            tokenize_prompt_and_responses(
                self.tokenizer,
                prompt,
                texts,
                self.batch,
                ended=None if ended is None else ended[index],
                counts=self.cuts,
            )
            for index, (prompt, texts) in enumerate(zip(prompts, responses, strict=True))
        ]

    def score_examples(self, examples: Sequence[Example]) -> list[list[float]]:
        """Rewards of token ids of the scorer's own tokenizer."""
        if not examples:
            return []
        if self.layout is None:
            self.layout, self.layout_reason = choose_layout(
                self.model, examples[:SELF_CHECK_EXAMPLES], dtype=self.dtype, requested=self.batch.layout
            )
        scores = score_batches(
            self._score,
            examples,
            layout=self.layout,
            pad_id=self.tokenizer.pad_token_id,
            max_micro_batch_tokens=self.batch.micro_batch_tokens,
            distributed=self.distributed,
            before_pass=self.before_pass,
        )
        return [[score - self.reward_shift for score in group] for group in scores]

    @torch.no_grad()
    def _score(self, batch: TokenBatch) -> Tensor:
        with torch.autocast(batch.input_ids_BT.device.type, torch.bfloat16, enabled=self.dtype == "bf16"):
            return compute_scores(self.model, batch)
