"""Prompts in, scored responses out: what PPO trains on and what evaluation measures.

Suffixes: N responses, in the order of the prompts and of the samples of each; R response tokens (right-padded).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from learning.batching import micro_batches, shape_of
from learning.architectures import position_limit
from learning.language_models import load_reward_model, load_tokenizer, model_sha256s
from learning.options import UserError
from learning.packing import Batch, Example, choose_layout, collate, scores_N, token_logprobs_NR
from learning.processes import Processes
from learning.tokenization import decode_response, encode_prompt, encode_response
from learning.training_options import BatchOptions, Layout, ModelSource, RuntimeOptions
from policy_training.training.config import SamplingOptions
from policy_training.training.rewards import kl_estimates
from policy_training.training.sampler import SampledResponse, sample_responses


@dataclass(frozen=True, kw_only=True)
class Prompt:
    prompt_id: str
    messages: list[dict[str, str]]
    token_ids: list[int]

    @property
    def text(self) -> str:
        return self.messages[-1]["content"]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One response and its raw reward-model score (reward_shift already taken off)."""

    prompt: Prompt
    response: SampledResponse
    score: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over responses. `kl` is KL(policy || reference) in nats a response, estimator k1; None without a reference."""

    reward: float
    reward_sd: float
    kl: float | None
    eos_rate: float
    tokens: float
    responses: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Infers(Protocol):
    """An engine, or a frozen model: whoever runs function(model, ...) without gradients at the run's precision."""

    def infer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...


class Frozen:
    """A model that is only read: the reference, the reward model, a policy under evaluation."""

    def __init__(self, model: Any, runtime: RuntimeOptions, device: torch.device) -> None:
        self.model = model.eval().requires_grad_(False).to(device)
        self.device, self.in_bf16 = device, runtime.dtype == "bf16"

    def infer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bf16):
            return function(self.model, *args, **kwargs)


def tokenized_prompts(rows: Sequence[dict[str, Any]], tokenizer: Any, max_tokens: int) -> list[Prompt]:
    return [
        Prompt(
            prompt_id=row["prompt_id"],
            messages=row["messages"],
            token_ids=encode_prompt(tokenizer, row["messages"], max_tokens),
        )
        for row in rows
    ]


