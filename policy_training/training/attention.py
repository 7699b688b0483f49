"""Which attention kernel a training pass uses on a CPU.

torch's fused CPU kernel is the fast one for reading a model, but in bf16 its backward pass took 36 % of a
whole SFT step on rows of 40 to 140 tokens; plain matrix products made the step 1.35 times faster
(docs/benchmarks.md). They keep the T x T weights in memory, so long rows stay with the fused kernel.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from learning.batches.collation import TokenBatch

MAX_MATH_ATTENTION_TOKENS = 512


def with_math_attention(model: Any, function: Callable[..., Any], batch: TokenBatch, *args: Any) -> Any:
    """`function(model, batch, *args)`, its attention as plain matrix products where that trains faster.

    The choice depends on the run, the batch and the precision alone, so a pass with gradients and one without give
    the same bits.
    """
    # A checkpointed layer is computed again outside of this call and would find the other kernel there.
    if getattr(model, "is_activation_checkpointing", False) or not _math_attention_is_faster(batch):
        return function(model, batch, *args)
    with sdpa_kernel(SDPBackend.MATH):
        return function(model, batch, *args)


def _math_attention_is_faster(batch: TokenBatch) -> bool:
    return (
        batch.input_ids_BT.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and batch.input_ids_BT.shape[1] <= MAX_MATH_ATTENTION_TOKENS
    )
