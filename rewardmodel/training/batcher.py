"""How the examples of a training run become micro-batches, and how they are scored between steps."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from learning.batches.collation import Example, TokenBatch, collate
from learning.batches.layout import choose_layout
from learning.batches.micro_batching import ExampleSize, MicroBatch, micro_batches
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.training_options import Layout
from rewardmodel.training.config import RewardModelConfig
from rewardmodel.training.scoring import SELF_CHECK_EXAMPLES, score_batches

logger = logging.getLogger(__name__)


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
        options: RewardModelConfig,
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
        engine: Engine,
        function: Callable[[Any, TokenBatch], Tensor],
        examples: Sequence[Example],
        before_pass: Callable[[], None] = lambda: None,
    ) -> list[list[float]]:
        """function(model, batch) -> (N,) of all examples, without gradients."""
        return score_batches(
            lambda batch: engine.infer(function, batch),
            examples,
            layout=self.layout,
            pad_id=self.pad_id,
            max_micro_batch_tokens=self.max_tokens,
            distributed=self.distributed,
            before_pass=before_pass,
        )
