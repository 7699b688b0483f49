"""What every run of a study starts from: a tokenizer, a pretrained and a fine-tuned policy, its sampled answers, and
reward models from the noisy labels of a seed. Made by the product's own recipes, once, and kept in a folder.
"""

import json
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.experiments import world
from demo.gold_judge import judge
from learning.interface.record_files import read_records
from learning.interface.record_schemas import COMPARISONS, DEMONSTRATIONS, PROMPTS, SAMPLED_RESPONSES, TEXTS
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import (
    BatchOptions,
    ModelArchitecture,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
    TokenizerOptions,
)
from learning.recipe_runner import seed_everything
from learning.run_context import RunContext
from policy_training.training.config import (
    LanguageModelConfig,
    LanguageModelDataOptions,
    SampleConfig,
    SampleOptions,
)
from policy_training.training.sampling import sample
from policy_training.training.supervised import pretrain, sft
from rewardmodel.training import train as reward_model_training
from rewardmodel.training.config import DataOptions, RewardModelConfig

BATCH = BatchOptions(
    max_prompt_tokens=world.MAX_PROMPT_TOKENS,
    max_response_tokens=world.MAX_RESPONSE_TOKENS,
    max_micro_batch_tokens=8192,
)
ARCHITECTURE = ModelArchitecture(
    hidden_size=48,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=32,
    initializer_range=0.05,
)
NEVER = 10**6  # no checkpoints: a run takes seconds
ANSWERS_A_PROMPT = 16  # of the fine-tuned policy, from which the labelled pairs are drawn
HELD_OUT_PAIRS = 200


def run_in_process(module: Any, path: Path, config: Any, **inputs: Any) -> dict[str, Any]:
    """The recipe's result, by the recipe's own code."""
    directory = RunDirectory.create(path, command=module.__name__, config=config, inputs=inputs, replace=True)
    context = RunContext.open(directory, type(config))
    seed_everything(config.runtime)
    try:
        result = module.main(context)
        context.finish(result)
    finally:
        context.release()
    return dict(result)


def runtime(seed: int = 0) -> RuntimeOptions:
    return RuntimeOptions(checkpoint_every_steps=NEVER, seed=seed)


