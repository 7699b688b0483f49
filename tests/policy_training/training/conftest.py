"""A tiny world for policies: questions about animals, answers that name the animal, sometimes politely."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from learning.distributed import DistributedContext
from learning.interface.options import UserError, options_to_dict
from learning.interface.record_schemas import (
    BENCHMARK_ITEMS,
    COMPARISONS,
    DEMONSTRATIONS,
    DRAWS,
    GIVEN_ANSWERS,
    JUDGE_TASKS,
    PROMPTS,
    STORED_CANDIDATES,
    TEXTS,
)
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelArchitecture,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
    TokenizerOptions,
)
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenization import train_tokenizer
from learning.models.tokenizers import load_tokenizer
from learning.run_context import RunContext
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.ppo.config import AlgorithmOptions, CriticOptions, PPOConfig, RolloutOptions
from policy_training.training.ppo.setup import PPOState
from policy_training.training.ptx import PtxMix
from policy_training.training.rollouts.rollouts import RolloutScorer, tokenize_prompts
from tests.learning.fork_server import shared_fork_server
from tests.policy_training.training.ppo_states import build_state

ROOT = Path(__file__).resolve().parents[3]
TRAINING = ROOT / "policy_training" / "training"
ANIMALS = ("fox", "owl", "bear", "frog", "whale", "mouse")
BATCH = BatchOptions(max_prompt_tokens=24, max_response_tokens=16, max_micro_batch_tokens=256)
FRESH = ModelArchitecture(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
)


def question(animal: str, number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What is a {animal}, please? {number}"}]


def demonstration_rows(n: int, *, seed: int = 0, heldout: int = 4) -> list[dict]:
    rng = random.Random(seed)
    rows = []
    for index in range(n):
        animal = rng.choice(ANIMALS)
        text = (
            f"{'Sure! ' if rng.random() < 0.5 else ''}The {animal} is {rng.choice(('small', 'big', 'kind'))}."
        )
        rows.append(
            {
                "prompt_id": f"d{index}",
                "prompt": question(animal, index),
                "response": text,
                "author": None,
                "split": "validation" if index < heldout else "train",
            }
        )
    return rows


def prompt_rows(n: int, *, heldout: int = 4) -> list[dict]:
    return [
        {
            "prompt_id": f"p{index}",
            "messages": question(ANIMALS[index % len(ANIMALS)], index),
            "kind": "plain",
            "split": "validation" if index < heldout else "train",
            "author": None,
            "tags": [],
        }
        for index in range(n)
    ]


def text_rows(n: int, *, heldout: int = 0) -> list[dict]:
    return [
        {
            "text": f"Once upon a time a {ANIMALS[index % 6]} met a {ANIMALS[(index + 1) % 6]}. {index}",
            "split": "test" if index < heldout else "train",
        }
        for index in range(n)
    ]


@pytest.fixture(scope="session")
def tokenizer():
    rows = demonstration_rows(80)
    texts = [text for row in rows for text in (row["prompt"][0]["content"], row["response"])]
    return train_tokenizer(texts, 320)


@pytest.fixture(scope="session")
def policy_path(tmp_path_factory, tokenizer) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("models") / "policy"
    save_model(load_policy(ModelSource(from_scratch=FRESH), tokenizer), tokenizer, path)
    return path


@pytest.fixture(scope="session")
def reward_model_path(tmp_path_factory, tokenizer, policy_path) -> Path:
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("models") / "reward_model"
    model = load_reward_model(ModelSource(path=str(policy_path)), tokenizer)
    model.config.reward_shift = 0.25
    save_model(model, tokenizer, path)
    return path


def sft_config(**changes) -> LanguageModelConfig:
    values = {
        "model": ModelOptions(source=ModelSource(from_scratch=FRESH)),
        "optimizer": OptimizerOptions(learning_rate=5e-3, warmup_steps=2),
        "batch": BATCH,
        "data": LanguageModelDataOptions(examples_per_step=16, steps=30),
        "tokenizer": TokenizerOptions(vocabulary_size=320),
        "evaluation": EvaluationOptions(logged_samples=2),
        "runtime": RuntimeOptions(checkpoint_every_steps=10),
    }
    return LanguageModelConfig(**(values | changes))


def ppo_config(policy_path: Path, reward_model_path: Path, **changes) -> PPOConfig:
    values = {
        "policy": ModelOptions(source=ModelSource(path=str(policy_path))),
        "reward_model_path": str(reward_model_path),
        "policy_optimizer": OptimizerOptions(learning_rate=1e-3, schedule="linear"),
        "critic_optimizer": OptimizerOptions(learning_rate=1e-3, schedule="constant"),
        "batch": BATCH,
        "rollout": RolloutOptions(steps=6, prompts_per_step=4, samples_per_prompt=4),
        "algorithm": AlgorithmOptions(responses_per_minibatch=8, ppo_epochs=2, whiten_advantages=True),
        "critic": CriticOptions(max_pretraining_updates=4, plateau_window=1),
        "evaluation": EvaluationOptions(max_examples=4),
        "runtime": RuntimeOptions(checkpoint_every_steps=2),
    }
    return PPOConfig(**(values | changes))


def module_of(command: str) -> str:
    """What runs `ppo`, `sft` ...: a package's recipe, or a module of a package of several."""
    (path,) = {*TRAINING.glob(f"{command}/recipe.py"), *TRAINING.glob(f"*/{command}.py")}
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def create_run(path: Path, command: str, config, **rows) -> RunDirectory:
    schemas = {
        "prompts": PROMPTS,
        "demonstrations": DEMONSTRATIONS,
        "texts": TEXTS,
        "draws": DRAWS,
        "comparisons": COMPARISONS,
        "items": BENCHMARK_ITEMS,
        "candidates": STORED_CANDIDATES,
        "tasks": JUDGE_TASKS,
        "answers": GIVEN_ANSWERS,
    }
    return RunDirectory.create(
        path,
        command=module_of(command),
        config=options_to_dict(config),
        inputs={name: (value, schemas[name]) for name, value in rows.items()},
    )


