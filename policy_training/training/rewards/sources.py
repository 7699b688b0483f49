"""One score a response from several reward models and functions (options: reward_config.RewardSourcesOptions).

Pure functions on float64 tensors, and the scorer that calls models and functions. Suffixes: M models (the first is the
one that `reward_model_path` names), N responses in the order of the prompts and of the samples of each.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from learning.checkpoints import DataclassState, Stateful
from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.run_directory import JUDGE_FILE
from learning.interface.training_options import BatchOptions, ModelSource, RuntimeOptions
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.loading import load_reward_model
from learning.models.tokenization import decode_response
from learning.run_context import RunContext
from policy_training.training.reward_config import (
    JUDGE_PART,
    MAIN_PART,
    RewardSourcesOptions,
    function_key,
    part_key,
)
from policy_training.training.rewards.function_calls import Reward, RewardFunction
from policy_training.training.rewards.judging import Judge, JudgedAnswers
from policy_training.training.rewards.prompt_records import record_of
from policy_training.training.rollouts.rollouts import (
    InferenceModel,
    Prompt,
    Rollout,
    RolloutScorer,
    Scored,
    generate_rollouts,
)
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest
from policy_training.training.rollouts.step_rewards import TokenReward, at_tokens
from policy_training.training.servers.requests import ServerUnavailable

SPREAD = "model_spread"  # the part that says how far the models of an ensemble are apart


def weighted_sum(scores_MN: Tensor, weights_M: Tensor) -> Tensor:
    """sum_m w_m r_m: (N,)."""
    return (weights_M[:, None] * scores_MN).sum(dim=0)


def safety_gate(
    helpfulness_N: Tensor, safety_N: Tensor, is_risky_N: Tensor, *, safety_logit: float
) -> Tensor:
    """The safety score where the prompt is risky or the score is below `safety_logit`, else the helpfulness: (N,).

    Llama 2, 3.2.3: R_c = R_s if is_safety(p) or R_s < 0.15, else R_h, for R = sigmoid(score). The policy's reward is
    logit(R_c), which is the chosen score itself; so all here are logits, the threshold too.
    """
    return torch.where(is_risky_N | (safety_N < safety_logit), safety_N, helpfulness_N)


def model_spread(scores_MN: Tensor) -> Tensor:
    """Standard deviation (of the population) over the models: (N,)."""
    return scores_MN.std(dim=0, unbiased=False)


def ensemble(scores_MN: Tensor, *, spread_coefficient: float) -> Tensor:
    """mean_m r_m - k std_m r_m: (N,). Coste et al. (2023) subtract the variance; the standard deviation keeps the
    units of the scores.
    """
    return scores_MN.mean(dim=0) - spread_coefficient * model_spread(scores_MN)


def whiten_scores(scores_N: Tensor) -> Tensor:
    """Minus their mean, divided by their standard deviation (of the population); zeros where all are the same."""
    deviation = scores_N.std(unbiased=False)
    centred_N = scores_N - scores_N.mean()
    return centred_N / deviation if float(deviation) > 1e-12 else torch.zeros_like(scores_N)


@dataclass
class ModelScales(DataclassState):
    """Mean and standard deviation of each model's scores, by part; empty until they are measured."""

    means: dict[str, float] = field(default_factory=dict)
    deviations: dict[str, float] = field(default_factory=dict)

    def measure(self, parts: Mapping[str, Sequence[float]]) -> None:
        """Raises UserError for a model that says the same of every response."""
        for name, values in parts.items():
            exact = torch.tensor(values, dtype=torch.float64)
            deviation = float(exact.std(unbiased=False))
            if not deviation > 1e-9:
                raise UserError(
                    f"config.rewards.normalize_models: {name} gives all {len(values)} responses the same score, so it "
                    "has no spread to divide by; leave it out, or set normalize_models to false"
                )
            self.means[name], self.deviations[name] = float(exact.mean()), deviation

    def apply(self, name: str, scores_N: Tensor) -> Tensor:
        if name not in self.means:
            return scores_N
        return (scores_N - self.means[name]) / self.deviations[name]


