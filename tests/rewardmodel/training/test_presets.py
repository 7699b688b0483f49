"""Presets hold the published values, load strictly, and are light enough for the web process."""

import subprocess
import sys

import pytest

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.training_options import ModelOptions, ModelSource, OptimizerOptions, RuntimeOptions
from rewardmodel.training.config import EvaluateConfig, RewardModelConfig, ScoreConfig
from rewardmodel.training.presets import PRESETS
from tests.rewardmodel.training.conftest import ROOT

SOURCE = ModelSource(path="somewhere/model")

# What the sources print, written down from them: option, value, place. "ours" where they print nothing. An option that
# is not in a preset's list has its default.
PUBLISHED = {
    "instructgpt": [
        ("optimizer.learning_rate", 9e-6, "InstructGPT, C.2"),
        ("optimizer.schedule", "cosine", "InstructGPT, C.2"),
        ("optimizer.min_lr_ratio", 0.1, "InstructGPT, C.2: down to 10 %"),
        ("objective.ranking_loss", "pairwise", "InstructGPT, 3.5, equation 1"),
        ("objective.pair_weight", "all", "InstructGPT, 3.5: 1 / C(K, 2)"),
        ("data.epochs", 1, "InstructGPT, C.2"),
        ("data.comparisons_per_step", 64, "InstructGPT, C.2: prompts"),
    ],
    "llama2": [
        ("optimizer.learning_rate", 1e-5, "Llama 2, 3.2.2; 5e-6 for 70B"),
        ("optimizer.schedule", "cosine", "Llama 2, 3.2.2"),
        ("optimizer.min_lr_ratio", 0.1, "Llama 2, 3.2.2: down to 10 %"),
        ("optimizer.warmup_ratio", 0.03, "Llama 2, 3.2.2"),
        ("optimizer.warmup_steps", 5, "Llama 2, 3.2.2: at least 5"),
        ("optimizer.beta1", 0.9, "Llama 2, 2.2"),
        ("optimizer.beta2", 0.95, "Llama 2, 2.2"),
        ("optimizer.epsilon", 1e-5, "Llama 2, 2.2"),
        ("optimizer.weight_decay", 0.1, "Llama 2, 2.2"),
        ("optimizer.max_grad_norm", 1.0, "Llama 2, 2.2"),
        ("objective.ranking_loss", "pairwise", "Llama 2, 3.2.2, equation 2"),
        ("objective.margin", "large", "Llama 2, table 27; which of its two tables: ours"),
        ("data.epochs", 1, "Llama 2, 3.2.2"),
        ("data.comparisons_per_step", 512, "Llama 2, 3.2.2: 512 pairs, 1,024 rows"),
    ],
    "secrets": [
        ("optimizer.learning_rate", 5e-6, "Secrets of RLHF I, 4.2"),
        ("optimizer.schedule", "linear", "ours"),
        ("optimizer.min_lr_ratio", 0.1, "ours"),
        ("optimizer.warmup_ratio", 0.1, "Secrets of RLHF I, 4.2"),
        ("objective.ranking_loss", "pairwise", "Secrets of RLHF I, 3.1, equation 1"),
        ("objective.lm_coefficient", 1.0, "Secrets of RLHF I, 4.2: beta_rm"),
        ("data.epochs", None, "Secrets of RLHF I, 4.2: steps are fixed"),
        ("data.steps", 1000, "Secrets of RLHF I, 4.2"),
        ("data.comparisons_per_step", 170, "Secrets of RLHF I, 4.2: see the test below"),
        ("data.balance_tokens", True, "Secrets of RLHF I, 4.2"),
        ("data.min_comparisons_per_step", 32, "Secrets of RLHF I, 4.2: 4 a device; eight devices: ours"),
        ("data.max_comparisons_per_step", 1024, "Secrets of RLHF I, 4.2: 128 a device; eight devices: ours"),
    ],
    "stiennon": [
        ("optimizer.learning_rate", 1.5e-5, "Stiennon 2020, B.1 (1.3B; 5e-6 for 6.7B)"),
        ("optimizer.schedule", "cosine", "Stiennon 2020, B.1"),
        ("optimizer.min_lr_ratio", 0.0, "ours"),
        ("objective.ranking_loss", "pairwise", "Stiennon 2020, 3.4"),
        ("data.epochs", 1, "Stiennon 2020, B.1"),
        ("data.comparisons_per_step", 64, "Stiennon 2020, B.1"),
    ],
    "n_plus": [
        ("optimizer.learning_rate", 3e-6, "N+ implementation details, reward model's table"),
        ("optimizer.schedule", "cosine", "N+ implementation details, reward model's table"),
        ("optimizer.min_lr_ratio", 0.0, "ours"),
        ("optimizer.beta1", 0.9, "PyTorch's Adam"),
        ("optimizer.beta2", 0.999, "PyTorch's Adam"),
        ("optimizer.epsilon", 1e-5, "N+ implementation details, Adam"),
        ("objective.ranking_loss", "pairwise", "N+ implementation details"),
        ("data.epochs", 1, "N+ implementation details, reward model's table"),
        ("data.comparisons_per_step", 64, "ours"),
    ],
}


