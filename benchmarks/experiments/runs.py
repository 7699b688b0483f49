"""One run of a configuration with a seed, measured along the way by the proxy it learns from and by the gold judge."""

import hashlib
import json
import math
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.experiments import world
from benchmarks.experiments.configurations import (
    CRITIC_RATE,
    LEARNING_RATE,
    RESPONSES,
    STEPS,
    Configuration,
    has_kl_penalty,
)
from benchmarks.experiments.materials import ARCHITECTURE, BATCH, Materials, run_in_process
from learning.interface.record_schemas import PROMPTS, TEXTS
from learning.models.tokenization import decode_response
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.ppo import recipe as ppo

MODULES = {"ppo": ppo, "policy_gradient": policy_gradient}
WATCHED = (
    "kl",
    "response_tokens",
    "response_perplexity",
    "entropy",
    "explained_variance",
    "gradient_norm",
    "clip_fraction",
)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Answers = list[tuple[float, float]]  # (proxy, gold) of each response


class Reported(NamedTuple):
    step: int
    answers: Answers
    seconds: float  # of the processor, since the recipe began


def answer_of(rollout: Any, tokenizer: Any) -> tuple[float, float]:
    return rollout.score, world.gold(
        rollout.prompt.text,
        decode_response(tokenizer, rollout.response.token_ids),
        ended=rollout.response.has_eos,
    )


@contextmanager
def answers_kept(module: Any) -> Iterator[list[Reported]]:
    """Everything the recipe reports texts of; the last entry is the held-out evaluation."""
    kept: list[Reported] = []
    reported, begun = module.log_samples, time.process_time()

    def keep(state: Any, rollouts: Sequence[Any], step: int, evaluation: Any = None) -> None:
        kept.append(
            Reported(
                step,
                [answer_of(rollout, state.tokenizer) for rollout in rollouts],
                time.process_time() - begun,
            )
        )
        reported(state, rollouts, step, evaluation)

    module.log_samples = keep
    try:
        yield kept
    finally:
        module.log_samples = reported


def run_key(configuration: Configuration, seed: int) -> str:
    """Changes with whatever the configuration or the world asks for."""
    asked = (configuration, seed, STEPS, RESPONSES, LEARNING_RATE, CRITIC_RATE, BATCH, ARCHITECTURE)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def execute(configuration: Configuration, seed: int, folder: Path) -> dict[str, Any]:
    """A row of results; the run's folder is removed when it is measured."""
    torch.set_num_threads(1)
    materials = Materials(folder / "materials")
    module = MODULES[configuration.recipe]
    options = configuration.options(materials, seed)
    _, accuracy = materials.reward_model(seed, labels=configuration.labels, epochs=configuration.epochs)
    path = folder / "runs" / run_key(configuration, seed)
    inputs: dict[str, Any] = {"prompts": (materials.prompts(), PROMPTS)}
    if configuration.recipe == "ppo" and options.algorithm.ptx_coefficient:
        inputs["texts"] = (materials.texts(), TEXTS)
    begun = time.process_time()
    row: dict[str, Any] = {
        "configuration": configuration.name,
        "seed": seed,
        "key": run_key(configuration, seed),
    }
    try:
        with answers_kept(module) as kept:
            result = run_in_process(module, path, options, **inputs)
        row["seconds"] = round(time.process_time() - begun, 2)
        metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        row |= {
            "accuracy": accuracy,
            "kl_penalty": has_kl_penalty(options),
            "sampled": sum(line["responses"] for line in metrics),
            "steps": _curve(metrics, kept[:-1]),
            "end": summary(kept[-1].answers)
            | {
                "kl": result["kl"],
                "tokens": result["tokens_after"],
                "perplexity": result["perplexity_after"],
            },
            "proxy_before": result["score_before"],
            "text_perplexity": text_perplexity(path / "model", materials),
        }
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return row


def _curve(metrics: Sequence[dict[str, Any]], kept: Sequence[Reported]) -> list[dict[str, Any]]:
    """The policy's steps, critic pre-training left out: of the training prompts' responses."""
    by_step = {reported.step: reported for reported in kept}
    steps = []
    for line in metrics:
        if line.get("phase", "policy") != "policy":
            continue
        found = by_step[line["step"]]
        steps.append(
            summary(found.answers)
            | {name: line.get(name) for name in WATCHED}
            | {"seconds": round(found.seconds, 3)}
        )
    return steps


def mean_gold(answers: Answers) -> float:
    return statistics.fmean(gold for _, gold in answers)


def summary(answers: Answers) -> dict[str, Any]:
    proxies, golds = sorted(proxy for proxy, _ in answers), [gold for _, gold in answers]
    return {
        "proxy": statistics.fmean(proxies),
        "gold": statistics.fmean(golds),
        "proxy_quantiles": [proxies[min(len(proxies) - 1, math.floor(q * len(proxies)))] for q in QUANTILES],
    }


def text_perplexity(model: Path, materials: Materials) -> float:
    """Of held-out pretraining texts, a token: what the policy has forgotten (the alignment tax)."""
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model)
    total, tokens = 0.0, 0
    for row in materials.texts()[:100]:
        ids = torch.tensor(
            [[tokenizer.bos_token_id, *tokenizer(row["text"], add_special_tokens=False)["input_ids"]]]
        )
        with torch.no_grad():
            logprobs = torch.log_softmax(policy(ids).logits[0, :-1].float(), dim=-1)
        total -= float(logprobs.gather(1, ids[0, 1:, None]).sum())
        tokens += ids.shape[1] - 1
    return math.exp(total / tokens)
