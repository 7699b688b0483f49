"""What models compute from a TokenBatch: scores, values, log-probabilities.

Shape suffixes as in learning.batches.collation.
"""

from typing import Any

import torch

from learning.batches.branch_attention import Branches, CausalRows, branch_attention
from learning.batches.collation import TokenBatch
from learning.models.architectures import (
    backbone,
    output_head,
    shared_prompt_unsupported_reason,
    value_head,
)


def hidden_states(model: Any, batch: TokenBatch) -> torch.Tensor:
    """(B, T, D) of the model's trunk; positions of padding hold values that nothing may read."""
    branches = _branches(model, batch)
    if branches is None:
        return _hidden_states(model, batch, batch.attention_mask)
    with branch_attention(model, branches) as nothing_masked:
        return _hidden_states(model, batch, nothing_masked)


def _hidden_states(model: Any, batch: TokenBatch, attention_mask: torch.Tensor) -> torch.Tensor:
    return backbone(model)(
        input_ids=batch.input_ids_BT,
        attention_mask=attention_mask,
        position_ids=batch.position_ids_BT,
        use_cache=False,
    ).last_hidden_state


def _branches(model: Any, batch: TokenBatch) -> Branches | CausalRows | None:
    """How to attend without what is masked; None where the mask is needed."""
    if batch.input_ids_BT.device.type != "cpu" or shared_prompt_unsupported_reason(model) is not None:
        return None
    return batch.branches if batch.layout == "shared_prompt" else CausalRows()


def gather_last_token_states(hidden_BTD: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
    """Hidden state at the last token of each response."""
    return hidden_BTD[batch.row_N, batch.end_N]


def gather_logit_states(hidden_BTD: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
    """Hidden state at the position that predicts each response token, in the order of `is_response_NR`."""
    row_NR = batch.row_N[:, None].expand_as(batch.logit_index_NR)
    mask = batch.is_response_NR
    return hidden_BTD[row_NR[mask], batch.logit_index_NR[mask]]


def scatter_to_responses(values_M: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
    """Values of the M response tokens back in their (N, R) places; 0 elsewhere. Differentiable."""
    zeros_NR = values_M.new_zeros(batch.is_response_NR.shape)
    return zeros_NR.masked_scatter(batch.is_response_NR, values_M)


def compute_scores(reward_model: Any, batch: TokenBatch) -> torch.Tensor:
    """float32 head output at the last token of each response; `reward_shift` is not subtracted."""
    hidden_ND = gather_last_token_states(hidden_states(reward_model, batch), batch)
    return output_head(reward_model)(hidden_ND).squeeze(-1).float()  # (N, 1) -> (N,)


def compute_values(critic: Any, batch: TokenBatch) -> torch.Tensor:
    """float32 value of the state before each response token, where it is predicted; 0 elsewhere."""
    hidden_MD = gather_logit_states(hidden_states(critic, batch), batch)
    return scatter_to_responses(value_head(critic)(hidden_MD).squeeze(-1).float(), batch)


def compute_logits(policy: Any, batch: TokenBatch) -> torch.Tensor:
    """float32 logits that predict the response tokens; no other position is projected on the vocabulary."""
    if shared_prompt_unsupported_reason(policy) is None:
        return output_head(policy)(gather_logit_states(hidden_states(policy, batch), batch)).float()
    # An unknown architecture may scale or cap its logits after the output embedding: take the model's own.
    logits_BTV = policy(
        input_ids=batch.input_ids_BT,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids_BT,
        use_cache=False,
    ).logits
    return gather_logit_states(logits_BTV, batch).float()


def _logprobs_MV(policy: Any, batch: TokenBatch, temperature: float) -> torch.Tensor:
    logits_MV = compute_logits(policy, batch)
    # Divided by 1 they are the same bits, in one more copy.
    return torch.log_softmax(logits_MV if temperature == 1.0 else logits_MV / temperature, dim=-1)


def compute_token_logprobs(policy: Any, batch: TokenBatch, temperature: float = 1.0) -> torch.Tensor:
    """float32 log-probabilities (nats) of the response tokens at the given temperature; 0 elsewhere."""
    logprobs_MV = _logprobs_MV(policy, batch, temperature)
    return scatter_to_responses(_pick_token_logprobs_M(logprobs_MV, batch), batch)


def compute_token_logprobs_and_entropy(
    policy: Any, batch: TokenBatch, temperature: float = 1.0, entropy_gradient: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probabilities, and the entropy (nats) of the distribution each token was drawn from; the latter has a
    gradient only if asked for.
    """
    logprobs_MV = _logprobs_MV(policy, batch, temperature)
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        entropy_M = -(logprobs_MV.exp() * logprobs_MV).sum(-1)
    return scatter_to_responses(_pick_token_logprobs_M(logprobs_MV, batch), batch), scatter_to_responses(
        entropy_M, batch
    )


def _pick_token_logprobs_M(logprobs_MV: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
    token_ids_M = batch.response_ids_NR[batch.is_response_NR]
    return logprobs_MV.gather(1, token_ids_M[:, None]).squeeze(1)
