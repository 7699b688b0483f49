"""PPO's real command on tiny models, exact resumption of it and of SFT after SIGTERM, and PPO on two processes."""

import dataclasses
import signal
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource, OptimizerOptions, RuntimeOptions
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import (
    CriticOptions,
    PolicyLossOptions,
    PPOConfig,
    RewardOptions,
    RolloutOptions,
)
from tests.policy_training.training.conftest import (
    BATCH,
    create_run,
    in_process,
    launch,
    ppo_config,
    prompt_rows,
    sft_config,
)
from tests.policy_training.training.recipe_runs import (
    LONG_SFT,
    PPO_ROWS,
    SFT_ROWS,
    assert_same_run,
    interrupt,
    long_ppo,
    tensors,
)


def test_the_command_of_ppo_moves_its_coefficients_and_counts_what_it_drew(
    tmp_path, policy_path, reward_model_path
):
    config, rows = long_ppo(policy_path, reward_model_path), PPO_ROWS
    whole = create_run(tmp_path / "whole", "ppo", config, **rows)
    launch(whole)
    result = whole.result()
    before = load_file(policy_path / "model.safetensors")
    assert any(not torch.equal(before[key], value) for key, value in tensors(whole).items())
    assert result["steps"] == 30 and result["critic_pretraining_updates"] >= 2
    coefficients = {row["kl_coefficient"] for row in whole.metrics()[0] if row["phase"] == "policy"}
    assert len(coefficients) == 30, "the coefficient moves, so that losing it would show"
    penalties = [row["kl_penalty_coefficient"] for row in whole.metrics()[0] if row["phase"] == "policy"]
    assert len(set(penalties)) > 1 and {b / a for a, b in pairwise(penalties)} <= {0.5, 1.0, 2.0}
    # 0.3 examples to each of the 8 responses of an optimizer step, 2.4 a step; half of them texts, to within one.
    drawn = result["ptx_examples"]
    optimizer_steps = sum(row["optimizer_steps"] for row in whole.metrics()[0] if row["phase"] == "policy")
    assert sum(drawn.values()) == (24 * optimizer_steps + 5) // 10
    assert abs(drawn["texts"] - drawn["demonstrations"]) <= 1
    assert result["episodes"] == sum(row["responses"] for row in whole.metrics()[0])
    assert (result["evaluation_split"], result["evaluation_responses"]) == ("heldout", 4)
    assert result["kl_before"] == pytest.approx(0.0, abs=1e-6)
    for name in ("policy_sha256s", "reference_sha256s"):
        assert result[name]["model.safetensors"]
    assert result["policy_sha256s"] == result["reference_sha256s"] != result["model_sha256s"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sft", "ppo"])
def test_a_stopped_run_leaves_a_checkpoint_exits_75_and_goes_on_exactly(
    tmp_path, command, policy_path, reward_model_path
):
    if command == "sft":
        config, rows = sft_config(**LONG_SFT, runtime=RuntimeOptions(checkpoint_every_steps=1000)), SFT_ROWS
    else:
        config, rows = long_ppo(policy_path, reward_model_path), PPO_ROWS
        config = dataclasses.replace(config, runtime=RuntimeOptions(checkpoint_every_steps=1000))
    whole = create_run(tmp_path / "whole", command, config, **rows)
    launch(whole)
    cut = create_run(tmp_path / "cut", command, config, **rows)
    assert interrupt(command, cut, when="metrics.jsonl", with_signal=signal.SIGTERM) == 75
    assert cut.status().outcome == "checkpointed" and cut.has_checkpoint()
    launch(cut)
    assert_same_run(whole, cut, "model")


def test_the_same_seed_twice_gives_the_same_policy_and_another_seed_another(
    tmp_path, policy_path, reward_model_path
):
    results = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        config = dataclasses.replace(
            ppo_config(policy_path, reward_model_path), runtime=RuntimeOptions(seed=seed)
        )
        config = dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, steps=2))
        run = create_run(tmp_path / name, "ppo", config, prompts=prompt_rows(12))
        in_process(ppo, PPOConfig, run)
        results.append(run)
    assert_same_run(results[0], results[1], "model", "critic")
    assert any(not torch.equal(v, tensors(results[2])[k]) for k, v in tensors(results[0]).items())


