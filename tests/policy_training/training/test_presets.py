"""Presets load, survive a trip through JSON, and hold the figures their sources give."""

import json

import pytest

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.best_of_n.presets import BEST_OF_N_PRESETS
from policy_training.training.config import LanguageModelConfig
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.dpo.presets import DPO_PRESETS
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS

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


@pytest.mark.parametrize("name", DPO_PRESETS)
def test_a_dpo_preset_makes_a_config_that_survives_json(name):
    config = DPO_PRESETS[name].config(HERE)
    mapping = json.loads(json.dumps(options_to_dict(config)))
    assert load_options(DPOConfig, mapping) == config and config.preset == name


@pytest.mark.parametrize("name", POLICY_GRADIENT_PRESETS)
def test_a_policy_gradient_preset_makes_a_config_that_survives_json(name):
    config = POLICY_GRADIENT_PRESETS[name].config(HERE, "/reward")
    mapping = json.loads(json.dumps(options_to_dict(config)))
    assert load_options(PolicyGradientConfig, mapping) == config and config.preset == name


@pytest.mark.parametrize("name", BEST_OF_N_PRESETS)
def test_a_best_of_n_preset_makes_a_config_that_survives_json(name):
    config = BEST_OF_N_PRESETS[name].config(HERE, "/reward")
    mapping = json.loads(json.dumps(options_to_dict(config)))
    assert load_options(BestOfNConfig, mapping) == config and config.preset == name


