"""Presets hold the published values, load strictly, and are light enough for the web process."""

import subprocess
import sys

import pytest

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.training_options import ModelSource, RuntimeOptions
from rewardmodel.training.config import EvaluateConfig, RewardModelConfig, ScoreConfig
from rewardmodel.training.presets import PRESETS
from tests.rewardmodel.training.conftest import ROOT

SOURCE = ModelSource(path="somewhere/model")

PUBLISHED = {
    # name: learning rate, schedule, end, warm-up, comparisons a step, epochs, margin, pair weight, beta_rm
    "instructgpt": (9e-6, "cosine", 0.1, 0.0, 64, 1, "none", "all", 0.0),
    "llama2": (1e-5, "cosine", 0.1, 0.03, 512, 1, "large", "untied", 0.0),
    "secrets": (5e-6, "linear", 0.1, 0.1, 128, 1, "none", "untied", 1.0),
    "stiennon": (1.5e-5, "cosine", 0.0, 0.0, 64, 1, "none", "untied", 0.0),
    "n_plus": (3e-6, "cosine", 0.0, 0.0, 64, 1, "none", "untied", 0.0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_has_the_values_of_its_source(name):
    config = PRESETS[name].config(SOURCE)
    found = (
        config.optimizer.learning_rate,
        config.optimizer.schedule,
        config.optimizer.min_lr_ratio,
        config.optimizer.warmup_ratio,
        config.data.comparisons_per_step,
        config.data.epochs,
        config.objective.margin,
        config.objective.pair_weight,
        config.objective.lm_coefficient,
    )
    assert found == PUBLISHED[name]
    assert config.objective.ranking_loss == "pairwise"


def test_llama2_warms_up_for_at_least_five_steps_and_secrets_balances_tokens():
    assert PRESETS["llama2"].optimizer.warmup_steps == 5
    assert PRESETS["secrets"].data.min_comparisons_per_step == 4 and PRESETS["secrets"].data.tokens_per_step


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
        ({"objective": {"lm_coefficient": -1.0}}, "lm_coefficient must be at least 0, found -1.0"),
        ({"objective": {"beta": 1.0}}, "beta"),
        ({"data": {"epochs": 0}}, "epochs must be at least 1, found 0"),
        ({"data": {"tokens_per_step": 0}}, "tokens_per_step must be at least 1, found 0"),
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
