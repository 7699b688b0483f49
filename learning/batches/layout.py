"""Which layout a run may use: shared prompts where they prove exact for its model, else padded rows."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch

from learning.batches.collation import Example, TokenBatch, collate, collate_packed
from learning.batches.forward import compute_scores, compute_token_logprobs
from learning.interface.training_options import Layout
from learning.models.architectures import has_score_head, shared_prompt_unsupported_reason

# Root mean square of the difference between shared-prompt and separate rows, as a share of the spread of what is
# compared. (Not the largest: bf16 rounding alone moves single tokens by more; a wrong mask moves all of them.)
SELF_CHECK_TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}


def choose_layout(
    model: Any,
    examples: Sequence[Example],
    *,
    dtype: Literal["fp32", "bf16"] = "fp32",
    requested: Literal["auto", "shared_prompt", "padded"] = "auto",
    in_one_row: bool = False,
) -> tuple[Layout, str]:
    """The layout for a run, and the reason in words for its page.

    Shared prompts are used for the architectures on the list, when these few examples give the same scores
    (a model with a score head) or log-probabilities (a language model) as separate rows do, up to the
    dtype's tolerance times their spread. Otherwise padded rows. With `in_one_row` the examples are checked
    behind one another in a single row. Call it on the model itself, before an Engine shards it.
    """
    if requested == "padded":
        return "padded", "padded rows were asked for"
    reason = shared_prompt_unsupported_reason(model)
    if reason is not None:
        return "padded", f"padded rows: {reason}"
    if requested == "auto" and all(len(example.response_ids) == 1 for example in examples):
        return "padded", "padded rows: with one response a prompt there is nothing to share"
    discrepancy = layout_discrepancy(model, examples, dtype=dtype, in_one_row=in_one_row)
    tolerance = SELF_CHECK_TOLERANCE[dtype]
    verdict = f"shared-prompt and separate rows differ by {discrepancy:.1e} of the spread (tolerance {tolerance:.0e})"
    # Written so that NaN falls back.
    return (
        ("shared_prompt", f"shared-prompt rows: {verdict}")
        if discrepancy <= tolerance
        else ("padded", f"padded rows: {verdict}")
    )


def layout_discrepancy(
    model: Any, examples: Sequence[Example], *, dtype: Literal["fp32", "bf16"], in_one_row: bool = False
) -> float:
    """RMS difference between shared-prompt and separate rows, divided by the spread over the examples.

    Where all examples are one and the same and nothing spreads, divided by their mean size.
    """
    device = next(model.parameters()).device
    measure = compute_scores if has_score_head(model) else _response_logprobs_M
    was_training = model.training
    model.eval()
    precision = torch.autocast(device.type, torch.bfloat16) if dtype == "bf16" else nullcontext()
    try:
        with torch.no_grad(), precision:
            together = (
                collate_packed([examples], pad_id=0, device=device)
                if in_one_row
                else collate(examples, layout="shared_prompt", pad_id=0, device=device)
            )
            shared = measure(model, together)
            separate = torch.cat(
                [
                    measure(model, collate([single], layout="padded", pad_id=0, device=device))
                    for example in examples
                    for single in (Example(example.prompt_ids, [ids]) for ids in example.response_ids)
                ]
            )
    finally:
        model.train(was_training)
    difference = (shared - separate).square().mean().sqrt().item()
    if difference == 0.0:
        return 0.0
    scale = separate.std(correction=0).item() or separate.abs().mean().item()
    return difference / scale if scale else math.inf


def _response_logprobs_M(policy: Any, batch: TokenBatch) -> torch.Tensor:
    return compute_token_logprobs(policy, batch)[batch.is_response_NR]
