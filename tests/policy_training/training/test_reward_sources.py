"""Several reward models and functions as one score, against formulas written out here in NumPy, and in real runs."""

import dataclasses
import json
import math
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.batches.collation import Example
from learning.interface.options import UserError, load_options
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES, SCORES
from learning.interface.training_options import ModelSource, RuntimeOptions
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenization import train_tokenizer
from policy_training.training.best_of_n import recipe as best_of_n
from policy_training.training.config import EvaluateConfig
from policy_training.training.evaluation import evaluate
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import PPOConfig, RewardOptions
from policy_training.training.reward_config import (
    EXACT_ANSWER,
    LENGTH_PENALTY,
    RewardFunctionPart,
    RewardModelPart,
    RewardSourcesOptions,
)
from policy_training.training.rewards.function_calls import ALLOWED_VARIABLE
from policy_training.training.rewards.sources import (
    critic_scale,
    ensemble,
    model_spread,
    safety_gate,
    weighted_sum,
    whiten_scores,
)
from rewardmodel.training.scoring import RewardScorer
from tests.policy_training.training.conftest import (
    BATCH,
    FRESH,
    create_run,
    in_process,
    launch,
    ppo_config,
    prompt_rows,
)
from tests.policy_training.training.recipe_runs import assert_same_run, interrupt
from tests.policy_training.training.test_best_of_n import config_of as best_of_n_config
from tests.policy_training.training.test_policy_gradient import gradient_config

EXACT = torch.float64


@pytest.fixture(scope="module")
def foreign_model_path(tmp_path_factory) -> Path:
    """A reward model with a base and a tokenizer of its own."""
    other = train_tokenizer(["What is a fox, please? The owl is kind. Sure! The whale is big."], 300)
    torch.manual_seed(5)
    base, path = (tmp_path_factory.mktemp("foreign") / name for name in ("base", "model"))
    save_model(load_policy(ModelSource(from_scratch=FRESH), other), other, base)
    model = load_reward_model(ModelSource(path=str(base)), other)
    model.config.reward_shift = -0.5
    save_model(model, other, path)
    return path


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=EXACT)


def test_a_weighted_sum_by_hand():
    scores_MN = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.0, -1.0]], dtype=EXACT)
    assert weighted_sum(scores_MN, tensor(2.0, -0.5)).tolist() == [0.0, -4.0, 1.5]


def test_llama_2_gate_by_hand_with_probabilities():
    """Llama 2, 3.2.3: R_c in probabilities, and logit(R_c) for the policy, row by row."""
    helpful, safe = [2.0, 1.0, -3.0, 0.4], [1.5, -2.0, 3.0, -1.7]
    risky = [False, False, True, False]
    expected = []
    for h, s, is_risky in zip(helpful, safe, risky, strict=True):
        r_h, r_s = 1 / (1 + math.exp(-h)), 1 / (1 + math.exp(-s))
        r_c = r_s if is_risky or r_s < 0.15 else r_h
        expected.append(math.log(r_c / (1 - r_c)))
    gated = safety_gate(
        tensor(*helpful),
        tensor(*safe),
        torch.tensor(risky),
        safety_logit=RewardSourcesOptions().safety_logit,
    )
    assert gated.tolist() == pytest.approx(expected, abs=1e-12)
    # sigmoid(-1.7) = 0.154 is above 0.15, sigmoid(-2) = 0.119 below it.
    assert gated.tolist() == [2.0, -2.0, 3.0, 0.4]


@given(
    st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=6), st.floats(0, 5)
)
def test_an_ensemble_is_its_mean_minus_k_spreads(rows, k):
    scores_MN = np.array(rows, dtype=np.float64)
    found = ensemble(torch.from_numpy(scores_MN), spread_coefficient=k)
    centred = scores_MN - scores_MN.sum(0) / len(rows)
    spread = np.sqrt((centred**2).sum(0) / len(rows))
    assert found.numpy() == pytest.approx(scores_MN.sum(0) / len(rows) - k * spread, abs=1e-9)
    assert model_spread(torch.from_numpy(scores_MN)).numpy() == pytest.approx(spread, abs=1e-9)