@dataclass(frozen=True)
class Materials:
    folder: Path

    @property
    def pretrained(self) -> ModelSource:
        return ModelSource(path=str(self.folder / "pretrained" / "model"))

    @property
    def policy(self) -> ModelSource:
        return ModelSource(path=str(self.folder / "fine_tuned" / "model"))

    def prompts(self) -> list[dict[str, Any]]:
        return world.prompt_rows(world.questions())

    def texts(self) -> list[dict[str, Any]]:
        rng = random.Random("texts")
        return [
            {"text": world.write_text(rng), "split": "train" if place >= 200 else "validation"}
            for place in range(1200)
        ]

    def answers(self) -> list[Mapping[str, Any]]:
        return list(read_records(self.folder / "answers" / "responses.parquet", SAMPLED_RESPONSES))

    def entropy(self) -> float:
        """Of the fine-tuned policy, nats a token: the mean of -log p over its own answers."""
        return -statistics.fmean(p for row in self.answers() for p in row["logprobs"])

    def prepare(self) -> None:
        """What does not depend on a seed, unless it is there."""
        if not (self.folder / "tokenizer").exists():
            world.save_tokenizer(self.folder / "tokenizer")
        tokenizer = TokenizerOptions(path=str(self.folder / "tokenizer"))
        asked = world.questions()[world.HELD_OUT_PROMPTS :]  # no training sees the others
        scratch = ModelOptions(source=ModelSource(from_scratch=ARCHITECTURE))
        rate = OptimizerOptions(learning_rate=4e-3, warmup_steps=20)
        if not self._is_there("pretrained"):
            # Questions and answers are among it as plain text, without roles and ends: it knows words, not answering.
            rng = random.Random("pretraining")
            talk = [
                {"text": f"{text} {world.write_answer(food, flavour, rng)}", "split": "train"}
                for text, food, flavour in (rng.choice(asked) for _ in range(1000))
            ]
            config = LanguageModelConfig(
                model=scratch,
                optimizer=rate,
                batch=BATCH,
                tokenizer=tokenizer,
                data=LanguageModelDataOptions(examples_per_step=64, steps=200),
                runtime=runtime(),
            )
            self._run("pretrained", pretrain, config, texts=([*self.texts(), *talk], TEXTS))
        if not self._is_there("fine_tuned"):
            rng = random.Random("demonstrations")
            demonstrations = []
            for place in range(4000):
                text, food, flavour = rng.choice(asked)
                demonstrations.append(
                    {
                        "prompt_id": f"d{place}",
                        "prompt": world.user(text),
                        "response": world.write_answer(food, flavour, rng),
                        "author": None,
                        "split": "validation" if place < 64 else "train",
                    }
                )
            config = LanguageModelConfig(
                model=scratch,
                optimizer=rate,
                batch=BATCH,
                tokenizer=tokenizer,
                data=LanguageModelDataOptions(examples_per_step=64, steps=500, texts_share=0.2),
                runtime=runtime(),
            )
            self._run(
                "fine_tuned",
                sft,
                config,
                demonstrations=(demonstrations, DEMONSTRATIONS),
                texts=(self.texts(), TEXTS),
            )
        if not self._is_there("answers"):
            config = SampleConfig(
                policy=self.policy,
                samples_per_prompt=ANSWERS_A_PROMPT,
                sampling=SampleOptions(max_prompt_tokens=8, max_response_tokens=world.MAX_RESPONSE_TOKENS),
                runtime=runtime(),
            )
            self._run("answers", sample, config, prompts=(self.prompts(), PROMPTS))

    def comparisons(self, seed: int, labels: int) -> list[dict[str, Any]]:
        """The noisy judge's labels on pairs of the fine-tuned policy's answers, and 200 more on held-out prompts."""
        split_of = {row["prompt_id"]: row["split"] for row in self.prompts()}
        by_prompt: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.answers():
            by_prompt.setdefault(row["prompt_id"], []).append(row)
        rng, rows = random.Random(f"labels {seed}"), []
        for split, count in (("validation", HELD_OUT_PAIRS), ("train", labels)):
            ids = sorted(key for key in by_prompt if split_of[key] == split)
            while count:
                first, second = rng.sample(by_prompt[rng.choice(ids)], 2)
                if first["text"] == second["text"] or not (first["text"] and second["text"]):
                    continue
                rows.append(_labelled(first, second, split, f"{split}-{count}", rng))
                count -= 1
        return rows

    def reward_model(self, seed: int, *, labels: int = 1000, epochs: float = 3.0) -> tuple[str, float]:
        """(folder, accuracy on held-out pairs), trained unless it is there."""
        name = f"reward_model-{seed}-{labels}-{epochs:g}"
        if not self._is_there(name):
            steps = max(1, math.ceil(epochs * labels / 16))
            config = RewardModelConfig(
                model=ModelOptions(source=self.policy),
                optimizer=OptimizerOptions(
                    learning_rate=2e-3, schedule="linear", min_lr_ratio=0.0, warmup_steps=min(10, steps // 4)
                ),
                data=DataOptions(epochs=None, steps=steps, comparisons_per_step=16),
                batch=BATCH,
                runtime=runtime(seed),
            )
            rows = self.comparisons(seed, labels)
            self._run(name, reward_model_training, config, comparisons=(rows, COMPARISONS))
        result = json.loads((self.folder / name / "result.json").read_text())
        return str(self.folder / name / "model"), float(result["accuracy"])

    def make(self, name: str, module: Any, config: Any, **inputs: Any) -> None:
        """By a recipe, unless it is there."""
        if not self._is_there(name):
            self._run(name, module, config, **inputs)

    def _is_there(self, name: str) -> bool:
        return (self.folder / name / "made").exists()

    def _run(self, name: str, module: Any, config: Any, **inputs: Any) -> None:
        run_in_process(module, self.folder / name, config, **inputs)
        (self.folder / name / "made").touch()


def _labelled(
    first: Mapping[str, Any], second: Mapping[str, Any], split: str, name: str, rng: random.Random
) -> dict[str, Any]:
    """A row of record_schemas.COMPARISONS."""
    pair = [first, second]
    verdict = judge(first["prompt"], [world.render(row["text"]) for row in pair], rng, allow_ties=False)
    best = verdict.tiers[0][0]
    strength = float(verdict.strengths[0])
    return {
        "group_id": name,
        "criterion": "",
        "prompt": first["prompt"],
        "responses": [row["text"] for row in pair],
        "ended": [row["ended"] for row in pair],
        "response_ids": [row["response_id"] for row in pair],
        "ranks": [int(place != best) for place in range(2)],
        "grade": _table(best, strength, -strength),
        "soft_preference": _table(best, 1.0, 0.0),
        "weight": 1.0,
        "n_annotators": 1,
        "agreement": None,
        "annotator_kind": "simulated",
        "round": None,
        "split": split,
    }


def _table(best: int, of_the_better: float, of_the_worse: float) -> Sequence[Sequence[float | None]]:
    table: list[list[float | None]] = [[None, None], [None, None]]
    table[best][1 - best], table[1 - best][best] = of_the_better, of_the_worse
    return table