class CombinedScorer(RolloutScorer):
    """The reward model that `reward_model_path` names, with the further models and functions of the options.

    As a RolloutScorer it is the first model; its score is the combined one.
    """

    def __init__(
        self,
        path: str,
        policy_tokenizer: Any,
        options: RewardSourcesOptions,
        *,
        policy_batch: BatchOptions,
        batch: BatchOptions,
        runtime: RuntimeOptions,
        distributed: DistributedContext,
        load_model: Callable[[ModelSource, Any], Any] = load_reward_model,
        judge_report_to: Path | None = None,
    ) -> None:
        shared: dict[str, Any] = {
            "policy_batch": policy_batch,
            "runtime": runtime,
            "distributed": distributed,
            "load_model": load_model,
        }
        super().__init__(path, policy_tokenizer, batch=batch, **shared)
        self.options, self.distributed = options, distributed
        self.functions = [RewardFunction(part) for part in options.functions]
        self.further: dict[str, RolloutScorer] = {}
        for number, part in enumerate(options.models):
            if not part.path:
                raise UserError(
                    f"config.rewards.models[{number}].path: missing; name the folder of “{part.name or part.criterion}”"
                )
            self.further[part_key(part.name)] = RolloutScorer(
                part.path, policy_tokenizer, batch=part.batch or batch, **shared
            )
        self.scales = ModelScales()
        self.judge: Judge | None = None
        if options.judge.server.name and distributed.is_main:  # it alone asks
            self.judge = Judge(options.judge, report_to=judge_report_to)

    @property
    def further_scorers(self) -> Mapping[str, RolloutScorer]:
        return self.further

    def choose_layout(self, prompts: Sequence[Prompt], n_samples: int) -> None:
        if self.options.judge.server.name and n_samples < 2:
            raise UserError(
                "config.rewards.judge compares a prompt's answers with each other, and there is one of each; set "
                "rollout.samples_per_prompt to at least 2"
            )
        super().choose_layout(prompts, n_samples)
        for scorer in self.further.values():
            scorer.choose_layout(prompts, n_samples)

    def model_scores(
        self, prompts: Sequence[Prompt], groups: Sequence[Sequence[SampledResponse]]
    ) -> dict[str, list[float]]:
        """What each model says as it is, by part."""
        parts = {MAIN_PART: super().score(prompts, groups)}
        return parts | {name: scorer.score(prompts, groups) for name, scorer in self.further.items()}

    def score(self, prompts: Sequence[Prompt], groups: Sequence[Sequence[SampledResponse]]) -> list[float]:
        return self.score_parts(prompts, groups).scores

    def score_parts(self, prompts: Sequence[Prompt], groups: Sequence[Sequence[SampledResponse]]) -> Scored:
        """The combined scores, and every part of them as its model or function gave it."""
        parts = self.model_scores(prompts, groups)
        is_risky_N = torch.tensor(
            [
                self.options.risky_tag in prompt.tags
                for prompt, group in zip(prompts, groups, strict=True)
                for _ in group
            ],
            dtype=torch.bool,
        )
        models_MN = torch.stack(
            [self.scales.apply(name, torch.tensor(s, dtype=torch.float64)) for name, s in parts.items()]
        )
        total_N = self._combine(models_MN, is_risky_N)
        if len(parts) > 1 and self.options.combination == "ensemble":
            parts[SPREAD] = model_spread(models_MN).tolist()
        steps: list[list[TokenReward]] = [[] for _ in total_N]
        for function in self.functions:
            rewards = self._call(function, prompts, groups)
            sums = [
                math.fsum(value for _, value in reward) if isinstance(reward, list) else reward
                for reward in rewards
            ]
            parts[function_key(function.part.function)] = sums
            total_N = total_N + function.part.weight * torch.tensor(sums, dtype=torch.float64)
            responses = [response for group in groups for response in group]
            for own, response, reward in zip(steps, responses, rewards, strict=True):
                if isinstance(reward, list):
                    found = at_tokens(self.policy_tokenizer, response.token_ids, reward)
                    own += [(place, function.part.weight * value) for place, value in found]
        # Answers that have no other one beside them, in evaluations between the steps, are not judged.
        if self.options.judge.server.name and all(len(group) > 1 for group in groups):
            judged = self._judge(prompts, groups)
            parts[JUDGE_PART] = judged.rewards
            parts[f"{JUDGE_PART}_ties"] = judged.ties
            parts[f"{JUDGE_PART}_not_understood"] = judged.not_understood
            total_N = total_N + self.options.judge.weight * torch.tensor(judged.rewards, dtype=torch.float64)
        return Scored(scores=total_N.tolist(), parts=parts, step_rewards=steps if any(steps) else ())

    def _combine(self, scores_MN: Tensor, is_risky_N: Tensor) -> Tensor:
        options = self.options
        if options.combination == "safety_gate":
            return safety_gate(scores_MN[0], scores_MN[1], is_risky_N, safety_logit=options.safety_logit)
        if options.combination == "ensemble":
            return ensemble(scores_MN, spread_coefficient=options.spread_coefficient)
        weights_M = torch.tensor(
            [options.weight, *(part.weight for part in options.models)], dtype=torch.float64
        )
        return weighted_sum(scores_MN, weights_M)

    def _call(
        self,
        function: RewardFunction,
        prompts: Sequence[Prompt],
        groups: Sequence[Sequence[SampledResponse]],
    ) -> list[Reward]:
        """Rank 0 calls and tells the others, its errors too: all must leave together."""
        found: list[Reward] | str = []
        if self.distributed.is_main:
            texts = [decode_response(self.policy_tokenizer, r.token_ids) for group in groups for r in group]
            asked = [prompt for prompt, group in zip(prompts, groups, strict=True) for _ in group]
            try:
                found = function([p.messages for p in asked], texts, [record_of(p) for p in asked])
            except UserError as error:
                found = str(error)
        found = self.distributed.broadcast_object(found)
        if isinstance(found, str):
            raise UserError(found)
        return found

    def _judge(self, prompts: Sequence[Prompt], groups: Sequence[Sequence[SampledResponse]]) -> JudgedAnswers:
        """As `_call`."""
        found: JudgedAnswers | str = ""
        if self.judge is not None:
            texts = [[decode_response(self.policy_tokenizer, r.token_ids) for r in group] for group in groups]
            try:
                found = self.judge.judge_groups([prompt.messages for prompt in prompts], texts)
            except (UserError, ServerUnavailable) as error:
                found = str(error)
        found = self.distributed.broadcast_object(found)
        if isinstance(found, str):
            raise UserError(found)
        return found

    def close(self) -> None:
        if self.judge is not None:
            self.judge.close()
        for function in self.functions:
            function.close()