def test_whitened_scores_have_mean_0_and_variance_1_and_equal_ones_are_0():
    # Mean 2, deviations -3 -1 1 3, variance (9 + 1 + 1 + 9) / 4 = 5.
    root = math.sqrt(5)
    white = whiten_scores(tensor(-1.0, 1.0, 3.0, 5.0)).tolist()
    assert white == pytest.approx([-3 / root, -1 / root, 1 / root, 3 / root], abs=1e-12)
    assert whiten_scores(tensor(7.0, 7.0, 7.0)).tolist() == [0.0, 0.0, 0.0]


def test_a_critic_from_the_first_model_starts_with_mean_and_spread_of_the_processed_scores():
    """Own scores 0, 2 (output = score + shift 0.5); processed 10, 16. The value of each is the processed score."""

    class Row:
        def __init__(self, own: float) -> None:
            self.parts, self.score = {"reward_model": own}, 99.0

    shift, scale = critic_scale([Row(0.0), Row(2.0)], tensor(10.0, 16.0), reward_shift=0.5)
    assert [(own + 0.5 - shift) / scale for own in (0.0, 2.0)] == pytest.approx([10.0, 16.0], abs=1e-12)


@pytest.mark.parametrize(
    ("rewards", "sentence"),
    [
        ({"combination": "safety_gate"}, "takes one further model"),
        ({"combination": "ensemble"}, "takes one further model at least"),
        (
            {"combination": "safety_gate", "models": [{"name": "s"}], "normalize_models": True},
            "safety_threshold reads the safety model's own",
        ),
        ({"models": [{"name": "a b"}, {"name": "a-b"}]}, "'a_b' stands twice"),
        ({"models": [{"name": "reward model"}]}, "'reward_model' stands twice"),
        ({"models": [{"name": "--"}]}, "give the name of a reward model"),
        ({"safety_threshold": 1.0}, "safety_threshold is a probability below 1"),
        ({"functions": [{"function": "os"}]}, "write it as package.module.function"),
        ({"functions": [{"function": "a.b", "time_limit_seconds": 0}]}, "time_limit_seconds"),
        ({"whiten": True}, "whiten is for training"),
        ({"normalize_models": True}, "there is no reference"),
    ],
)
def test_what_does_not_fit_is_one_sentence(rewards, sentence):
    with pytest.raises(UserError, match=sentence):
        load_options(EvaluateConfig, {"policy": {"path": "p"}, "reward_model_path": "r", "rewards": rewards})


def evaluation(tmp_path, rewards, policy_path, reward_model_path, *, rows, reference=None, name="run"):
    config = EvaluateConfig(
        policy=ModelSource(path=str(policy_path)),
        reward_model_path=str(reward_model_path),
        reference=ModelSource(path=str(policy_path)) if reference else None,
        samples_per_prompt=2,
        batch=dataclasses.replace(BATCH, max_prompt_tokens=48, max_response_tokens=16),
        rewards=rewards,
    )
    run = create_run(tmp_path / name, "evaluate", config, prompts=rows)
    result = in_process(evaluate, EvaluateConfig, run)
    responses = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
    scores = [row["reward"] for row in read_records(run.path / "scores.parquet", SCORES)]
    return run, result, responses, np.array(scores)


def direct(path: Path, responses, *, reads_ids: bool = False) -> np.ndarray:
    """What a reward model says when it is asked by itself: of the texts, or of the sampled ids where it has the
    policy's tokenizer (text of a random policy encodes to other ids).
    """
    limits = dataclasses.replace(BATCH, max_prompt_tokens=48, max_response_tokens=16)
    scorer = RewardScorer.load(path, batch=limits)
    found = []
    for row in responses:
        example = scorer.tokenize([row["prompt"]], [[row["text"]]], ended=[[row["ended"]]])
        if reads_ids:
            example = [Example(example[0].prompt_ids, [row["token_ids"]])]
        found.append(scorer.score_examples(example)[0][0])
    return np.array(found)


