"""What pages say of the options of runs: it stands as comments in the trainers' own source, so that it is written once.

config.translations puts these texts into the catalogues, and the forms translate them when they show them.
"""

import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from policy_training import evaluation_presets
from policy_training.training.best_of_n import presets as best_of_n_presets
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.config import EvaluateConfig, LanguageModelConfig, SampleConfig
from policy_training.training.dpo import presets as dpo_presets
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.evaluation.config import (
    BenchmarkConfig,
    ComparePoliciesConfig,
    JudgeTasksConfig,
)
from policy_training.training.policy_gradient import presets as policy_gradient_presets
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import MODULES as PPO_MODULES
from policy_training.training.supervised import presets as supervised_presets
from policy_training.training.weights.config import MergeConfig
from rewardmodel.training import presets as reward_model_presets
from rewardmodel.training.config import EvaluateConfig as EvaluateRewardModelConfig
from rewardmodel.training.config import RewardModelConfig
from rounds import plan_options
from rounds.plans import RoundPlan
from runs.option_forms.comments import preset_comments
from runs.option_forms.fields import sections_of

CONFIGS: tuple[type[Any], ...] = (
    RewardModelConfig,
    EvaluateRewardModelConfig,
    LanguageModelConfig,
    SampleConfig,
    EvaluateConfig,
    DPOConfig,
    BestOfNConfig,
    PolicyGradientConfig,
    PPOConfig,
    MergeConfig,
    BenchmarkConfig,
    JudgeTasksConfig,
    ComparePoliciesConfig,
)
PRESETS: tuple[ModuleType, ...] = (
    reward_model_presets,
    supervised_presets,
    dpo_presets,
    best_of_n_presets,
    policy_gradient_presets,
    *PPO_MODULES,
    evaluation_presets,
)


def option_texts() -> Iterator[tuple[str, str]]:
    """(module, text), a text perhaps several times. Names of options are what commands and papers call them, and where
    a value is from may be a number of a section alone: neither is translated.
    """
    for module, text in _texts():
        if re.search("[a-z]{2}", text):
            yield module, text


def _texts() -> Iterator[tuple[str, str]]:
    shown = [(config.__module__, sections_of(config)) for config in CONFIGS]
    shown.append((RoundPlan.__module__, plan_options.SECTIONS))
    for name, sections in shown:
        for section in sections:
            said = [section.label, section.note, *(option.help for option in section.options)]
            yield from ((name, text) for text in said if text)
    for module in PRESETS:
        comments: Mapping[str, Mapping[str, str]] = preset_comments(module)
        for values in comments.values():
            yield from ((module.__name__, text) for text in values.values())
        for preset in vars(module).values():
            if isinstance(source := getattr(preset, "source", None), str):
                yield module.__name__, source