def test_every_preset_but_ours_is_in_the_table():
    assert PRESETS.keys() == PUBLISHED.keys() | {"tiny"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_has_the_values_its_source_prints_and_no_others(name):
    found = options_to_dict(PRESETS[name].config(SOURCE))
    defaults = options_to_dict(
        RewardModelConfig(
            model=ModelOptions(source=SOURCE), optimizer=OptimizerOptions(learning_rate=1.0), preset=name
        )
    )
    for option, value, _ in PUBLISHED[name]:
        section, key = option.split(".")
        assert found[section].pop(key) == value, option
        defaults[section].pop(key)
    assert found == defaults


def test_secrets_takes_as_many_pairs_a_step_as_its_steps_and_epochs_say():
    """1,000 steps are 1.06 epochs of 118,000 helpful and 42,000 harmless pairs; 200 steps 0.2 epoch."""
    data = PRESETS["secrets"].data
    assert round(data.steps * data.comparisons_per_step / 160_000, 2) == 1.06
    assert round(200 * data.comparisons_per_step / 160_000, 1) == 0.2


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_being_written_and_loaded(name):
    config = PRESETS[name].config(SOURCE, runtime=RuntimeOptions(seed=3), criterion="helpful")
    assert load_options(RewardModelConfig, options_to_dict(config)) == config
    assert config.preset == name == PRESETS[name].name and PRESETS[name].source


BASE = {"model": {"source": {"path": "x"}}, "optimizer": {"learning_rate": 1e-5}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"objective": {"margin": "large", "ranking_loss": "best_of_k"}},
            "margin 'large' belongs to the pairwise loss",
        ),
        (
            {"objective": {"strength_weighted": True, "ranking_loss": "plackett_luce"}},
            "strength_weighted belongs to losses of pairs",
        ),
        ({"objective": {"ranking_coefficient": 0.0}}, "ranking_coefficient must be positive, found 0.0"),
        ({"objective": {"lm_coefficient": -1.0}}, "lm_coefficient must be at least 0, found -1.0"),
        ({"objective": {"beta": 1.0}}, "beta"),
        ({"data": {"epochs": 0}}, "epochs must be at least 1, found 0"),
        ({"data": {"tokens_per_step": 0}}, "tokens_per_step must be at least 1, found 0"),
        ({"data": {"steps": 5}}, "give exactly one of epochs and steps .null for the other., found 1 and 5"),
        ({"data": {"epochs": None}}, "give exactly one of epochs and steps"),
        ({"data": {"tokens_per_step": 9, "balance_tokens": True}}, "two ways to divide an epoch"),
        ({"data": {"max_comparisons_per_step": 9}}, "max_comparisons_per_step belongs to balance_tokens"),
        (
            {"data": {"max_comparisons_per_step": 9, "balance_tokens": True}},
            "max_comparisons_per_step 9 is below comparisons_per_step 64",
        ),
        (
            {"data": {"tokens_per_step": 9, "min_comparisons_per_step": 8, "comparisons_per_step": 4}},
            "min_comparisons_per_step 8 is above",
        ),
        ({"tokenizer": {"vocabulary_size": 100}}, "vocabulary_size is 100"),
        ({"evaluation": {"logged_samples": -1}}, "logged_samples must be at least 0, found -1"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(changes, sentence):
    load_options(RewardModelConfig, BASE)
    with pytest.raises(UserError, match=sentence):
        load_options(RewardModelConfig, {**BASE, **changes})


def test_score_and_evaluate_need_only_a_model():
    assert load_options(ScoreConfig, {"model_path": "x"}).model_path == "x"
    assert load_options(EvaluateConfig, {"model_path": "x"}).split == "validation"


def test_config_and_presets_import_no_torch():
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'datasets', 'pandas', 'django'): sys.modules[name] = None\n"
        "import rewardmodel.training.config, rewardmodel.training.presets"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
