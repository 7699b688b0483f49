"""How the examples of a training run become micro-batches, and how they are scored between steps."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from learning import batching
from learning.batching import MicroBatch, Shape
from learning.engine import Engine
from learning.interface.training_options import Layout
from learning.packing import Batch, Example, choose_layout, collate
from learning.processes import Processes
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
    processes: Processes

    @classmethod
    def choose_layout(
        cls,
        model: Any,
        examples: Sequence[Example],
        options: RewardModelConfig,
        pad_id: int,
        processes: Processes,
    ) -> "Batcher":
        """Packed rows when they give the scores of separate rows on the first examples, else padded ones."""
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
            max_tokens=options.batch.max_micro_batch_tokens,
            processes=processes,
        )

    def collate(self, examples: Sequence[Example]) -> Batch:
        return collate(examples, layout=self.layout, pad_id=self.pad_id, device=self.processes.device)

    def micro_batches(self, shapes: Sequence[Shape], indices: Sequence[int]) -> list[MicroBatch]:
        """This process's share of the examples with these indices."""
        return batching.micro_batches(
            shapes,
            indices,
            max_tokens=self.max_tokens,
            rank=self.processes.rank,
            world_size=self.processes.world_size,
        )

    def scores(
        self, engine: Engine, function: Callable[[Any, Batch], Tensor], examples: Sequence[Example]
    ) -> list[list[float]]:
        """function(model, batch) -> (N,) of all examples, without gradients."""
        return score_batches(
            lambda batch: engine.infer(function, batch),
            examples,
            layout=self.layout,
            pad_id=self.pad_id,
            max_micro_batch_tokens=self.max_tokens,
            processes=self.processes,
        )
