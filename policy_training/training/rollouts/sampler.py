"""Sampling n responses a prompt from one prefill, with the log-probabilities the update needs.

The prompt is computed once for its n samples (decoding.py). Rows that have ended are dropped from the batch when enough
of them have. The noise of a sample depends on (seed, prompt id, sample number) alone, so batch size, order, ranks and
dropped rows do not change what is drawn.

Suffixes: B prompts, N = B * n rows (fewer once some are dropped), T prompt tokens (left-padded), R response tokens,
V vocabulary.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from learning.interface.options import UserError
from learning.models.adapters import adapters_merged
from learning.models.architectures import max_positions
from policy_training.training.config import SamplingOptions
from policy_training.training.rollouts.decoding import left_padded, start_decoding
from policy_training.training.rollouts.guidance import CriticDecoder, Guidance

# Copying the surviving rows costs about one decoding step; below this share of active rows it pays back at once.
COMPACTION_THRESHOLD = 0.8


@dataclass(frozen=True, kw_only=True)
class SamplingRequest:
    """What is wanted of every prompt; equal seeds draw equal noise."""

    n_samples: int
    max_response_tokens: int
    options: SamplingOptions
    seed: str


@dataclass(frozen=True, kw_only=True)
class SampledResponse:
    """`token_ids` end with the EOS when `has_eos`; `logprobs` are at the temperature, before any truncation.

    `guided_logprobs`: where a critic led, the log-probabilities in what was drawn from; else empty.
    """

    prompt_id: str
    sample_index: int
    token_ids: list[int]
    logprobs: list[float]
    has_eos: bool
    guided_logprobs: list[float] = field(default_factory=list)


def sample_responses(
    policy: Any,
    prompts: Sequence[tuple[str, list[int]]],
    request: SamplingRequest,
    *,
    eos_id: int,
    pad_id: int,
    before_token: Callable[[], None] = lambda: None,
    guidance: Guidance | None = None,
) -> list[SampledResponse]:
    """n_samples responses for each (prompt id, token ids), in the order of the prompts and samples of each.

    The caller puts the policy into evaluation mode, and chooses the precision by an autocast context around
    this call; on a CPU it stays that of the weights all the same: a decoding step reads much and computes
    little, and converting what it reads made sampling in bf16 1.3 times slower. `before_token` is called before
    each decoding step and may raise. `guidance`: a critic that leads what is drawn. Raises UserError when a
    prompt is empty or leaves no room for a response in the model's context.
    """
    limit, n_samples = max_positions(policy), request.n_samples
    for prompt_id, token_ids in prompts:
        if not token_ids:
            raise UserError(f"prompt {prompt_id}: has no tokens; give every prompt some text")
        if limit is not None and len(token_ids) + request.max_response_tokens > limit:
            raise UserError(
                f"prompt {prompt_id}: {len(token_ids)} prompt tokens and max_response_tokens = "
                f"{request.max_response_tokens} exceed the policy's context of {limit}; lower one of them"
            )
    # Prompts of like length share a batch; responses go back to the order of the prompts.
    by_length = sorted(range(len(prompts)), key=lambda index: (len(prompts[index][1]), index))
    prompts_per_batch = max(1, request.options.batch_size // n_samples)
    groups: list[list[SampledResponse]] = [[] for _ in prompts]
    for start in range(0, len(by_length), prompts_per_batch):
        indices = by_length[start : start + prompts_per_batch]
        batch = [prompts[index] for index in indices]
        with torch.autocast("cpu", enabled=False), adapters_merged(policy):
            rows = _sample_batch(
                policy,
                batch,
                request,
                eos_id=eos_id,
                pad_id=pad_id,
                before_token=before_token,
                guidance=guidance,
            )
        for position, index in enumerate(indices):
            groups[index] = rows[position * n_samples : (position + 1) * n_samples]
    return [response for group in groups for response in group]


def _sample_batch(
    policy: Any,
    prompts: Sequence[tuple[str, list[int]]],
    request: SamplingRequest,
    *,
    eos_id: int,
    pad_id: int,
    before_token: Callable[[], None],
    guidance: Guidance | None,
) -> list[SampledResponse]:
    batch = SamplingBatch(
        policy,
        [token_ids for _, token_ids in prompts],
        request.options,
        _batch_noise(request.seed, prompts, request.n_samples, request.max_response_tokens),
        n_samples=request.n_samples,
        eos_id=eos_id,
        pad_id=pad_id,
        guidance=guidance,
    )
    before_token()
    while batch.step():
        before_token()
    return batch.written.responses(prompts, request.n_samples, eos_id)


class SamplingBatch:
    """Samples that are drawn together, a token of each a step; `noise_NR` says which, and R how long they may get.

    The caller chooses precision and autocast, and the policy is in evaluation mode.
    """

    @torch.no_grad()
    def __init__(
        self,
        policy: Any,
        prompts: Sequence[list[int]],
        options: SamplingOptions,
        noise_NR: Tensor,
        *,
        n_samples: int,
        eos_id: int,
        pad_id: int,
        guidance: Guidance | None = None,
    ) -> None:
        self.options, self.eos_id = options, eos_id
        self.max_tokens = noise_NR.shape[1]
        self._decoder = start_decoding(policy, prompts, n_samples, self.max_tokens, pad_id=pad_id)
        device = self._decoder.first_logits_BV.device
        prompt_of_row_N = torch.arange(len(prompts), device=device).repeat_interleave(n_samples)
        self._logits_NV = self._decoder.first_logits_BV[prompt_of_row_N]
        ids_BT, is_token_BT = left_padded(prompts, pad_id, device)
        self._critic: CriticDecoder | None = None
        if guidance is not None:
            self._critic = CriticDecoder(guidance, ids_BT, is_token_BT, n_samples=n_samples, eos_id=eos_id)
        counts_prompt = options.repetition_penalty_scope == "prompt_and_response"
        penalised_BT = is_token_BT if counts_prompt else torch.zeros_like(is_token_BT)
        self._seen_NV = _seen_tokens(self._logits_NV.shape[-1], ids_BT, penalised_BT)[prompt_of_row_N]
        self._noise_NR = noise_NR.to(device)
        self.written = _GenerationBuffer(
            rows=len(prompt_of_row_N),
            max_tokens=self.max_tokens,
            device=device,
            is_guided=guidance is not None,
        )
        # Row of the decoder -> row written.
        self._active_rows_N = torch.arange(len(prompt_of_row_N), device=device)
        self._has_ended_N = torch.zeros_like(self._active_rows_N, dtype=torch.bool)
        self._token_N = torch.zeros_like(self._active_rows_N)
        self.steps = 0

    @torch.no_grad()
    def step(self) -> bool:
        """Draw the next token of each row that has not ended; whether any goes on after it."""
        if self.steps:
            self._logits_NV = self._decoder.next_logits(self._token_N)
        logprobs_NV = (self._logits_NV.float() / self.options.temperature).log_softmax(dim=-1)
        choices_NV = _warped_probabilities(self._logits_NV, logprobs_NV, self._seen_NV, self.options)
        if self._critic is not None:
            choices_NV = self._critic.guide(choices_NV)
        token_N = _sample_inverse_cdf(choices_NV, self._noise_NR[self._active_rows_N, self.steps])
        logprob_N = logprobs_NV.gather(1, token_N[:, None]).squeeze(1)
        goes_on_N = ~self._has_ended_N
        rows_M, token_M = self._active_rows_N[goes_on_N], token_N[goes_on_N]
        self.written.write(self.steps, rows_M, token_M, logprob_N[goes_on_N])
        if self._critic is not None:
            guided_M = choices_NV[goes_on_N].gather(1, token_M[:, None]).squeeze(1).log()
            self.written.guided_logprobs_NR[rows_M, self.steps] = guided_M.float()
        self._has_ended_N = self._has_ended_N | (token_N == self.eos_id)
        self.steps += 1
        n_active = int((~self._has_ended_N).sum())
        if n_active == 0 or self.steps == self.max_tokens:
            return False
        self._seen_NV.scatter_(1, token_N[:, None], True)
        self._token_N = token_N
        if self._critic is not None:
            self._critic.write(token_N)
        if n_active < COMPACTION_THRESHOLD * len(self._active_rows_N):
            active = (~self._has_ended_N).nonzero().squeeze(1)
            self._decoder.keep_rows(active)
            if self._critic is not None:
                self._critic.keep_rows(active)
            self._active_rows_N, self._token_N, self._has_ended_N, self._seen_NV = (
                x[active] for x in (self._active_rows_N, self._token_N, self._has_ended_N, self._seen_NV)
            )
        return True

    def end_rows(self, rows: Sequence[int]) -> None:
        """Draw nothing more for these rows, as written; they keep what they have."""
        ended = torch.tensor(list(rows), dtype=torch.long, device=self._active_rows_N.device)
        self._has_ended_N = self._has_ended_N | torch.isin(self._active_rows_N, ended)


class _GenerationBuffer:
    """Tokens and log-probs written so far, by sample: rows of the cache move when ended ones are dropped."""

    def __init__(self, *, rows: int, max_tokens: int, device: torch.device, is_guided: bool) -> None:
        self.tokens_NR = torch.zeros(rows, max_tokens, dtype=torch.long, device=device)
        self.logprobs_NR = torch.zeros(rows, max_tokens, dtype=torch.float32, device=device)
        # Without a critic there is nothing in it.
        self.guided_logprobs_NR = torch.zeros(
            rows, max_tokens if is_guided else 0, dtype=torch.float32, device=device
        )
        self.length_N = torch.zeros(rows, dtype=torch.long, device=device)

    def write(self, step: int, rows_M: Tensor, token_M: Tensor, logprob_M: Tensor) -> None:
        self.tokens_NR[rows_M, step] = token_M
        self.logprobs_NR[rows_M, step] = logprob_M
        self.length_N[rows_M] = step + 1

    def responses(
        self, prompts: Sequence[tuple[str, list[int]]], n_samples: int, eos_id: int
    ) -> list[SampledResponse]:
        lengths, tokens, logprobs, guided = (
            x.tolist() for x in (self.length_N, self.tokens_NR, self.logprobs_NR, self.guided_logprobs_NR)
        )
        return [
            SampledResponse(
                prompt_id=prompts[row // n_samples][0],
                sample_index=row % n_samples,
                token_ids=tokens[row][:length],
                logprobs=logprobs[row][:length],
                has_eos=tokens[row][length - 1] == eos_id,
                guided_logprobs=guided[row][:length],
            )
            for row, length in enumerate(lengths)
        ]


def _batch_noise(seed: str, prompts: Sequence[tuple[str, list[int]]], n_samples: int, length: int) -> Tensor:
    rows = [
        sample_noise(seed, prompt_id, sample, length)
        for prompt_id, _ in prompts
        for sample in range(n_samples)
    ]
    return torch.from_numpy(np.stack(rows))


def sample_noise(seed: str, prompt_id: str, sample: int, length: int) -> np.ndarray:
    """One uniform number in [0, 1) per token, (length,) float64: a pure function of seed, prompt id and sample."""
    key = hashlib.blake2b(f"{seed}\0{prompt_id}\0{sample}".encode(), digest_size=16).digest()
    generator = np.random.Generator(np.random.Philox(key=np.frombuffer(key, dtype=np.uint64)))
    return generator.random(length)


def _sample_inverse_cdf(probabilities_NV: Tensor, uniform_N: Tensor) -> Tensor:
    """The token whose stretch of the cumulative distribution holds the uniform number: (N,)."""
    cumulative_NV = probabilities_NV.double().cumsum(dim=-1)
    # Just below the total, so that rounding can never run past the last token that has any probability.
    target_N1 = uniform_N[:, None].clamp(max=1.0 - 1e-12) * cumulative_NV[:, -1:]
    return torch.searchsorted(cumulative_NV, target_N1, right=True).squeeze(1)


def _warped_probabilities(
    logits_NV: Tensor, logprobs_NV: Tensor, seen_NV: Tensor, options: SamplingOptions
) -> Tensor:
    """Probabilities to draw from, not necessarily normalised: repetition penalty, temperature, top-k, top-p,
    in that order.

    The order and the meaning of each are those of transformers' generate. `seen_NV` is True on the tokens that
    the repetition penalty counts.
    """
    if options.repetition_penalty != 1.0:
        p = options.repetition_penalty
        logits_NV = logits_NV.float()
        penalised_NV = torch.where(logits_NV > 0, logits_NV / p, logits_NV * p)
        logits_NV = torch.where(seen_NV, penalised_NV, logits_NV)
        logprobs_NV = (logits_NV / options.temperature).log_softmax(dim=-1)
    probabilities_NV = logprobs_NV.exp()
    if 0 < options.top_k < probabilities_NV.shape[-1]:
        kth_N1 = probabilities_NV.topk(options.top_k, dim=-1).values[:, -1:]
        probabilities_NV = torch.where(probabilities_NV < kth_N1, 0.0, probabilities_NV)
        probabilities_NV = probabilities_NV / probabilities_NV.sum(dim=-1, keepdim=True)
    if options.top_p < 1.0:
        sorted_NV, order_NV = probabilities_NV.sort(dim=-1, descending=True)
        # Keep a token while what stands before it is still short of top_p: the first one always stays.
        before_NV = sorted_NV.cumsum(dim=-1) - sorted_NV
        kept_NV = torch.where(before_NV < options.top_p, sorted_NV, 0.0)
        probabilities_NV = torch.zeros_like(probabilities_NV).scatter(1, order_NV, kept_NV)
    return probabilities_NV


def _seen_tokens(vocabulary: int, ids_BT: Tensor, is_token_BT: Tensor) -> Tensor:
    seen_BV = torch.zeros(len(ids_BT), vocabulary, dtype=torch.bool, device=ids_BT.device)
    rows_BT = torch.arange(len(ids_BT), device=ids_BT.device)[:, None].expand_as(ids_BT)
    seen_BV[rows_BT[is_token_BT], ids_BT[is_token_BT]] = True
    return seen_BV