def test_an_evaluation_by_two_models_of_two_tokenizers_and_functions(
    tmp_path, policy_path, reward_model_path, foreign_model_path, monkeypatch
):
    (tmp_path / "levels.py").write_text(
        "def level(prompts, responses, records):\n"
        "    return [record['metadata']['level'] * ('hard' in record['tags']) for record in records]\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setenv(ALLOWED_VARIABLE, "levels.level")
    rows = [
        row | {"metadata": json.dumps({"level": place}), "tags": ["hard"] if place % 2 else []}
        for place, row in enumerate(prompt_rows(5))
    ]
    rewards = RewardSourcesOptions(
        weight=2.0,
        models=(RewardModelPart(name="Harmless, round 1", path=str(foreign_model_path), weight=-0.5),),
        functions=(
            RewardFunctionPart(function=LENGTH_PENALTY, weight=3.0),
            RewardFunctionPart(function="levels.level", weight=10.0),
        ),
    )
    run, result, responses, scores = evaluation(tmp_path, rewards, policy_path, reward_model_path, rows=rows)
    own, other = direct(reward_model_path, responses, reads_ids=True), direct(foreign_model_path, responses)
    penalty = np.array([-len(row["text"]) / 100 for row in responses])
    # Of the prompts p0 to p4, p1 and p3 are hard: 1 and 3 for both answers of each.
    levels = np.array([{"p1": 1.0, "p3": 3.0}.get(row["prompt_id"], 0.0) for row in responses])
    assert scores == pytest.approx(2.0 * own - 0.5 * other + 3.0 * penalty + 10.0 * levels, abs=1e-5)
    assert result["parts"] == pytest.approx(
        {
            "reward_model": own.mean(),
            "Harmless_round_1": other.mean(),
            "length_penalty": penalty.mean(),
            "level": 0.8,
        },
        abs=1e-5,
    )
    # Two answers each to five prompts, which are what was drawn.
    by_prompt = {row["prompt_id"]: [] for row in responses}
    for row, score in zip(responses, scores, strict=True):
        by_prompt[row["prompt_id"]].append(score)
    means = np.array(list(by_prompt.values())).mean(axis=1)
    assert means.shape == (5,)
    assert result["score_standard_error"] == pytest.approx(means.std(ddof=1) / np.sqrt(5))
    assert result["rewards"]["functions"] == [LENGTH_PENALTY, "levels.level"]
    assert result["rewards"]["model_sha256s"]["Harmless_round_1"]["model.safetensors"]
    sample = run.samples(1)[0]

    assert {"score_reward_model", "score_length_penalty"} <= sample.keys()


@pytest.mark.parametrize("recipe", ["ppo", "policy_gradient", "best_of_n", "evaluate"])
def test_every_recipe_names_the_prompt_without_a_reference_answer_before_it_loads_models(tmp_path, recipe):
    nowhere = tmp_path / "nowhere"
    source = ModelSource(path=str(nowhere))
    module, config = {
        "ppo": (ppo, ppo_config(nowhere, nowhere)),
        "policy_gradient": (policy_gradient, gradient_config(nowhere, nowhere)),
        "best_of_n": (best_of_n, best_of_n_config(nowhere, nowhere)),
        "evaluate": (evaluate, EvaluateConfig(policy=source, reward_model_path=str(nowhere))),
    }[recipe]
    rewards = RewardSourcesOptions(functions=(RewardFunctionPart(function=EXACT_ANSWER),))
    rows = [row | {"metadata": json.dumps({"answer": "#### 4"})} for row in prompt_rows(9)]
    del rows[6]["metadata"]
    run = create_run(tmp_path / "run", recipe, dataclasses.replace(config, rewards=rewards), prompts=rows)
    with pytest.raises(UserError, match=r"exact_answer: the prompt 'p6' has no reference answer"):
        in_process(module, type(config), run)


def test_normalized_models_are_measured_by_the_references_answers(
    tmp_path, policy_path, reward_model_path, foreign_model_path
):
    rewards = RewardSourcesOptions(
        models=(RewardModelPart(name="other", path=str(foreign_model_path), weight=1.0),),
        normalize_models=True,
    )
    _, result, responses, scores = evaluation(
        tmp_path, rewards, policy_path, reward_model_path, rows=prompt_rows(6), reference=True
    )
    means, deviations = result["rewards"]["means"], result["rewards"]["standard_deviations"]
    expected = sum(
        (scores_of - means[name]) / deviations[name]
        for name, scores_of in (
            ("reward_model", direct(reward_model_path, responses, reads_ids=True)),
            ("other", direct(foreign_model_path, responses)),
        )
    )
    assert scores == pytest.approx(expected, abs=1e-4)
    assert means["other"] != pytest.approx(means["reward_model"], abs=1e-3)


def test_prompts_with_the_tag_are_scored_by_the_safety_model(
    tmp_path, policy_path, reward_model_path, foreign_model_path
):
    rows = prompt_rows(6)
    for row in rows[:2]:
        row["tags"] = ["other", "risky"]
    rewards = RewardSourcesOptions(
        combination="safety_gate",
        models=(RewardModelPart(name="safety", path=str(foreign_model_path)),),
        safety_threshold=0.0,
        risky_tag="risky",
    )
    _, _, responses, scores = evaluation(tmp_path, rewards, policy_path, reward_model_path, rows=rows)
    risky = np.array([row["prompt_id"] in ("p0", "p1") for row in responses])
    expected = np.where(
        risky, direct(foreign_model_path, responses), direct(reward_model_path, responses, reads_ids=True)
    )
    assert risky.sum() == 4 and scores == pytest.approx(expected, abs=1e-5)


def test_ppo_on_an_ensemble_killed_and_started_again_equals_an_uninterrupted_run(
    tmp_path, policy_path, reward_model_path, foreign_model_path
):
    base = ppo_config(policy_path, reward_model_path)
    config = dataclasses.replace(
        base,
        rollout=dataclasses.replace(base.rollout, steps=12, prompts_per_step=2),
        reward=RewardOptions(normalize=False),
        rewards=RewardSourcesOptions(
            combination="ensemble",
            models=(RewardModelPart(name="other", path=str(foreign_model_path)),),
            functions=(RewardFunctionPart(function=LENGTH_PENALTY, weight=0.5),),
            normalize_models=True,
            normalization_prompts=6,
            spread_coefficient=0.7,
            whiten=True,
        ),
        runtime=RuntimeOptions(checkpoint_every_steps=2),
    )
    rows = prompt_rows(12)
    whole = create_run(tmp_path / "whole", "ppo", config, prompts=rows)
    in_process(ppo, PPOConfig, whole)
    cut = create_run(tmp_path / "cut", "ppo", config, prompts=rows)
    status = interrupt("ppo", cut, when="checkpoints/step-000004*/complete.json", with_signal=signal.SIGKILL)
    assert status == -signal.SIGKILL and cut.has_checkpoint()
    launch(cut)
    assert_same_run(whole, cut, "model", "critic")
    result = whole.result()
    assert result["rewards"] == cut.result()["rewards"] and result["rewards"]["means"]
    means, deviations = result["rewards"]["means"], result["rewards"]["standard_deviations"]
    for row in whole.metrics()[0]:
        # Linear in the parts, so that it holds for means over responses too; the spread is a part.
        models = [(row[f"score_{name}"] - means[name]) / deviations[name] for name in means]
        expected = sum(models) / 2 - 0.7 * row["score_model_spread"] + 0.5 * row["score_length_penalty"]
        assert row["score"] == pytest.approx(expected, abs=1e-6)
        assert row["processed_score"] == pytest.approx(0.0, abs=1e-9)
