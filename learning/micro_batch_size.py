"""How many tokens a forward pass holds where the configuration says "auto": a table by device and width.

The figures behind the table are in docs/benchmarks.md. On a CPU a pass of 4,096 tokens is slower than four of 1,024 and
takes three times the memory. On a GPU few, large passes are faster.

The size decides how sums are rounded. So a run records the one it took, and keeps it when it is resumed by a version
that has another table.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.training_options import BatchOptions
from learning.models.architectures import unwrap_model
from learning.run_context import RunContext

GPU_TOKENS = 4096
CPU_TOKENS = 1024
CPU_TOKENS_NARROW = 2048  # the fixed cost of a pass counts more where its matrices are small
NARROW_WIDTH = 64
WIDE_WIDTH = 256  # from here on half a pass costs half a pass, so that two graphs may share the memory of one


def micro_batch_tokens(device_type: str, width: int | None, graphs: int = 1) -> int:
    """Tokens of one forward pass, padding counted. `width`: of the hidden states; None where a model does not say.
    `graphs`: how many passes with gradients are in memory at the same time.
    """
    if device_type != "cpu":
        return GPU_TOKENS
    if width is not None and width <= NARROW_WIDTH:
        return CPU_TOKENS_NARROW
    return CPU_TOKENS // graphs if width is not None and width >= WIDE_WIDTH else CPU_TOKENS


def with_micro_batch_tokens(
    batch: BatchOptions, models: Sequence[Any], device_type: str, graphs: int = 1
) -> BatchOptions:
    """`batch` with a number where it says "auto": the one for the widest of the models that read its passes."""
    if batch.max_micro_batch_tokens != "auto":
        return batch
    widths = [getattr(unwrap_model(model).config, "hidden_size", None) for model in models]
    width = None if None in widths else max(width for width in widths if width is not None)
    return replace(batch, max_micro_batch_tokens=micro_batch_tokens(device_type, width, graphs))


def resolve_micro_batch_tokens(
    context: RunContext[Any],
    distributed: DistributedContext,
    batch: BatchOptions,
    *models: Any,
    name: str = "batch",
    graphs: int = 1,
) -> BatchOptions:
    """As above, the same on every rank. The number is recorded in the run under `name`; a resumed run gets that one."""
    if batch.max_micro_batch_tokens != "auto":
        return batch
    found = with_micro_batch_tokens(batch, models, distributed.device.type, graphs).micro_batch_tokens
    if distributed.is_main:
        found = _recorded(context, f"{name}.max_micro_batch_tokens", found)
    return replace(batch, max_micro_batch_tokens=distributed.broadcast_object(found))


def _recorded(context: RunContext[Any], name: str, value: int) -> int:
    """What the run took for `name` when it first started; else `value`, recorded now in config.json's environment."""
    environment = context.run_directory.environment() or {}
    resolved = dict(environment.get("resolved", {}))
    if name not in resolved:
        context.require_current()
        resolved[name] = value
        context.run_directory.record_environment({**environment, "resolved": resolved})
    return int(resolved[name])
