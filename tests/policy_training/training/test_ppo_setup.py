"""What PPO refuses before its first rollout."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource, RuntimeOptions
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenization import train_tokenizer
from policy_training.training.config import AdoptConfig
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import CriticOptions, PPOConfig, RolloutOptions
from policy_training.training.weights import adopt
from tests.policy_training.training.conftest import (
    BATCH,
    FRESH,
    create_run,
    in_process,
    ppo_config,
    prompt_rows,
)


def refused(tmp_path, config, sentence, rows=None):
    run = create_run(tmp_path / "run", "ppo", config, prompts=rows or prompt_rows(8))
    with pytest.raises(UserError, match=sentence):
        in_process(ppo, PPOConfig, run)
    assert not run.metrics()[0]


def test_a_reward_model_with_fewer_positions_than_the_rows_it_reads_is_refused(
    tmp_path, tokenizer, policy_path
):
    """It reads the policy's own tokens, whatever bounds are given for its own."""
    small = dataclasses.replace(FRESH, max_position_embeddings=24)
    torch.manual_seed(3)
    save_model(load_reward_model(ModelSource(from_scratch=small), tokenizer), tokenizer, tmp_path / "small")
    bounds = dataclasses.replace(BATCH, max_prompt_tokens=16, max_response_tokens=8)
    refused(tmp_path, ppo_config(policy_path, tmp_path / "small", reward_model_batch=bounds), "24 positions")


def test_a_reference_that_reads_other_tokens_is_refused(tmp_path, policy_path, reward_model_path):
    other = train_tokenizer(["Quite another text, with other words in it."], 320)
    save_model(load_policy(ModelSource(from_scratch=FRESH), other), other, tmp_path / "other")
    reference = ModelSource(path=str(tmp_path / "other"))
    refused(
        tmp_path,
        ppo_config(policy_path, reward_model_path, reference=reference),
        "config.reference: .* another",
    )


def test_a_duplicated_prompt_id_is_refused(tmp_path, policy_path, reward_model_path):
    rows = prompt_rows(8)
    rows[7]["prompt_id"] = rows[6]["prompt_id"]
    refused(tmp_path, ppo_config(policy_path, reward_model_path), "'p6' is duplicated", rows)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_gradient_checkpointing_changes_rounding_at_most(tmp_path, policy_path, reward_model_path, dtype):
    losses = []
    for asked in (False, True):
        config = ppo_config(policy_path, reward_model_path, runtime=RuntimeOptions(dtype=dtype))
        config = dataclasses.replace(
            config,
            policy=dataclasses.replace(config.policy, gradient_checkpointing=asked),
            rollout=RolloutOptions(steps=2, prompts_per_step=4, samples_per_prompt=4),
        )
        run = create_run(tmp_path / str(asked), "ppo", config, prompts=prompt_rows(9))
        in_process(ppo, PPOConfig, run)
        losses.append([row["value_loss"] for row in run.metrics()[0]])
    # The third step samples from an updated policy, of which the rounding of bf16 may turn a token.
    compared = slice(3 if dtype == "fp32" else 2)
    assert len(losses[0]) == 3
    assert losses[0][compared] == pytest.approx(losses[1][compared], rel=1e-4 if dtype == "fp32" else 2e-3)


def test_every_step_takes_as_many_prompts_as_were_asked_for(tmp_path, policy_path, reward_model_path):
    """Nine prompts, four a step: an update of one prompt would be as large as one of four."""
    run = create_run(
        tmp_path / "run", "ppo", ppo_config(policy_path, reward_model_path), prompts=prompt_rows(9, heldout=0)
    )
    in_process(ppo, PPOConfig, run)
    assert {row["responses"] for row in run.metrics()[0]} == {16}


def test_a_checkpoint_s_critic_becomes_that_of_the_policy(tmp_path, policy_path, reward_model_path):
    """At the last step it is the critic that the run leaves; a head on the policy's trunk is none."""
    shared = CriticOptions(init_from="shared", max_pretraining_updates=0)
    for name, critic in (("own", CriticOptions(max_pretraining_updates=0)), ("shared", shared)):
        config = ppo_config(
            policy_path, reward_model_path, critic=critic,
            rollout=RolloutOptions(steps=1, prompts_per_step=4, samples_per_prompt=4),
        )  # fmt: skip
        run = create_run(tmp_path / name, "ppo", config, prompts=prompt_rows(8))
        in_process(ppo, PPOConfig, run)
        [checkpoint] = (run.path / "checkpoints").iterdir()
        asked = AdoptConfig(
            checkpoint_path=str(checkpoint), policy=ModelSource(path=str(policy_path)),
            critic=ModelSource(path=str(reward_model_path)),
        )  # fmt: skip
        adopted = create_run(tmp_path / f"adopt-{name}", "adopt", asked)
        in_process(adopt, AdoptConfig, adopted)
        if name == "shared":
            assert not (adopted.path / "critic").exists() and (adopted.path / "model").is_dir()
            continue
        made, left = (load_file(path / "critic" / "model.safetensors") for path in (adopted.path, run.path))
        assert made.keys() == left.keys() and all(torch.equal(made[key], left[key]) for key in left)
        assert any(
            not torch.equal(made[key], value)
            for key, value in load_file(reward_model_path / "model.safetensors").items()
        ), "it has learned"