# What the sources print, typed from them and not from the presets: option -> value. "Secrets" is Secrets of RLHF I.
PUBLISHED_PPO = {
    "ppo_max": {
        "policy_optimizer.learning_rate": 5e-7,  # Secrets 5.1
        "policy_optimizer.warmup_ratio": 0.0,  # 5.4: the critic is trained alone first instead
        "critic_optimizer.learning_rate": 1.65e-6,  # 5.1
        "rollout.steps": 1000,  # B, C
        "rollout.prompts_per_step": 128,  # 5.1
        "algorithm.responses_per_minibatch": 32,  # 5.1
        "reward.normalize": True,  # 5.3.1
        "reward.clip_range": 0.8,  # 5.3.1
        "reward.kl_coefficient": 0.05,  # 5.3.2
        "algorithm.clip_range": 0.2,  # its code
        "algorithm.clip_range_value": 0.2,  # B.1
        "algorithm.gamma": 1.0,  # its code
        "algorithm.gae_lambda": 0.9,  # C.3
        "algorithm.whiten_advantages": False,  # 5.3.1
        "policy_optimizer.max_grad_norm": 1.0,  # C.2
        "algorithm.ptx_texts_share": 1.0,  # 5.4
        "critic.init_from": "reward_model",  # 5.4
        "critic.max_pretraining_updates": 50,  # ours
    },
    "ppo_vanilla": {
        "policy_optimizer.learning_rate": 5e-7,  # Secrets 5.1
        "policy_optimizer.warmup_ratio": 0.1,  # 5.1
        "critic_optimizer.learning_rate": 1.65e-6,  # 5.1
        "critic_optimizer.warmup_ratio": 0.1,  # 5.1
        "rollout.steps": 1000,  # B, C
        "rollout.prompts_per_step": 128,  # 5.1
        "algorithm.responses_per_minibatch": 32,  # 5.1
        "reward.normalize": False,  # 5.2
        "reward.clip_range": None,  # 5.2
        "reward.kl_coefficient": 0.0,  # 5.2
        "algorithm.clip_range": 0.2,  # its code
        "algorithm.clip_range_value": None,  # 5.2
        "algorithm.gae_lambda": 0.9,  # C.3
        "algorithm.ptx_coefficient": 0.0,  # 5.2
        "critic.max_pretraining_updates": 0,  # 5.2
    },
    "instructgpt": {  # InstructGPT C.4, but for the rates of Adam (C)
        "rollout.prompts_per_step": 512,
        "rollout.steps": 500,  # 256,000 episodes
        "rollout.sampling.temperature": 1.0,
        "algorithm.responses_per_minibatch": 64,
        "algorithm.ppo_epochs": 1,
        "algorithm.clip_range": 0.2,
        "algorithm.gamma": 1.0,
        "reward.kl_coefficient": 0.02,
        "reward.normalize": False,
        "policy_optimizer.schedule": "constant",
        "policy_optimizer.warmup_steps": 80,  # 10 iterations of 8 minibatches
        "policy_optimizer.warmup_start_ratio": 0.1,
        "policy_optimizer.beta1": 0.9,
        "policy_optimizer.beta2": 0.95,
        "critic_optimizer.learning_rate": 9e-6,
        "algorithm.ptx_coefficient": 27.8,
        "algorithm.ptx_texts_share": 1.0,
        "algorithm.ptx_examples_per_response": 8.0,  # 8 pretraining examples to each episode
        "ema_decay": 0.992,
        "critic.init_from": "reward_model",
        "batch.max_prompt_tokens": 1000,
        "batch.max_response_tokens": 1000,
    },
    "llama2": {  # Llama 2 3.2.3
        "policy_optimizer.learning_rate": 1e-6,
        "policy_optimizer.schedule": "constant",
        "policy_optimizer.beta1": 0.9,
        "policy_optimizer.beta2": 0.95,
        "policy_optimizer.epsilon": 1e-5,
        "policy_optimizer.weight_decay": 0.1,
        "policy_optimizer.max_grad_norm": 1.0,
        "rollout.prompts_per_step": 512,
        "algorithm.responses_per_minibatch": 64,
        "algorithm.ppo_epochs": 1,
        "algorithm.clip_range": 0.2,
        "reward.kl_coefficient": 0.01,
        "rewards.whiten": True,  # of the final scores, in place of running moments
        "reward.normalize": False,
        "reward.scale": False,
    },
    "stiennon": {  # Learning to summarize B.1
        "rollout.steps": 1954,  # a million episodes
        "rollout.prompts_per_step": 512,
        "policy_optimizer.learning_rate": 1.5e-5,
        "algorithm.ppo_epochs": 4,
        "algorithm.gamma": 1.0,
        "algorithm.gae_lambda": 0.95,
        "reward.kl_coefficient": 0.05,
        "reward.normalize": False,
        "critic.init_from": "reward_model",
    },
    "n_plus": {  # The N+ implementation details
        "rollout.steps": 1954,
        "rollout.prompts_per_step": 512,
        "rollout.sampling.temperature": 0.7,
        "policy_optimizer.learning_rate": 3e-6,
        "policy_optimizer.schedule": "linear",
        "policy_optimizer.min_lr_ratio": 0.0,
        "policy_optimizer.epsilon": 1e-5,
        "algorithm.ppo_epochs": 4,
        "algorithm.responses_per_minibatch": 512,
        "algorithm.clip_range": 0.2,
        "algorithm.clip_range_value": 0.2,
        "algorithm.gamma": 1.0,
        "algorithm.gae_lambda": 0.95,
        "algorithm.whiten_advantages": True,
        "reward.kl_coefficient": 0.05,
        "reward.normalize": False,
        "reward.missing_eos_rule": "replace",
        "reward.missing_eos_score": -1.0,
    },
}
PUBLISHED_PPO |= {
    "ppo_penalty": {  # PPO, section 4 and table 1
        "algorithm.clip_range": None,
        "policy_loss.kl_penalty_coefficient": 1.0,
        "policy_loss.kl_penalty_target": 0.01,
    },
    "a2c": {  # one step per sample, learned value, GAE, no ratio
        "algorithm.clip_range": None,
        "algorithm.ppo_epochs": 1,
        "algorithm.responses_per_minibatch": 128,  # all responses of a step: one update
        "rollout.prompts_per_step": 128,
        "rollout.samples_per_prompt": 1,
        "algorithm.gae_lambda": 0.9,
        "critic.init_from": "reward_model",
        "policy_loss.objective": "log_probability",
    },
    "adaptive_kl": {  # Ziegler's code
        "reward.kl_coefficient": 0.15,
        "reward.kl_target": 6.0,  # nats
        "reward.kl_controller": "ziegler_code",
    },
    "a2c_repeated": {
        "algorithm.clip_range": None,
        "algorithm.ppo_epochs": 4,  # ours
        "policy_loss.objective": "log_probability",
    },
    # Secrets 5.3 and B.3
    "secrets_reward_scaling": {"reward.scale": True, "reward.normalize": False, "reward.clip_range": 0.8},
    "secrets_advantage_clip": {
        "algorithm.whiten_advantages": True,
        "algorithm.whitening_scope": "minibatch",
        "algorithm.advantage_clip": 0.12,
    },
    "secrets_fixed_reference": {"policy_loss.old_policy": "reference", "reward.kl_coefficient": 0.0},
    "secrets_entropy_bonus": {"policy_loss.entropy_coefficient": 0.01, "policy_loss.entropy_threshold": None},
}
PUBLISHED_SUPERVISED = {
    "sft_secrets": {  # Secrets 5.1
        "optimizer.learning_rate": 9.5e-6,
        "optimizer.schedule": "cosine",
        "optimizer.min_lr_ratio": 0.1,
        "data.epochs": 2,
        "data.examples_per_step": 1024,
        "data.every_assistant_turn": True,  # MOSS's loader
    },
    "sft_llama2": {  # Llama 2 3.1
        "optimizer.learning_rate": 2e-5,
        "optimizer.schedule": "cosine",
        "optimizer.weight_decay": 0.1,
        "data.examples_per_step": 64,
        "data.packing": True,
        "data.max_length": 4096,
        "data.epochs": 2,
    },
    "instructgpt_ppo_start": {  # InstructGPT C.4
        "optimizer.learning_rate": 5e-6,
        "optimizer.schedule": "cosine",
        "optimizer.min_lr_ratio": 0.1,
        "data.epochs": 2,
        "data.examples_per_step": 32,
        "data.texts_share": 0.1,
    },
    "sft_instructgpt": {  # InstructGPT C.1
        "optimizer.schedule": "cosine",
        "data.epochs": 16,
        "data.keep_epoch_ends": True,  # "best by reward model"
        "model.dropout": 0.2,
    },
}
NOT_PUBLISHED = {"tiny"}  # ours, measured by the demonstration