def load_scorer(
    context: RunContext[Any],
    policy_tokenizer: Any,
    distributed: DistributedContext,
    *,
    rewards: RewardSourcesOptions | None = None,
    load_model: Callable[[ModelSource, Any], Any] = load_reward_model,
) -> RolloutScorer:
    """What scores the responses of a run whose options name a reward model (`reward_model_path`, `reward_model_batch`,
    `batch`, `rewards`, `runtime`): this model alone, or with what `rewards` adds (None: those of the run's options).

    Raises UserError.
    """
    config = context.options
    options: RewardSourcesOptions = config.rewards if rewards is None else rewards
    batch: BatchOptions = config.reward_model_batch or config.batch  # in the reward model's tokens
    shared: dict[str, Any] = {
        "policy_batch": config.batch,
        "batch": batch,
        "runtime": config.runtime,
        "distributed": distributed,
        "load_model": load_model,
    }
    path = config.reward_model_path
    if options.is_single:
        scorer = RolloutScorer(path, policy_tokenizer, **shared)
    else:
        scorer = CombinedScorer(
            path, policy_tokenizer, options, judge_report_to=context.path / JUDGE_FILE, **shared
        )
    models = {"reward_model_batch": scorer.reward_model} | {
        f"rewards.models.{name}": further.reward_model for name, further in scorer.further_scorers.items()
    }
    asked = {f"rewards.models.{part_key(part.name)}": part.batch or batch for part in options.models}
    for name, model in models.items():
        model.batch = resolve_micro_batch_tokens(
            context, distributed, asked.get(name, batch), model.model, name=name
        )
    return scorer


