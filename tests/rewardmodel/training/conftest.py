"""Data for tiny reward models: prompts ask for a colour and a thing, good answers name both politely."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from learning.interface.options import options_to_dict
from learning.interface.record_schemas import COMPARISONS, DEMONSTRATIONS
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelArchitecture,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.models.files import save_model
from learning.models.loading import load_policy
from learning.models.tokenization import train_tokenizer
from rewardmodel.training.config import DataOptions, RewardModelConfig
from tests.learning.fork_server import shared_fork_server

ROOT = Path(__file__).resolve().parents[3]
COLOURS = ("red", "blue", "green", "white", "black")
THINGS = ("ball", "boat", "house", "stone", "tree")


def answer(rng, colour, thing):
    """An answer and how good it is: 1 for the thing, 1 for the colour, -1 for being rude."""
    named, coloured, rude = rng.random() < 0.6, rng.random() < 0.6, rng.random() < 0.4
    text = f"Here is the {colour if coloured else 'old'} {thing if named else 'box'}."
    return (f"Whatever. {text}" if rude else text), named + coloured - rude


def comparison_rows(n, *, size=2, seed=0, validation_share=0.2):
    """Rows of the comparisons record; every row has its own prompt."""
    rng = random.Random(seed)
    rows = []
    for index in range(n):
        colour, thing = rng.choice(COLOURS), rng.choice(THINGS)
        responses, worths = zip(*(answer(rng, colour, thing) for _ in range(size)), strict=True)
        order = sorted(set(worths), reverse=True)
        ranks = [order.index(worth) for worth in worths]
        preference = [[None] * size for _ in range(size)]
        grade = [[None] * size for _ in range(size)]
        for a in range(size):
            for two in range(size):
                if a != two:
                    gap = worths[a] - worths[two]
                    preference[a][two] = 1.0 if gap > 0 else 0.0 if gap < 0 else 0.5
                    grade[a][two] = float(min(3, gap)) if gap > 0 else None
        rows.append(
            {
                "group_id": f"g{index}",
                "criterion": "helpful",
                "prompt": [{"role": "user", "content": f"Give me the {colour} {thing}, number {index}."}],
                "responses": list(responses),
                "response_ids": [f"r{index}-{place}" for place in range(size)],
                "ranks": ranks,
                "grade": grade,
                "soft_preference": preference,
                "weight": 1.0,
                "n_annotators": 1,
                "agreement": None,
                "annotator_kind": "person",
                "round": 1,
                "split": "validation" if index < n * validation_share else "train",
            }
        )
    return rows


def demonstration_rows(n, *, seed=1):
    rng = random.Random(seed)
    rows = []
    for index in range(n):
        colour, thing = rng.choice(COLOURS), rng.choice(THINGS)
        rows.append(
            {
                "prompt_id": f"p{index}",
                "prompt": [{"role": "user", "content": f"Give me the {colour} {thing}."}],
                "response": f"Here is the {colour} {thing}.",
                "author": "ada",
                "split": "train",
            }
        )
    return rows


@pytest.fixture(scope="session")
def tokenizer():
    texts = [text for row in comparison_rows(60) for text in (row["prompt"][0]["content"], *row["responses"])]
    return train_tokenizer(texts, 320)


@pytest.fixture(scope="session")
def make_policy(tmp_path_factory, tokenizer):
    """Policies of random weights on disk, a folder for each architecture and option."""

    def make(**changes):
        path = tmp_path_factory.mktemp("policy") / "model"
        shape = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
        }
        source = ModelSource(from_scratch=ModelArchitecture(**{**shape, **changes}))
        torch.manual_seed(0)  # the same weights, whichever test asks first
        save_model(load_policy(source, tokenizer), tokenizer, path)
        return path

    return make


@pytest.fixture(scope="session")
def policy_path(make_policy):
    return make_policy()


def small_config(policy_path):
    """A reward model run of a few seconds."""
    return RewardModelConfig(
        model=ModelOptions(source=ModelSource(path=str(policy_path))),
        optimizer=OptimizerOptions(learning_rate=3e-3, schedule="linear", min_lr_ratio=0.0, warmup_steps=3),
        data=DataOptions(epochs=4, comparisons_per_step=16),
        batch=BatchOptions(max_prompt_tokens=48, max_response_tokens=48),
        evaluation=EvaluationOptions(evaluate_every_steps=4, max_examples=8, logged_samples=2),
        runtime=RuntimeOptions(checkpoint_every_steps=3),
    )


@pytest.fixture
def config(policy_path):
    return small_config(policy_path)


def create_run(path, options, rows, demonstrations=None, *, command="rewardmodel.training.train"):
    inputs = {"comparisons": (rows, COMPARISONS)}
    if demonstrations is not None:
        inputs["demonstrations"] = (demonstrations, DEMONSTRATIONS)
    return RunDirectory.create(path, command=command, config=options_to_dict(options), inputs=inputs)


def environment():
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": str(ROOT),
        "DS_ACCELERATOR": "cpu",
    }


def start(path, *, command="rewardmodel.training.train"):
    """The real command in its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", command, str(path)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, path, expected=0):
    """Waits for the command; shows the end of its log when it did not exit as expected."""
    _, error = process.communicate(timeout=300)
    log = Path(path, "log.txt")
    tail = "\n".join(log.read_text().splitlines()[-30:]) if log.exists() else "no log"
    assert process.returncode == expected, f"exit {process.returncode}\n{error[-2000:]}\n{tail}"
    return error


def run(path):
    """Run its command to the end in a process of its own; its stderr."""
    return shared_fork_server().run(RunDirectory(path))


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def change(config, **sections):
    """A copy of the configuration with some fields of some sections replaced."""
    return dataclasses.replace(
        config,
        **{name: dataclasses.replace(getattr(config, name), **fields) for name, fields in sections.items()},
    )


def weights(path):
    """The tensors of the model that a run saved, by name."""
    return load_file(path / "model" / "model.safetensors")