class Scorer:
    """A reward model that may have another tokenizer than the policy whose text it scores."""

    def __init__(
        self,
        source: ModelSource,
        policy_tokenizer: Any,
        *,
        batch: BatchOptions,
        runtime: RuntimeOptions,
        device: torch.device,
    ) -> None:
        self.tokenizer, self.policy_tokenizer, self.options = load_tokenizer(source), policy_tokenizer, batch
        model = load_reward_model(source, self.tokenizer)
        self.frozen = Frozen(model, runtime, device)
        self.runtime = runtime
        self.reward_shift = float(getattr(model.config, "reward_shift", 0.0))
        self.positions = position_limit(model) or 1 << 30
        self.same_tokenizer = writes_the_same(self.tokenizer, policy_tokenizer)
        self.sha256s = model_sha256s(source.path) if source.path is not None else {}
        self._layout: Layout | None = None

    def score(self, prompts: Sequence[Prompt], responses: Sequence[SampledResponse]) -> list[float]:
        """Scores minus reward_shift; `responses` hold the same number of samples for each prompt, in prompt order."""
        n_samples = len(responses) // len(prompts)
        examples = [
            self._example(prompt, responses[i * n_samples : (i + 1) * n_samples])
            for i, prompt in enumerate(prompts)
        ]
        if self._layout is None:
            self._layout, _ = choose_layout(
                self.frozen.model, examples[:4], dtype=self.runtime.dtype, requested=self.options.layout
            )
        scores = [0.0] * len(responses)
        for indices, batch in inference_batches(
            examples,
            layout=self._layout,
            max_tokens=self.options.max_micro_batch_tokens,
            pad_id=self.tokenizer.pad_token_id,
            device=self.frozen.device,
        ):
            of_batch = (self.frozen.infer(scores_N, batch).double() - self.reward_shift).tolist()
            for position, index in enumerate(indices):
                scores[index * n_samples : (index + 1) * n_samples] = of_batch[
                    position * n_samples : (position + 1) * n_samples
                ]
        return scores

    def _example(self, prompt: Prompt, responses: Sequence[SampledResponse]) -> Example:
        if self.same_tokenizer:
            return Example(prompt.token_ids, [response.token_ids for response in responses])
        prompt_ids = encode_prompt(self.tokenizer, prompt.messages, self.positions // 2)
        room = self.positions - len(prompt_ids)
        rows = []
        for response in responses:
            text = decode_response(self.policy_tokenizer, response.token_ids)
            ids = encode_response(self.tokenizer, text, room)
            # A response that never ended must not be shown to the reward model as one that did.
            rows.append(ids if response.has_eos or len(ids) < 2 else ids[: min(len(ids), room) - 1])
        return Example(prompt_ids, rows)


def writes_the_same(one: Any, other: Any) -> bool:
    """Whether two tokenizers turn every dialogue into the same ids."""
    return (
        one.backend_tokenizer.to_str() == other.backend_tokenizer.to_str()
        and one.chat_template == other.chat_template
        and one.eos_token_id == other.eos_token_id
        and one.bos_token_id == other.bos_token_id
    )


def inference_batches(
    examples: Sequence[Example], *, layout: Layout, max_tokens: int, pad_id: int, device: torch.device
) -> list[tuple[tuple[int, ...], Batch]]:
    """(indices into `examples`, batch) for every example once, on this rank alone."""
    shapes = [shape_of(example, layout) for example in examples]
    return [
        (
            micro.indices,
            collate([examples[i] for i in micro.indices], layout=layout, pad_id=pad_id, device=device),
        )
        for micro in micro_batches(shapes, range(len(shapes)), max_tokens=max_tokens)
    ]


def roll_out(
    policy: Infers,
    prompts: Sequence[Prompt],
    scorer: Scorer,
    *,
    n_samples: int,
    sampling: SamplingOptions,
    max_response_tokens: int,
    seed: str,
    processes: Processes,
) -> list[Rollout]:
    """Every rank samples and scores its share of the prompts; all ranks return all rollouts, in prompt order."""
    tokenizer = scorer.policy_tokenizer
    mine = prompts[processes.rank :: processes.world_size]
    responses: list[SampledResponse] = []
    scores: list[float] = []
    if mine:
        responses = policy.infer(
            sample_responses,
            [(prompt.prompt_id, prompt.token_ids) for prompt in mine],
            n_samples=n_samples,
            max_response_tokens=max_response_tokens,
            options=sampling,
            seed=seed,
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
        )
        scores = scorer.score(mine, responses)
    if processes.world_size > 1:
        responses, scores = _from_all_ranks(
            responses, scores, prompts, n_samples, max_response_tokens, tokenizer.eos_token_id, processes
        )
    return [
        Rollout(prompt=prompts[row // n_samples], response=response, score=score)
        for row, (response, score) in enumerate(zip(responses, scores, strict=True))
    ]


def _from_all_ranks(
    responses: Sequence[SampledResponse],
    scores: Sequence[float],
    prompts: Sequence[Prompt],
    n_samples: int,
    max_tokens: int,
    eos_id: int,
    processes: Processes,
) -> tuple[list[SampledResponse], list[float]]:
    """Each rank writes its rows into a table of zeros; the sum over ranks is the table of all rows."""
    N = len(prompts) * n_samples
    # Columns: score, length, then ids and log-probs. float64 holds token ids and scores exactly.
    table = torch.zeros(N, 2 + 2 * max_tokens, dtype=torch.float64, device=processes.device)
    for local, (response, score) in enumerate(zip(responses, scores, strict=True)):
        prompt = (local // n_samples) * processes.world_size + processes.rank
        length = len(response.token_ids)
        row = [score, length, *response.token_ids, *[0.0] * (max_tokens - length), *response.logprobs]
        table[prompt * n_samples + local % n_samples, : len(row)] = torch.tensor(
            row, dtype=torch.float64, device=table.device
        )
    rows = processes.all_reduce_sum(table).tolist()
    everything = []
    for index, row in enumerate(rows):
        length = int(row[1])
        ids = [int(token) for token in row[2 : 2 + length]]
        everything.append(
            SampledResponse(
                prompt_id=prompts[index // n_samples].prompt_id,
                sample=index % n_samples,
                token_ids=ids,
                logprobs=row[2 + max_tokens : 2 + max_tokens + length],
                has_eos=ids[-1] == eos_id,
            )
        )
    return everything, [row[0] for row in rows]


def examples_of(rollouts: Sequence[Rollout], n_samples: int) -> list[Example]:
    """One example a prompt, its n samples sharing the prompt."""
    return [
        Example(
            rollouts[start].prompt.token_ids,
            [rollout.response.token_ids for rollout in rollouts[start : start + n_samples]],
        )
        for start in range(0, len(rollouts), n_samples)
    ]


def probe_examples(prompts: Sequence[Prompt], n_samples: int) -> list[Example]:
    """A few rows of the shapes to come, for the packing self-check before anything is sampled: tails of other prompts
    stand in for responses."""
    few = prompts[: max(4, n_samples)]
    tails = [prompt.token_ids[-8:] for prompt in few]
    return [
        Example(prompt.token_ids, [tails[(i + k) % len(tails)] for k in range(n_samples)])
        for i, prompt in enumerate(few[:4])
    ]


def evaluate_policy(
    policy: Infers,
    reference: Infers | None,
    prompts: Sequence[Prompt],
    scorer: Scorer,
    *,
    n_samples: int,
    sampling: SamplingOptions,
    batch: BatchOptions,
    layout: Layout,
    seed: str,
    processes: Processes,
) -> tuple[Evaluation, list[Rollout]]:
    """Sample, score, and measure the distance to the reference. Every rank returns the same figures."""
    if not prompts:
        raise UserError("inputs/prompts: has no prompts to evaluate on; add at least one")
    rollouts = roll_out(
        policy,
        prompts,
        scorer,
        n_samples=n_samples,
        sampling=sampling,
        max_response_tokens=batch.max_response_tokens,
        seed=seed,
        processes=processes,
    )
    kl = None
    if reference is not None:
        kl_total = torch.zeros((), dtype=torch.float64)
        for _, piece in inference_batches(
            examples_of(rollouts, n_samples),
            layout=layout,
            max_tokens=batch.max_micro_batch_tokens,
            pad_id=scorer.policy_tokenizer.pad_token_id,
            device=processes.device,
        ):
            log_ratio_NR: Tensor = policy.infer(
                token_logprobs_NR, piece, temperature=sampling.temperature
            ) - reference.infer(token_logprobs_NR, piece, temperature=sampling.temperature)
            kl_total += kl_estimates(log_ratio_NR[piece.is_response_NR], "k1").double().sum().cpu()
        kl = float(kl_total) / len(rollouts)
    scores = torch.tensor([rollout.score for rollout in rollouts], dtype=torch.float64)
    evaluation = Evaluation(
        reward=float(scores.mean()),
        reward_sd=float(scores.std(unbiased=False)),
        kl=kl,
        eos_rate=sum(rollout.response.has_eos for rollout in rollouts) / len(rollouts),
        tokens=sum(len(rollout.response.token_ids) for rollout in rollouts) / len(rollouts),
        responses=len(rollouts),
    )
    return evaluation, rollouts


def source_sha256s(source: ModelSource) -> dict[str, str]:
    """Of the files of a local folder; nothing for a hub id, whose revision names it."""
    return dict(model_sha256s(Path(source.path))) if source.path is not None else {}