def start(command: str, run: RunDirectory) -> subprocess.Popen:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "DS_ACCELERATOR": "cpu",
    }
    return subprocess.Popen(
        [sys.executable, "-m", module_of(command), str(run.path)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(run: RunDirectory, *, expected: int = 0, processes: int = 1) -> str:
    """Run its command to the end in processes of its own; their stderr."""
    return shared_fork_server().run(run, expected=expected, processes=processes)


def in_process(module, options_cls, run) -> dict:
    """The recipe's main in this process: what run_recipe does without signals, logging and exit codes."""
    torch.manual_seed(0)
    context = RunContext.open(run, options_cls)
    try:
        result = module.main(context)
        context.finish(result)
    except UserError as error:
        context.close("user_error", str(error))
        raise
    finally:
        context.release()
    return run.result()


@pytest.fixture
def small_state(policy_path, reward_model_path, tmp_path):
    """A factory of runs on the tiny world's models; dropout probabilities are put into the policy's configuration."""

    def build(*, dropout: float = 0.0, ptx: PtxMix | None = None, **changes) -> PPOState:
        config = ppo_config(policy_path, reward_model_path, **changes)
        source = ModelSource(path=str(policy_path))
        tokenizer = load_tokenizer(source)
        if dropout:
            shutil.copytree(policy_path, tmp_path / "with_dropout")
            source = ModelSource(path=str(tmp_path / "with_dropout"))
            written = json.loads((tmp_path / "with_dropout/config.json").read_text())
            (tmp_path / "with_dropout/config.json").write_text(
                json.dumps(written | {"attention_dropout": dropout})
            )
        policy = load_policy(source, tokenizer)
        scorer = RolloutScorer(
            str(reward_model_path),
            tokenizer,
            policy_batch=BATCH,
            batch=BATCH,
            runtime=config.runtime,
            distributed=DistributedContext.start(config.runtime),
        )
        return build_state(
            config,
            policy,
            load_policy(source, tokenizer),
            load_reward_model(ModelSource(path=str(reward_model_path)), tokenizer),
            scorer,
            tokenize_prompts(prompt_rows(8), tokenizer, BATCH.max_prompt_tokens),
            ptx=ptx,
        )

    return build
