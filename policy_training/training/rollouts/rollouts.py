"""Prompts in, scored responses out: what PPO trains on, and what an evaluation measures (policy_evaluation.py).

Suffixes: N responses, in the order of the prompts and of the samples of each; R response tokens, right-padded.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from learning.batches.collation import Example, TokenBatch, collate
from learning.batches.layout import choose_layout
from learning.batches.micro_batching import example_size, micro_batches
from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.training_options import BatchOptions, Layout, ModelSource, RuntimeOptions
from learning.models.architectures import require_max_positions
from learning.models.files import model_sha256s
from learning.models.loading import load_reward_model
from learning.models.tokenization import decode_response, encode_prompt, encode_prompt_or_cut
from policy_training.training.rollouts.guidance import Guidance
from policy_training.training.rollouts.model_sources import same_tokenization
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest, sample_responses
from policy_training.training.rollouts.step_rewards import TokenReward
from rewardmodel.training.scoring import RewardScorer


@dataclass(frozen=True, kw_only=True)
class Prompt:
    prompt_id: str
    messages: list[dict[str, str]]
    token_ids: list[int]
    is_cut: bool = False  # longer than the limit: its earliest turns were left out
    tags: tuple[str, ...] = ()
    source_id: str | None = None
    metadata: str | None = None  # JSON text: the further columns of its file

    @property
    def text(self) -> str:
        return self.messages[-1]["content"]


# The responses of some prompts, n of each, in their order.
Sampler = Callable[[Sequence[Prompt]], list[SampledResponse]]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One response and its raw reward-model score (reward_shift already taken off).

    `parts`: what each model and function said, where the score is made of several. `step_rewards`: what of the score
    stands at tokens of its own, as functions gave it.
    """

    prompt: Prompt
    response: SampledResponse
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    step_rewards: tuple[TokenReward, ...] = ()

    @property
    def end_score(self) -> float:
        """What of the score stands at the response's end."""
        return self.score - math.fsum(reward for _, reward in self.step_rewards)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of responses, in order, and the parts that each is made of, where there are several. `step_rewards`: see
    Rollout; empty where there are none.
    """

    scores: list[float]
    parts: Mapping[str, list[float]] = field(default_factory=dict)
    step_rewards: Sequence[Sequence[TokenReward]] = ()


class InferenceModel(Protocol):
    """An engine or a frozen model: runs function(model, ...) without gradients at the run's precision. Every rank
    calls; in `infer` all make as many passes through the model, in `infer_alone` each as many as it needs.
    """

    def infer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...
    def infer_alone(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...


class FrozenModel:
    """A model that is only read: the reference, the reward model, a policy under evaluation."""

    def __init__(self, model: Any, runtime: RuntimeOptions, device: torch.device) -> None:
        self.model = model.eval().requires_grad_(False).to(device)
        self.device, self.in_bf16 = device, runtime.dtype == "bf16"

    def infer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bf16):
            return function(self.model, *args, **kwargs)

    infer_alone = infer  # each rank has the whole model


def tokenize_prompts(rows: Sequence[dict[str, Any]], tokenizer: Any, max_tokens: int) -> list[Prompt]:
    """Raises UserError for a duplicated id: samples are keyed by it and would come out the same."""
    seen: set[str] = set()
    for row in rows:
        if row["prompt_id"] in seen:
            raise UserError(
                f"inputs/prompts: the prompt_id {row['prompt_id']!r} is duplicated; ids must differ"
            )
        seen.add(row["prompt_id"])
    prompts = []
    for row in rows:
        token_ids, is_cut = encode_prompt_or_cut(tokenizer, row["messages"], max_tokens)
        prompts.append(
            Prompt(
                prompt_id=row["prompt_id"],
                messages=row["messages"],
                token_ids=token_ids,
                is_cut=is_cut,
                tags=tuple(row.get("tags") or ()),
                source_id=row.get("source_id"),
                metadata=row.get("metadata"),
            )
        )
    return prompts


def cut_notes(prompts: Sequence[Prompt], max_tokens: int) -> list[str]:
    """A sentence for the run's page where prompts were cut."""
    cut = sum(prompt.is_cut for prompt in prompts)
    return [f"{cut} of {len(prompts)} prompts were cut at {max_tokens} tokens."] if cut else []


