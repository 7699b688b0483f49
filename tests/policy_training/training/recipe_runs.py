"""Runs of the recipes: what goes in, stopping them on the way, and whether two are the same."""

import dataclasses
import signal
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from policy_training.training.config import LanguageModelDataOptions
from policy_training.training.ppo.config import PolicyLossOptions, PPOConfig
from tests.policy_training.training.conftest import (
    demonstration_rows,
    ppo_config,
    prompt_rows,
    start,
    text_rows,
)


def tensors(run, name: str = "model") -> dict[str, torch.Tensor]:
    return load_file(run.path / name / "model.safetensors")


def assert_same_run(one, other, *names: str) -> None:
    """The same tensors bit for bit, and the same metrics but for the times."""
    for name in names:
        left, right = tensors(one, name), tensors(other, name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left), name
    rows = [
        [{k: v for k, v in row.items() if "second" not in k and "time" not in k} for row in run.metrics()[0]]
        for run in (one, other)
    ]
    assert rows[0] == rows[1]
    assert one.samples(1000) == other.samples(1000)


def interrupt(command: str, run, *, when: str, with_signal: int) -> int:
    """Start the command, send the signal once `when` is complete, and return the exit status."""
    process = start(command, run)
    deadline = time.monotonic() + 400
    while not list(run.path.glob(when)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(with_signal)
    _, errors = process.communicate(timeout=400)
    assert run.result() is None, "it had finished before the signal came; make the run longer"
    if process.returncode not in (75, -signal.SIGKILL):
        print(errors[-3000:])
    return process.returncode


LONG_SFT = {"data": LanguageModelDataOptions(examples_per_step=16, steps=120, texts_share=0.15)}
SFT_ROWS = {"demonstrations": demonstration_rows(60), "texts": text_rows(9)}


PPO_ROWS = {"prompts": prompt_rows(14), "demonstrations": demonstration_rows(11), "texts": text_rows(9)}


def long_ppo(policy_path: Path, reward_model_path: Path) -> PPOConfig:
    """With everything that a checkpoint has to keep: two KL coefficients that move, averaged weights, ptx."""
    config = ppo_config(policy_path, reward_model_path)
    return dataclasses.replace(
        config,
        rollout=dataclasses.replace(config.rollout, steps=30),
        reward=dataclasses.replace(config.reward, kl_target=0.5),
        algorithm=dataclasses.replace(
            config.algorithm,
            ptx_coefficient=0.5,
            ptx_examples_per_response=0.3,
            ptx_texts_share=0.5,
            target_kl=0.2,
            gae_lambda_value=1.0,
        ),
        ema_decay=0.9,
        policy_loss=PolicyLossOptions(
            kl_penalty_coefficient=0.1,
            kl_penalty_target=3e-4,
            entropy_coefficient=0.01,
            entropy_threshold=5.0,
            entropy_rule="hold_at",
        ),
    )