def test_ppo_with_a_reward_model_of_another_tokenizer_needs_a_critic_from_the_policy(
    tmp_path, policy_path, reward_model_path
):
    from learning.models.files import save_model
    from learning.models.loading import load_policy, load_reward_model
    from learning.models.tokenization import train_tokenizer
    from tests.policy_training.training.conftest import FRESH

    other = train_tokenizer(["Quite another text, with other words in it."], 300)
    torch.manual_seed(5)
    base = tmp_path / "base"
    save_model(load_policy(ModelSource(from_scratch=FRESH), other), other, base)
    foreign = tmp_path / "foreign"
    save_model(load_reward_model(ModelSource(path=str(base)), other), other, foreign)
    large = dataclasses.replace(BATCH, max_prompt_tokens=32, max_response_tokens=32)
    config = dataclasses.replace(
        ppo_config(policy_path, foreign, reward_model_batch=large),
        rollout=RolloutOptions(steps=1, prompts_per_step=2, samples_per_prompt=4),
    )
    refused = create_run(tmp_path / "refused", "ppo", config, prompts=prompt_rows(8))
    with pytest.raises(UserError, match="config.critic.init_from: the reward model has another tokenizer"):
        in_process(ppo, PPOConfig, refused)
    config = dataclasses.replace(config, critic=dataclasses.replace(config.critic, init_from="policy"))
    accepted = create_run(tmp_path / "accepted", "ppo", config, prompts=prompt_rows(8))
    assert in_process(ppo, PPOConfig, accepted)["same_tokenizer"] is False


SHARED_WITH_ALL = {
    "critic": CriticOptions(init_from="shared", max_pretraining_updates=0),
    "policy_loss": PolicyLossOptions(kl_penalty_coefficient=0.5, entropy_coefficient=0.01),
    "reward": RewardOptions(normalize=False, scale=True),
    "ema_decay": 0.5,
}


@pytest.mark.slow
def test_ppo_with_a_shared_trunk_and_all_terms_on_two_processes_equals_one(
    tmp_path, policy_path, reward_model_path
):
    """CHECK 20, DeepSpeed ZeRO 2 with two ranks against plain torch, rollouts included."""
    still = OptimizerOptions(learning_rate=1e-5)
    runs = []
    for name, backend, stage in (("one", "torch", 0), ("two", "deepspeed", 2)):
        runtime = RuntimeOptions(backend=backend, zero_stage=stage)
        config = ppo_config(
            policy_path,
            reward_model_path,
            runtime=runtime,
            policy_optimizer=still,
            critic_optimizer=still,
            **SHARED_WITH_ALL,
        )
        config = dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, steps=4))
        runs.append(create_run(tmp_path / name, "ppo", config, prompts=prompt_rows(15)))
    launch(runs[0])
    launch(runs[1], processes=2)
    assert [s["response"] for s in runs[0].samples(1000)] == [s["response"] for s in runs[1].samples(1000)]
    for one, two in zip(runs[0].metrics()[0], runs[1].metrics()[0], strict=True):
        for key in (
            "score",
            "kl",
            "value_loss",
            "policy_loss",
            "responses",
            "response_tokens",
            "ema_distance",
        ):
            assert one.get(key, 0.0) == pytest.approx(two.get(key, 0.0), abs=1e-5), key
    for name in ("model", "critic"):
        left, right = tensors(runs[0], name), tensors(runs[1], name)
        assert all(torch.allclose(left[key], right[key], rtol=0, atol=1e-5) for key in left)


@pytest.mark.slow
def test_a_process_without_a_prompt_of_the_step_changes_nothing(tmp_path, policy_path, reward_model_path):
    """One prompt a step and two processes: one of them has only a repeat that counts nothing."""
    config = ppo_config(
        policy_path,
        reward_model_path,
        rollout=RolloutOptions(steps=2, prompts_per_step=1, samples_per_prompt=4),
        policy_optimizer=OptimizerOptions(learning_rate=1e-5),
        critic_optimizer=OptimizerOptions(learning_rate=1e-5),
        critic=CriticOptions(max_pretraining_updates=0),
    )
    one, two = (create_run(tmp_path / name, "ppo", config, prompts=prompt_rows(8)) for name in ("one", "two"))
    launch(one)
    launch(two, processes=2)
    for left, right in zip(one.metrics()[0], two.metrics()[0], strict=True):
        for key in ("score", "kl", "value_loss", "policy_loss", "explained_variance", "return_std"):
            assert left[key] == pytest.approx(right[key], abs=1e-4), key
    left, right = tensors(one), tensors(two)
    assert all(torch.allclose(left[key], right[key], rtol=0, atol=1e-4) for key in left)
