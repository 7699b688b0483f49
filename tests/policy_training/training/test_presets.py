"""Presets load, survive a trip through JSON, and hold the figures their sources give."""

import json

import pytest

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.training.config import LanguageModelConfig, PPOConfig
from policy_training.training.presets import LANGUAGE_MODEL_PRESETS, PPO_PRESETS

HERE = ModelSource(path="/somewhere")


@pytest.mark.parametrize("name", LANGUAGE_MODEL_PRESETS)
def test_a_language_model_preset_makes_a_config_that_survives_json(name):
    config = LANGUAGE_MODEL_PRESETS[name].config(HERE)
    mapping = json.loads(json.dumps(options_to_dict(config)))
    assert load_options(LanguageModelConfig, mapping) == config and config.preset == name


@pytest.mark.parametrize("name", PPO_PRESETS)
def test_a_ppo_preset_makes_a_config_that_survives_json(name):
    config = PPO_PRESETS[name].config(HERE, "/reward", steps=7)
    mapping = json.loads(json.dumps(options_to_dict(config)))
    assert load_options(PPOConfig, mapping) == config and config.preset == name
    assert config.rollout.steps == 7 and PPO_PRESETS[name].rollout.sampling.top_p == 1.0


def test_the_published_figures_are_as_published():
    ppo_max, n_plus = PPO_PRESETS["ppo_max"], PPO_PRESETS["n_plus"]
    assert (ppo_max.policy_optimizer.learning_rate, ppo_max.critic_optimizer.learning_rate) == (5e-7, 1.65e-6)
    assert (ppo_max.reward.clip_range, ppo_max.reward.kl_coefficient) == (0.8, 0.05)
    assert (
        ppo_max.algorithm.clip_range,
        ppo_max.algorithm.clip_range_value,
        ppo_max.algorithm.gae_lambda,
    ) == (
        0.2,
        0.2,
        0.95,
    )
    assert (ppo_max.rollout.responses_per_step, ppo_max.algorithm.responses_per_minibatch) == (128, 32)
    assert not ppo_max.algorithm.whiten_advantages and ppo_max.critic.max_pretraining_updates == 50
    assert (n_plus.rollout.sampling.temperature, n_plus.algorithm.ppo_epochs) == (0.7, 4)
    assert (n_plus.reward.missing_eos_rule, n_plus.reward.missing_eos_score) == ("replace", -1.0)
    assert n_plus.rollout.steps * n_plus.rollout.responses_per_step >= 1_000_000
    llama2 = LANGUAGE_MODEL_PRESETS["sft_llama2"]
    assert (llama2.optimizer.learning_rate, llama2.data.max_length, llama2.data.examples_per_step) == (
        2e-5,
        4096,
        64,
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"algorithm": {"responses_per_minibatch": 6}}, "must be a multiple of"),
        ({"rollout": {"sampling": {"top_k": 4}}}, "top_k is 4"),
        ({"policy": {"source": {"path": "/p"}, "dropout": 0.1}}, "PPO needs 0"),
        ({"reward": {"missing_eos_rule": "subtract", "missing_eos_score": 1.0}}, "must not be positive"),
        ({"algorithm": {"clip_range": 2.0}}, "clip_range must be between 0 and 1"),
        ({"kl": 0.1}, "kl"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(change, sentence):
    good = options_to_dict(PPO_PRESETS["tiny"].config(HERE, "/reward"))
    assert load_options(PPOConfig, good).preset == "tiny"
    with pytest.raises(UserError, match=sentence):
        load_options(PPOConfig, good | change)
