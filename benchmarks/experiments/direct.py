"""Runs that learn without a step's rollouts: top-tier SFT, best-of-n fine-tuning and DPO.

They are measured as the others are, by the proxy and the gold judge on the held-out questions, and along the way
wherever their recipe logs responses to read.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.experiments.configurations import EVALUATION, Configuration
from benchmarks.experiments.materials import BATCH, Materials, run_in_process
from benchmarks.experiments.runs import answer_of, run_key, summary, text_perplexity
from learning.distributed import DistributedContext
from learning.interface.record_schemas import COMPARISONS, DEMONSTRATIONS, PROMPTS
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from policy_training.training.best_of_n import recipe as best_of_n
from policy_training.training.config import SamplingOptions
from policy_training.training.dpo import recipe as dpo
from policy_training.training.rollouts.policy_evaluation import evaluate_policy
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    RolloutScorer,
    tokenize_prompts,
)
from policy_training.training.rollouts.sampler import SamplingRequest
from policy_training.training.supervised import sft
from policy_training.training.supervised import training as supervised

MODULES = {"dpo": dpo, "sft": sft, "best_of_n": best_of_n}
LOGS_SAMPLES = {"dpo": dpo, "sft": supervised, "best_of_n": supervised}  # the module whose function is called


class Meter:
    """What a policy's held-out answers are worth, always with the same noise, as the recipes with rollouts measure."""

    def __init__(self, materials: Materials, reward_model: str, options: Any) -> None:
        self.runtime = options.runtime
        self.distributed = DistributedContext.start(options.runtime)
        self.tokenizer = load_tokenizer(materials.policy)
        self.reference = FrozenModel(
            load_policy(materials.policy, self.tokenizer), self.runtime, self.distributed.device
        )
        self.scorer = RolloutScorer(
            reward_model,
            self.tokenizer,
            policy_batch=BATCH,
            batch=BATCH,
            runtime=self.runtime,
            distributed=self.distributed,
        )
        rows = [row for row in materials.prompts() if row["split"] != "train"]
        self.prompts = tokenize_prompts(
            rows[: EVALUATION.max_examples], self.tokenizer, BATCH.max_prompt_tokens
        )

    def measure(self, policy: Any) -> dict[str, Any]:
        evaluation, rollouts = evaluate_policy(
            policy,
            self.reference,
            self.prompts,
            self.scorer,
            SamplingRequest(
                n_samples=1,
                max_response_tokens=BATCH.max_response_tokens,
                options=SamplingOptions(),
                seed=f"{self.runtime.seed}/evaluation",
            ),
            max_micro_batch_tokens=BATCH.max_micro_batch_tokens,
            layout="padded",
            distributed=self.distributed,
        )
        return summary([answer_of(rollout, self.tokenizer) for rollout in rollouts]) | {
            "kl": evaluation.kl,
            "response_tokens": evaluation.tokens,
            "response_perplexity": evaluation.perplexity,
        }


@contextmanager
def measured(module: Any, meter: Meter) -> Iterator[list[dict[str, Any]]]:
    """Measures at the start and wherever `module` would log responses, with the seconds of the processor up to there;
    what measuring takes is not counted.
    """
    logged, spent = module.log_sample_responses, 0.0
    begun = time.process_time()
    kept = [meter.measure(meter.reference) | {"step": 0, "seconds": 0.0}]
    spent += time.process_time() - begun

    def measure(context: Any, engine: Any, tokenizer: Any, prompts: Any, step: int) -> None:
        nonlocal spent
        arrived = time.process_time()
        kept.append(meter.measure(engine) | {"step": step, "seconds": round(arrived - begun - spent, 3)})
        spent += time.process_time() - arrived

    module.log_sample_responses = measure
    try:
        yield kept
    finally:
        module.log_sample_responses = logged


def execute(configuration: Configuration, seed: int, folder: Path) -> dict[str, Any]:
    """A row of results, like those of runs.execute; its steps are those of the optimizer."""
    torch.set_num_threads(1)
    materials = Materials(folder / "materials")
    options = configuration.options(materials, seed)
    reward_model, accuracy = materials.reward_model(
        seed, labels=configuration.labels, epochs=configuration.epochs
    )
    path = folder / "runs" / run_key(configuration, seed)
    meter = Meter(materials, reward_model, options)
    try:
        with measured(LOGS_SAMPLES[configuration.recipe], meter) as kept:
            run_in_process(
                MODULES[configuration.recipe], path, options, **_inputs(configuration, materials, seed)
            )
        end = kept[-1]
        return {
            "configuration": configuration.name,
            "seed": seed,
            "key": run_key(configuration, seed),
            "seconds": end["seconds"],
            "accuracy": accuracy,
            "kl_penalty": False,
            "sampled": _sampled(configuration, options, materials),
            "steps": kept,
            "end": {
                **{name: end[name] for name in ("proxy", "gold", "proxy_quantiles", "kl")},
                "tokens": end["response_tokens"],
                "perplexity": end["response_perplexity"],
            },
            "proxy_before": kept[0]["proxy"],
            "text_perplexity": text_perplexity(path / "model", materials),
        }
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _sampled(configuration: Configuration, options: Any, materials: Materials) -> int:
    """Answers: of best-of-n the candidates of the questions it learns from."""
    if configuration.recipe != "best_of_n":
        return 0
    return options.candidates.samples_per_prompt * sum(row["split"] == "train" for row in materials.prompts())


def _inputs(configuration: Configuration, materials: Materials, seed: int) -> Mapping[str, Any]:
    """The same labels as the seed's reward model has: the pairs themselves, or of each pair the answer put first."""
    if configuration.recipe == "best_of_n":
        return {"prompts": (materials.prompts(), PROMPTS)}
    comparisons = materials.comparisons(seed, configuration.labels)
    if configuration.recipe == "dpo":
        return {"comparisons": (comparisons, COMPARISONS)}
    chosen = [
        {
            "prompt_id": row["group_id"],
            "prompt": row["prompt"],
            "response": row["responses"][row["ranks"].index(0)],
            "author": None,
            "split": row["split"],
        }
        for row in comparisons
        if row["ended"][row["ranks"].index(0)]
    ]
    return {"demonstrations": (chosen, DEMONSTRATIONS)}