def models_by_role(scorer: RolloutScorer) -> dict[str, Any]:
    """The reward models, by what a run's page calls them."""
    further = {
        f"reward_model: {name}": each.reward_model.model for name, each in scorer.further_scorers.items()
    }
    return {"reward_model": scorer.reward_model.model, **further}


def measure_scales(
    scorer: RolloutScorer,
    policy: InferenceModel,
    prompts: Sequence[Prompt],
    request: SamplingRequest,
    *,
    distributed: DistributedContext,
    before_token: Callable[[], None] = lambda: None,
) -> None:
    """Mean and spread of each model's scores on this policy's answers, where the options ask for them and they are not
    known yet.
    """
    if not isinstance(scorer, CombinedScorer) or not scorer.options.normalize_models or scorer.scales.means:
        return
    # The parts are the models' own scores, whatever the scales are.
    rollouts = generate_rollouts(
        policy,
        prompts[: scorer.options.normalization_prompts],
        scorer,
        request,
        distributed=distributed,
        before_token=before_token,
    )
    names = (MAIN_PART, *scorer.further)
    scorer.scales.measure({name: [rollout.parts[name] for rollout in rollouts] for name in names})


def scorer_state(scorer: RolloutScorer) -> dict[str, Stateful]:
    """What a checkpoint keeps of it."""
    if not isinstance(scorer, CombinedScorer):
        return {}
    if scorer.judge is None:
        return {"model_scales": scorer.scales}
    return {"model_scales": scorer.scales, "judge": scorer.judge.totals}


def judge_metrics(scorer: RolloutScorer) -> dict[str, float]:
    """Of a step, on the rank that asks the judge; nothing on others, and without a judge."""
    judge = scorer.judge if isinstance(scorer, CombinedScorer) else None
    return judge.step_metrics() if judge is not None else {}


def scorer_report(scorer: RolloutScorer, judge: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What result.json says of a score that is made of several; nothing of a single reward model's. `judge`: the report
    of a judge that the scorer does not ask itself.
    """
    found: dict[str, Any] = {"judge": dict(judge)} if judge else {}
    if isinstance(scorer, CombinedScorer):
        found |= {
            "combination": scorer.options.combination,
            "model_sha256s": {name: further.sha256s for name, further in scorer.further.items()},
            "functions": [function.part.function for function in scorer.functions],
            "means": scorer.scales.means,
            "standard_deviations": scorer.scales.deviations,
        }
        if scorer.judge is not None:
            found["judge"] = scorer.judge.report()
    return {"rewards": found} if found else {}


def critic_scale(
    rollouts: Sequence[Rollout], processed_scores_N: Tensor, *, reward_shift: float
) -> tuple[float, float]:
    """(shift, scale) with which a critic that starts as the first reward model, value = (output - shift) / scale, has
    the mean and spread of the processed scores where its output has those of that model's scores.
    """
    own_N = torch.tensor([r.parts.get(MAIN_PART, r.score) for r in rollouts], dtype=torch.float64)
    own, processed = float(own_N.std(unbiased=False)), float(processed_scores_N.std(unbiased=False))
    scale = own / processed if own > 1e-9 and processed > 1e-9 else 1.0
    shift = reward_shift + float(own_N.mean()) - scale * float(processed_scores_N.mean())
    return shift, scale
