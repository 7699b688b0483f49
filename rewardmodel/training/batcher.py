"""How the examples of a training run become micro-batches, and how they are scored between steps."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from learning.batches.collation import Example, TokenBatch, collate
from learning.batches.layout import choose_layout
from learning.batches.micro_batching import ExampleSize, MicroBatch, micro_batches
from learning.batches.samplers import StepBatchSize
from learning.distributed import DistributedContext
from learning.interface.training_options import BatchOptions, Layout, RuntimeOptions
from rewardmodel.training.config import DataOptions
from rewardmodel.training.scoring import SELF_CHECK_EXAMPLES, score_batches

logger = logging.getLogger(__name__)


class HasBatches(Protocol):
    """The options of a recipe that read comparisons."""

    @property
    def batch(self) -> BatchOptions: ...

    @property
    def runtime(self) -> RuntimeOptions: ...


class InfersModel(Protocol):
    """An engine, or a model that is only read."""

    def infer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Batcher:
    """The row layout of a run and its limit on tokens, applied to examples."""

    layout: Layout
    layout_reason: str
    pad_id: int
    max_tokens: int  # of one forward pass, padding counted
    distributed: DistributedContext

    @classmethod
    def choose_layout(
        cls,
        model: Any,
        examples: Sequence[Example],
        options: HasBatches,
        pad_id: int,
        distributed: DistributedContext,
    ) -> "Batcher":
        """Shared-prompt rows when they give the scores of separate rows on the first examples, else padded ones."""
        layout, reason = choose_layout(
            model,
            examples[:SELF_CHECK_EXAMPLES],
            dtype=options.runtime.dtype,
            requested=options.batch.layout,
        )
        logger.info("%s rows: %s", layout, reason)
        return cls(
            layout=layout,
            layout_reason=reason,
            pad_id=pad_id,
            max_tokens=options.batch.micro_batch_tokens,
            distributed=distributed,
        )

    def collate(self, examples: Sequence[Example]) -> TokenBatch:
        return collate(examples, layout=self.layout, pad_id=self.pad_id, device=self.distributed.device)

    def micro_batches(self, sizes: Sequence[ExampleSize], indices: Sequence[int]) -> list[MicroBatch]:
        """This process's share of the examples with these indices."""
        return micro_batches(
            sizes,
            indices,
            max_tokens=self.max_tokens,
            rank=self.distributed.rank,
            world_size=self.distributed.world_size,
        )

    def scores(
        self,
        model: InfersModel,
        function: Callable[[Any, TokenBatch], Tensor],
        examples: Sequence[Example],
        before_pass: Callable[[], None] = lambda: None,
    ) -> list[list[float]]:
        """function(model, batch) -> (N,) of all examples, without gradients."""
        return score_batches(
            lambda batch: model.infer(function, batch),
            examples,
            layout=self.layout,
            pad_id=self.pad_id,
            max_micro_batch_tokens=self.max_tokens,
            distributed=self.distributed,
            before_pass=before_pass,
        )


def step_batch_size(data: DataOptions) -> StepBatchSize:
    """How an epoch is divided into steps."""
    if data.balance_tokens:
        return StepBatchSize(
            mean=data.comparisons_per_step,
            min_examples=data.min_comparisons_per_step,
            max_examples=data.max_comparisons_per_step,
        )
    if data.tokens_per_step is None:
        return StepBatchSize(even=data.comparisons_per_step)
    return StepBatchSize(
        tokens=data.tokens_per_step,
        min_examples=data.min_comparisons_per_step,
        max_examples=data.comparisons_per_step,
    )
