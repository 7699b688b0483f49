"""The presets of PPO by their names. Light: no torch."""

from collections.abc import Mapping

from policy_training.training.ppo import published_presets, variant_presets
from policy_training.training.ppo.config import PPOPreset
from policy_training.training.ppo.published_presets import (
    PPO_INSTRUCTGPT,
    PPO_LLAMA2,
    PPO_LORA,
    PPO_MAX,
    PPO_N_PLUS,
    PPO_STIENNON,
    PPO_TINY,
    PPO_VANILLA,
)
from policy_training.training.ppo.variant_presets import (
    A2C,
    A2C_REPEATED,
    ADAPTIVE_KL,
    PPO_PENALTY,
    SECRETS_ADVANTAGE_CLIP,
    SECRETS_ENTROPY_BONUS,
    SECRETS_FIXED_REFERENCE,
    SECRETS_REWARD_SCALING,
)

# Where a value's source is read from, beside it.
MODULES = (published_presets, variant_presets)
PPO_PRESETS: Mapping[str, PPOPreset] = {
    preset.name: preset
    for preset in (
        PPO_MAX,
        PPO_VANILLA,
        PPO_INSTRUCTGPT,
        PPO_LLAMA2,
        PPO_STIENNON,
        PPO_N_PLUS,
        PPO_TINY,
        PPO_PENALTY,
        PPO_LORA,
        A2C,
        A2C_REPEATED,
        ADAPTIVE_KL,
        SECRETS_REWARD_SCALING,
        SECRETS_ADVANTAGE_CLIP,
        SECRETS_FIXED_REFERENCE,
        SECRETS_ENTROPY_BONUS,
    )
}
