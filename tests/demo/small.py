"""The demonstration's base policy cut down to a second of training."""

from dataclasses import replace

from demo import constants
from learning.interface.training_options import ModelArchitecture, ModelSource
from policy_training.training.config import LanguageModelConfig


def small_base_policy_config() -> LanguageModelConfig:
    shape = ModelArchitecture(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
    )
    config = constants.base_policy_config(seed=3, threads=1)
    return replace(
        config,
        model=replace(config.model, source=ModelSource(from_scratch=shape)),
        data=replace(config.data, steps=6, examples_per_step=8),
    )
