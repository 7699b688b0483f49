"""What a run that fine-tunes, pretrains or samples is asked, by a preset's name and what is changed of it: one way for
the commands, the pages and the API.
"""

from collections.abc import Sequence
from typing import Any

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelArchitecture, ModelSource
from policy_training.evaluation_presets import EVALUATION_PRESETS
from policy_training.training.config import SampleConfig
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS
from policy_training.training.unread_options import LANGUAGE_MODEL_RULES, SAMPLE_RULES
from workspace.config_overrides import apply_overrides


def language_model_config(preset: str, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """LanguageModelConfig as a mapping: the preset's, from scratch unless a parent is given later, with assignments as
    `--set` has them. Raises ActionError.
    """
    config = LANGUAGE_MODEL_PRESETS[preset].config(ModelSource(from_scratch=ModelArchitecture()))
    return apply_overrides(options_to_dict(config), assignments, LANGUAGE_MODEL_RULES)


# What a preset says of a sampling; the rest is the options' own.
_DRAWN = (
    "temperatures",
    "top_p",
    "top_k",
    "repetition_penalty",
    "repetition_penalty_scope",
    "max_response_tokens",
)


def whole_sample_config(preset: str) -> dict[str, Any]:
    """SampleConfig as a mapping with every option, as a form shows it."""
    drawn = EVALUATION_PRESETS[preset].sample_options
    return options_to_dict(SampleConfig(policy=ModelSource(path="(filled in)"), sampling=drawn))


def sample_config(assignments: Sequence[str] = (), *, preset: str = "plain") -> dict[str, Any]:
    """SampleConfig as a mapping without its policy: one sample a prompt as the preset draws it, with assignments as
    `--set` has them. Raises ActionError.
    """
    sampling = whole_sample_config(preset)["sampling"]
    asked = {"samples_per_prompt": 1, "sampling": {name: sampling[name] for name in _DRAWN}}
    return apply_overrides(asked, assignments, SAMPLE_RULES)