class RolloutScorer:
    """A reward model that may have another base and tokenizer than the policy whose responses it scores.

    `policy_batch` bounds the policy's rows in its tokens, `batch` the reward model's in its own.
    """

    def __init__(
        self,
        path: str,
        policy_tokenizer: Any,
        *,
        policy_batch: BatchOptions,
        batch: BatchOptions,
        runtime: RuntimeOptions,
        distributed: DistributedContext,
        load_model: Callable[[ModelSource, Any], Any] = load_reward_model,
    ) -> None:
        self.reward_model = RewardScorer.load(
            path, batch=batch, dtype=runtime.dtype, distributed=distributed, load_model=load_model
        )
        self.policy_tokenizer = policy_tokenizer
        self.same_tokenizer = same_tokenization(self.reward_model.tokenizer, policy_tokenizer)
        if self.same_tokenizer:  # it reads the policy's own rows, whatever `batch` says
            tokens = policy_batch.max_sequence_tokens
            require_max_positions(self.reward_model.model, tokens)
        self.sha256s = dict(model_sha256s(Path(path)))

    def choose_layout(self, prompts: Sequence[Prompt], n_samples: int) -> None:
        """Decide now how rows are laid out. Left to the first call, a resumed run could decide otherwise than the
        run it resumes, whose first call was an evaluation with one response a prompt.
        """
        model = self.reward_model
        own = [
            replace(p, token_ids=encode_prompt(model.tokenizer, p.messages, model.batch.max_prompt_tokens))
            for p in prompts[: max(4, n_samples)]
        ]
        model.layout, model.layout_reason = choose_layout(
            model.model, self_check_examples(own, n_samples), dtype=model.dtype, requested=model.batch.layout
        )

    def score(self, prompts: Sequence[Prompt], groups: Sequence[Sequence[SampledResponse]]) -> list[float]:
        """Scores minus reward_shift of every prompt's responses, in order."""
        if self.same_tokenizer:
            # The ids that the policy sampled: text that decodes and encodes to other ids would be another response.
            examples = [
                Example(prompt.token_ids, [response.token_ids for response in group])
                for prompt, group in zip(prompts, groups, strict=True)
            ]
            scores = self.reward_model.score_examples(examples)
        else:
            scores = self.reward_model.score(
                [prompt.messages for prompt in prompts],
                [[decode_response(self.policy_tokenizer, r.token_ids) for r in group] for group in groups],
                ended=[[response.has_eos for response in group] for group in groups],
            )
        return [score for group in scores for score in group]

    def score_parts(self, prompts: Sequence[Prompt], groups: Sequence[Sequence[SampledResponse]]) -> Scored:
        """As `score`, with what the scores are made of."""
        return Scored(scores=self.score(prompts, groups))

    def close(self) -> None:
        """End what it started; the run does no more scoring."""

    @property
    def further_scorers(self) -> Mapping[str, "RolloutScorer"]:
        """Other reward models that take part in the score, by part (reward_sources.CombinedScorer)."""
        return {}


def inference_batches(
    examples: Sequence[Example], *, layout: Layout, max_tokens: int, pad_id: int, device: torch.device
) -> list[tuple[tuple[int, ...], TokenBatch]]:
    """(indices into `examples`, batch) for every example once, on this rank alone."""
    shapes = [example_size(example, layout) for example in examples]
    return [
        (
            micro.indices,
            collate([examples[i] for i in micro.indices], layout=layout, pad_id=pad_id, device=device),
        )
        for micro in micro_batches(shapes, range(len(shapes)), max_tokens=max_tokens)
    ]


def generate_rollouts(
    policy: InferenceModel | None,
    prompts: Sequence[Prompt],
    scorer: RolloutScorer,
    request: SamplingRequest,
    *,
    distributed: DistributedContext,
    before_token: Callable[[], None] = lambda: None,
    sample: Sampler | None = None,
    guidance: Guidance | None = None,
) -> list[Rollout]:
    """Every rank samples its share of the prompts; all ranks return all rollouts, scored, in prompt order. `sample`:
    see sample_groups.
    """
    tokenizer = scorer.policy_tokenizer
    groups = sample_groups(
        policy,
        prompts,
        tokenizer,
        request,
        distributed=distributed,
        before_token=before_token,
        sample=sample,
        guidance=guidance,
    )
    return score_rollouts(prompts, groups, scorer)


