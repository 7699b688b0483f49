"""The language head beside the score head, for the loss that keeps a reward model a language model.

Both heads share one forward pass; logits are computed only where a top-tier response is predicted. The
language head is used by the training loss only and is removed before the reward model is saved.

Suffixes: B rows, T tokens of a row, N responses, R tokens of the longest response, M tokens of top-tier
responses, D width, V vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from learning.batches.collation import TokenBatch
from learning.batches.forward import hidden_states
from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.architectures import output_head
from learning.models.loading import is_reward_model, load_policy


def attach_language_head(model: Any, source: ModelSource, tokenizer: Any) -> None:
    """Gives the reward model the language head of the model it started from.

    With tied embeddings that is the embedding matrix itself and nothing is added. Raises UserError when the
    start is an earlier reward model with untied embeddings, whose language head is gone.
    """
    if model.config.tie_word_embeddings:
        return
    if is_reward_model(source):
        raise UserError(
            "objective.lm_coefficient needs a language head, and "
            f"{source.path or source.hub_id} is a reward model without one; "
            "start from a policy or set lm_coefficient to 0."
        )
    model.language_head = output_head(load_policy(source, tokenizer))


def detach_language_head(model: Any) -> None:
    """Leaves a plain reward model, as transformers knows it."""
    if hasattr(model, "language_head"):
        del model.language_head


def language_logits(model: Any, hidden_MD: Tensor) -> Tensor:
    """(M, D) -> (M, V)"""
    if hasattr(model, "language_head"):
        return model.language_head(hidden_MD)
    return F.linear(hidden_MD, model.get_input_embeddings().weight)


def scores_and_logprobs(model: Any, batch: TokenBatch, is_top_tier_N: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (N,) and token log-probabilities (N, R) from one pass of the trunk, both float32.

    Log-probabilities are those of the top-tier responses; everywhere else they are 0.
    """
    hidden_BTD = hidden_states(model, batch)
    scores_N = output_head(model)(hidden_BTD[batch.row_N, batch.end_N]).squeeze(-1).float()
    is_predicted_NR = batch.is_response_NR & is_top_tier_N[:, None]
    row_NR = batch.row_N[:, None].expand_as(is_predicted_NR)
    hidden_MD = hidden_BTD[row_NR[is_predicted_NR], batch.logit_index_NR[is_predicted_NR]]
    logprobs_MV = language_logits(model, hidden_MD).float().log_softmax(-1)
    logprobs_M = logprobs_MV.gather(1, batch.response_ids_NR[is_predicted_NR][:, None]).squeeze(1)
    logprobs_NR = torch.zeros(is_predicted_NR.shape, device=scores_N.device).masked_scatter(
        is_predicted_NR, logprobs_M
    )
    return scores_N, logprobs_NR