def at(mapping, dotted):
    for name in dotted.split("."):
        mapping = mapping[name]
    return mapping


def test_every_preset_is_in_a_table_of_what_its_source_prints():
    assert PPO_PRESETS.keys() == PUBLISHED_PPO.keys() | NOT_PUBLISHED | {"lora"}
    assert LANGUAGE_MODEL_PRESETS.keys() == PUBLISHED_SUPERVISED.keys() | NOT_PUBLISHED


@pytest.mark.parametrize(
    ("preset", "option", "value"),
    [(preset, *row) for preset, table in PUBLISHED_PPO.items() for row in table.items()],
)
def test_a_ppo_preset_has_the_value_its_source_prints(preset, option, value):
    assert at(options_to_dict(PPO_PRESETS[preset].config(HERE, "/reward")), option) == value


@pytest.mark.parametrize(
    ("preset", "option", "value"),
    [(preset, *row) for preset, table in PUBLISHED_SUPERVISED.items() for row in table.items()],
)
def test_a_supervised_preset_has_the_value_its_source_prints(preset, option, value):
    assert at(options_to_dict(LANGUAGE_MODEL_PRESETS[preset].config(HERE)), option) == value


@pytest.mark.parametrize("preset", [*PPO_PRESETS.values(), *POLICY_GRADIENT_PRESETS.values()])
def test_a_run_of_a_preset_is_looked_at_on_the_way(preset):
    """Between its ends at least twice, at most ten times, and for at most a fifth of the answers it samples."""
    rollout, evaluation = preset.rollout, preset.evaluation
    looks = rollout.steps // evaluation.evaluate_every_steps
    between = (rollout.steps - 1) // evaluation.evaluate_every_steps
    assert between >= 2 and looks <= 10
    assert looks * evaluation.max_examples <= 0.2 * rollout.steps * rollout.responses_per_step


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