def sample_groups(
    policy: InferenceModel | None,
    prompts: Sequence[Prompt],
    tokenizer: Any,
    request: SamplingRequest,
    *,
    distributed: DistributedContext,
    before_token: Callable[[], None] = lambda: None,
    sample: Sampler | None = None,
    guidance: Guidance | None = None,
) -> list[list[SampledResponse]]:
    """The responses to every prompt, on all ranks; every rank samples its share.

    `sample` takes the place of the policy's own sampling, and the policy may be None; every rank calls it, with prompts
    or without. `guidance`: a critic that leads the policy's sampling.
    """
    n_samples = request.n_samples
    local_prompts = prompts[distributed.rank :: distributed.world_size]  # there may be none
    if sample is not None:
        responses = sample(local_prompts)
    else:
        assert policy is not None
        responses = policy.infer_alone(
            sample_responses,
            [(prompt.prompt_id, prompt.token_ids) for prompt in local_prompts],
            request,
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            before_token=before_token,
            guidance=guidance,
        )
    if distributed.world_size > 1:
        responses = _gather_responses(responses, len(prompts), n_samples, distributed)
    return [responses[start : start + n_samples] for start in range(0, len(responses), n_samples)]


def score_rollouts(
    prompts: Sequence[Prompt], groups: Sequence[Sequence[SampledResponse]], scorer: RolloutScorer
) -> list[Rollout]:
    """The responses of every prompt with their scores, in order; every rank calls with all of them."""
    scored = scorer.score_parts(prompts, groups)
    responses = [(prompt, own) for prompt, group in zip(prompts, groups, strict=True) for own in group]
    return [
        Rollout(
            prompt=prompt,
            response=response,
            score=score,
            parts={name: values[row] for name, values in scored.parts.items()},
            step_rewards=tuple(scored.step_rewards[row]) if scored.step_rewards else (),
        )
        for row, ((prompt, response), score) in enumerate(zip(responses, scored.scores, strict=True))
    ]


def _gather_responses(
    responses: list[SampledResponse], n_prompts: int, n_samples: int, distributed: DistributedContext
) -> list[SampledResponse]:
    """Rank r sampled prompts r, r + world size, ...; back in the order of the prompts."""
    shares = distributed.gather_objects(responses)
    gathered = []
    for prompt in range(n_prompts):
        start = prompt // distributed.world_size * n_samples
        gathered += shares[prompt % distributed.world_size][start : start + n_samples]
    return gathered


def rollouts_to_examples(rollouts: Sequence[Rollout], n_samples: int) -> list[Example]:
    """One example a prompt, its n samples sharing the prompt."""
    return [
        Example(
            rollouts[start].prompt.token_ids,
            [rollout.response.token_ids for rollout in rollouts[start : start + n_samples]],
        )
        for start in range(0, len(rollouts), n_samples)
    ]


def self_check_examples(prompts: Sequence[Prompt], n_samples: int) -> list[Example]:
    """A few rows of the shapes to come, for the packing self-check before anything is sampled: tails of other
    prompts stand in for responses.
    """
    probes = prompts[: max(4, n_samples)]
    tails = [prompt.token_ids[-8:] for prompt in probes]
    return [
        Example(prompt.token_ids, [tails[(i + k) % len(tails)] for k in range(n_samples)])
        for i, prompt in enumerate(probes[:4])
    ]


def part_means(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Mean of every part over responses; nothing where the scores have no parts."""
    names = rollouts[0].parts if rollouts else ()
    return {name: math.fsum(rollout.parts[name] for rollout in rollouts) / len(rollouts) for name in names}


def part_texts(rollout: Rollout) -> dict[str, str]:
    """The parts of a score beside its text in samples.jsonl."""
    return {f"score_{name}": f"{value:.4f}" for name, value in rollout.parts.items()}
