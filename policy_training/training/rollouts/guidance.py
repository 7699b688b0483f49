"""Value-guided decoding: a critic says which of a policy's candidates for the next token lead to better responses.

Of the `candidates` most probable tokens each is drawn with a probability in proportion to pi(a | s) exp(beta V(s, a)),
the others never (Liu et al. 2023, "Don't throw away your value model!", here one step ahead; with V the best value
that can be reached this is the optimum of reward minus 1 / beta times KL). V(s, a) is the critic's raw output where a
was written: a constant that is added to it changes nothing. A critic never reads past an end token, so ending is worth
what the state is worth that it ends in.

Suffixes: B prompts, N = B * n rows (fewer once some are dropped), T prompt tokens (left-padded), C candidates,
V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.architectures import (
    backbone,
    require_max_positions,
    shared_prompt_unsupported_reason,
    value_head,
)
from learning.models.loading import load_reward_model
from learning.models.tokenizers import load_tokenizer
from policy_training.training.config import GuidanceOptions
from policy_training.training.rollouts.model_sources import model_source_sha256s, same_tokenization


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """`critic` reads the policy's tokens, in evaluation mode; its architecture is exact for masks of any shape."""

    critic: Any
    coefficient: float  # beta, a unit of the critic's output
    candidates: int


def load_guidance(
    options: GuidanceOptions, tokenizer: Any, *, where: str, max_tokens: int, device: torch.device
) -> Guidance | None:
    """The critic that leads; None where none does. `max_tokens`: of prompt and response together. Raises UserError,
    saying `where` the options stand, for a critic that cannot read the policy's tokens.
    """
    if not options.path:
        if options.policy:
            raise UserError(
                f"{where}.path: the folder of the critic of {options.policy!r} is not given; add it"
            )
        return None
    source = ModelSource(path=options.path)
    if not same_tokenization(load_tokenizer(source), tokenizer):
        raise UserError(
            f"{where}: the critic has another tokenizer than the policy, so it cannot read what the policy writes; "
            "take one of the same line"
        )
    critic = load_reward_model(source, tokenizer).eval().requires_grad_(False).to(device)
    if reason := shared_prompt_unsupported_reason(critic):
        raise UserError(f"{where}: this critic cannot lead: {reason}; take another, or sample without one")
    require_max_positions(critic, max_tokens)
    return Guidance(critic=critic, coefficient=options.coefficient, candidates=options.candidates)


def critic_report(options: GuidanceOptions) -> dict[str, Any]:
    """What a result says of who led; nothing where nobody did."""
    if not options.path:
        return {}
    return {"critic_sha256s": model_source_sha256s(ModelSource(path=options.path))}


def guided_probabilities(
    choices_NV: Tensor, candidate_values_NC: Tensor, candidates_NC: Tensor, coefficient: float
) -> Tensor:
    """What is drawn from, (N, V), each row's sum 1: `choices_NV` (not necessarily normalised) at the candidates, times
    exp(coefficient * value). A candidate without probability has none after it.
    """
    logits_NC = (
        choices_NV.gather(1, candidates_NC).double().log() + coefficient * candidate_values_NC.double()
    )
    return torch.zeros_like(choices_NV, dtype=torch.float64).scatter(1, candidates_NC, logits_NC.softmax(-1))


class CriticDecoder:
    """A critic's values of responses that grow by a token a step, and of each candidate for the next one."""

    def __init__(
        self, guidance: Guidance, ids_BT: Tensor, is_token_BT: Tensor, *, n_samples: int, eos_id: int
    ) -> None:
        self._guidance, self._eos_id = guidance, eos_id
        self._trunk, self._head = backbone(guidance.critic), value_head(guidance.critic)
        self._cache = DynamicCache()
        positions_BT = (is_token_BT.cumsum(dim=1) - 1).clamp(min=0)
        T = ids_BT.shape[1]
        causal_TT = torch.ones(T, T, dtype=torch.bool, device=ids_BT.device).tril()
        # A place of padding sees itself, or its row of the softmax would be empty.
        itself_TT = torch.eye(T, dtype=torch.bool, device=ids_BT.device)
        mask_B1TT = ((causal_TT & is_token_BT[:, None, :]) | itself_TT)[:, None]
        values_BT = self._read(ids_BT, positions_BT, mask_B1TT)
        self._cache.batch_repeat_interleave(n_samples)
        self._is_token_NT = is_token_BT.repeat_interleave(n_samples, dim=0)  # grows by a column a step
        self._length_N = self._is_token_NT.sum(1)
        self._value_N = values_BT[:, -1].repeat_interleave(
            n_samples
        )  # of the state the next token is chosen in
        self._candidates_NC = self._values_NC = ids_BT[:0]

    def guide(self, choices_NV: Tensor) -> Tensor:
        """Probabilities of the next token, (N, V), from what the sampler would draw from."""
        N, T = self._is_token_NT.shape
        C = min(self._guidance.candidates, choices_NV.shape[1])
        self._candidates_NC = choices_NV.topk(C, dim=-1).indices
        itself_CC = torch.eye(C, dtype=torch.bool, device=choices_NV.device)
        before_NCT = self._is_token_NT[:, None, :].expand(N, C, T)
        mask_N1CK = torch.cat([before_NCT, itself_CC.expand(N, C, C)], dim=-1)[:, None]
        values_NC = self._read(self._candidates_NC, self._length_N[:, None].expand(N, C), mask_N1CK)
        ends_NC = self._candidates_NC == self._eos_id
        self._values_NC = torch.where(ends_NC, self._value_N[:, None], values_NC)
        return guided_probabilities(
            choices_NV, self._values_NC, self._candidates_NC, self._guidance.coefficient
        )

    def write(self, token_N: Tensor) -> None:
        """Go on with this candidate in each row; what was read of the others is dropped."""
        place_N = (self._candidates_NC == token_N[:, None]).int().argmax(1)
        T = self._is_token_NT.shape[1]
        rows_N = torch.arange(len(token_N), device=token_N.device)
        for layer in self._cache.layers:
            layer.keys, layer.values = (
                torch.cat([x[:, :, :T], x[rows_N, :, T + place_N][:, :, None]], dim=2)
                for x in (layer.keys, layer.values)
            )
        self._value_N = self._values_NC[rows_N, place_N]
        self._is_token_NT = torch.nn.functional.pad(self._is_token_NT, (0, 1), value=True)
        self._length_N = self._length_N + 1

    def keep_rows(self, kept: Tensor) -> None:
        self._cache.batch_select_indices(kept)
        self._is_token_NT, self._length_N, self._value_N = (
            x[kept] for x in (self._is_token_NT, self._length_N, self._value_N)
        )

    def _read(self, ids: Tensor, position_ids: Tensor, mask: Tensor) -> Tensor:
        hidden = self._trunk(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position_ids,
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        values: Tensor = self._head(hidden).squeeze(-1).float()
        return values
