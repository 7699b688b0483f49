"""DPO: its loss by the paper's formulas, its optimum, and the real command."""

import dataclasses
import math
import random

import numpy as np
import pytest
import torch

from learning.interface.options import UserError
from learning.interface.training_options import ModelOptions, ModelSource, OptimizerOptions, RuntimeOptions
from policy_training.training.dpo import recipe as dpo
from policy_training.training.dpo.config import DPOConfig, DPOObjectiveOptions
from policy_training.training.dpo.losses import dpo_losses
from rewardmodel.training.comparisons import Comparison, Pair, build_targets
from rewardmodel.training.config import DataOptions
from tests.policy_training.training.conftest import (
    ANIMALS,
    BATCH,
    create_run,
    in_process,
    launch,
    question,
)
from tests.policy_training.training.recipe_runs import tensors


def comparison(shares, *, weight=1.0, n=2) -> Comparison:
    """`shares`: {(first, second): share of people for the first}, at least a half."""
    return Comparison(
        group_id="g",
        prompt=question("fox", 1),
        responses=tuple(f"answer {place}" for place in range(n)),
        ranks=None,
        pairs=tuple(
            Pair(first=first, second=second, preference=share, strength=None)
            for (first, second), share in shares.items()
        ),
        weight=weight,
        split="train",
    )


def losses_of(comparisons, logprobs_NR, lengths_N, reference_N, **options):
    is_response_NR = torch.arange(logprobs_NR.shape[1]) < torch.tensor(lengths_N)[:, None]
    objective = DPOObjectiveOptions(**options)
    return dpo_losses(
        logprobs_NR, is_response_NR, torch.tensor(reference_N), build_targets(comparisons), objective
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_and_its_gradient_are_those_of_the_paper(smoothing):
    """Equation 7, and the gradient of its section 4: -beta sigmoid(r_l - r_w) (grad log pi(y_w) - grad log pi(y_l))."""
    rng = np.random.default_rng(0)
    beta, lengths = 0.3, [4, 2, 3, 5]
    logprobs = rng.normal(-2, 1, (4, 5))
    reference = rng.normal(-7, 1, 4)
    logprobs_NR = torch.tensor(logprobs, requires_grad=True)
    # What stands behind a response must not be read, whatever it is.
    spoiled_NR = torch.where(
        torch.arange(5) < torch.tensor(lengths)[:, None], logprobs_NR, torch.full_like(logprobs_NR, math.nan)
    )
    found = losses_of(
        [comparison({(1, 0): 1.0}, weight=2.0), comparison({(0, 1): 1.0})],
        spoiled_NR,
        lengths,
        reference,
        beta=beta,
        label_smoothing=smoothing,
    )
    rewards = [beta * (logprobs[n, : lengths[n]].sum() - reference[n]) for n in range(4)]
    expected, gradient = [], np.zeros((4, 5))
    for index, (winner, loser) in enumerate([(1, 0), (2, 3)]):
        margin = rewards[winner] - rewards[loser]
        expected.append(-(1 - smoothing) * math.log(sigmoid(margin)) - smoothing * math.log(sigmoid(-margin)))
        slope = (1 - smoothing) * sigmoid(-margin) - smoothing * sigmoid(margin)
        for row, sign in ((winner, -1), (loser, 1)):
            gradient[row, : lengths[row]] = sign * beta * slope * (2.0 if index == 0 else 1.0)
    assert found.total_B.detach().numpy() == pytest.approx(expected, abs=1e-12)
    assert found.rewards_N.numpy() == pytest.approx(rewards, abs=1e-12)
    (found.total_B * torch.tensor([2.0, 1.0])).sum().backward()
    assert logprobs_NR.grad.numpy() == pytest.approx(gradient, abs=1e-12)


def test_all_pairs_of_a_ranking_count_alike_and_ties_are_for_soft_labels():
    logprobs_NR = torch.tensor([[-1.0], [-2.0], [-4.0]], dtype=torch.float64)
    judged = [comparison({(0, 1): 0.75, (0, 2): 1.0, (1, 2): 0.5}, n=3)]
    reference = [0.0, 0.0, 0.0]
    r = [-0.5, -1.0, -2.0]
    pairwise = losses_of(judged, logprobs_NR, [1, 1, 1], reference, beta=0.5)
    untied = [-math.log(sigmoid(r[0] - r[1])), -math.log(sigmoid(r[0] - r[2]))]
    assert float(pairwise.total_B) == pytest.approx(sum(untied) / 2, abs=1e-12)
    soft = losses_of(judged, logprobs_NR, [1, 1, 1], reference, beta=0.5, loss="soft_labels")

    def cross_entropy(share, first, second):
        difference = r[first] - r[second]
        return -share * math.log(sigmoid(difference)) - (1 - share) * math.log(sigmoid(-difference))

    every = [cross_entropy(0.75, 0, 1), cross_entropy(1.0, 0, 2), cross_entropy(0.5, 1, 2)]
    assert float(soft.total_B) == pytest.approx(sum(every) / 3, abs=1e-12)


def test_the_sft_term_is_the_mean_loss_of_a_preferred_token():
    logprobs_NR = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, 0.0, 0.0]], dtype=torch.float64)
    with_term, without = (
        losses_of([comparison({(0, 1): 1.0})], logprobs_NR, [3, 1], [-6.0, -4.0], sft_coefficient=c)
        for c in (0.5, 0.0)
    )
    assert float(without.total_B) == pytest.approx(math.log(2), abs=1e-12)
    assert float(with_term.total_B - without.total_B) == pytest.approx(0.5 * 2.0, abs=1e-12)


def test_preferences_of_a_known_reward_lead_to_the_known_optimum():
    """Rafailov et al., section 4: where judgments follow Bradley-Terry with reward r, the minimum is the policy
    pi_ref exp(r / beta) / Z. Six responses, every pair compared with its exact share."""
    beta = 0.5
    reward = np.array([0.0, 1.0, -1.0, 0.5, 2.0, 0.3])
    reference = np.array([0.3, 0.1, 0.2, 0.2, 0.05, 0.15])
    shares = {}
    for i in range(6):
        for j in range(i + 1, 6):
            first, second = (i, j) if reward[i] >= reward[j] else (j, i)
            shares[first, second] = sigmoid(reward[first] - reward[second])
    judged = [comparison(shares, n=6)]
    logits = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logits], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        logprobs_NR = torch.log_softmax(logits, 0)[:, None]
        found = losses_of(judged, logprobs_NR, [1] * 6, np.log(reference), beta=beta, loss="soft_labels")
        found.total_B.sum().backward()
        return found.total_B.sum()

    optimizer.step(closure)
    best = reference * np.exp(reward / beta)
    assert torch.softmax(logits, 0).detach().numpy() == pytest.approx(best / best.sum(), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beta": 0.0}, "beta must be positive, found 0.0"),
        ({"label_smoothing": 0.5}, "below 0.5, found 0.5"),
        ({"label_smoothing": 0.1, "loss": "soft_labels"}, "label_smoothing belongs to the pairwise loss"),
        ({"margin": "small", "loss": "plackett_luce"}, "margin 'small' belongs to the pairwise loss"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        DPOObjectiveOptions(**options)


# ---- the command ------------------------------------------------------------------------------------------------


def comparison_rows(n: int, *, heldout: int = 8, seed: int = 0) -> list[dict]:
    """Whoever calls the animal kind is preferred."""
    rng = random.Random(seed)
    rows = []
    for index in range(n):
        animal = rng.choice(ANIMALS)
        texts = [f"The {animal} is kind.", f"The {animal} is small."]
        if flipped := rng.random() < 0.5:
            texts.reverse()
        better, worse = (1, 0) if flipped else (0, 1)
        shares = [[None, None], [None, None]]
        shares[better][worse], shares[worse][better] = 1.0, 0.0
        rows.append(
            {
                "group_id": f"g{index}",
                "criterion": "helpful",
                "prompt": question(animal, index),
                "responses": texts,
                "response_ids": [f"r{index}-0", f"r{index}-1"],
                "ranks": [0, 1] if better == 0 else [1, 0],
                "grade": [[None, None], [None, None]],
                "soft_preference": shares,
                "weight": 1.0,
                "n_annotators": 1,
                "agreement": None,
                "annotator_kind": "person",
                "round": 1,
                "split": "validation" if index < heldout else "train",
            }
        )
    return rows


def dpo_config(policy_path, **changes) -> DPOConfig:
    values = {
        "model": ModelOptions(source=ModelSource(path=str(policy_path))),
        "optimizer": OptimizerOptions(learning_rate=3e-3, warmup_steps=2),
        "batch": BATCH,
        "data": DataOptions(epochs=None, steps=40, comparisons_per_step=16),
        "objective": DPOObjectiveOptions(beta=0.5, sft_coefficient=0.1),
        "runtime": RuntimeOptions(checkpoint_every_steps=5),
    }
    return DPOConfig(**(values | changes))


def test_the_command_learns_what_people_prefer(tmp_path, policy_path):
    config, rows = dpo_config(policy_path), comparison_rows(60)
    config = dataclasses.replace(
        config, evaluation=dataclasses.replace(config.evaluation, evaluate_every_steps=8, logged_samples=2)
    )
    whole = create_run(tmp_path / "whole", "dpo", config, comparisons=rows)
    launch(whole)
    result = whole.result()
    # The policy is its own reference at the start: every implicit reward is 0.
    assert result["loss_before"] == pytest.approx(math.log(2), abs=1e-6)
    assert (result["train_examples"], result["heldout_examples"], result["steps"]) == (52, 8, 40)
    assert (result["accuracy_before"], result["accuracy_after"]) == (0.5, 1.0)
    metrics = whole.metrics()[0]
    assert len(metrics) == 40 and metrics[-1]["preference_loss"] < 0.5 < metrics[0]["preference_loss"]
    assert metrics[0]["loss"] == pytest.approx(
        metrics[0]["preference_loss"] + 0.1 * metrics[0]["sft_loss"], abs=1e-9
    )
    assert metrics[-1]["reward_margin"] > 0
    assert result["policy_sha256s"] == result["reference_sha256s"] != result["model_sha256s"]


def test_another_reference_is_read_once_and_the_policy_is_held_against_it(tmp_path, policy_path):
    first = create_run(
        tmp_path / "first",
        "dpo",
        dpo_config(policy_path, data=DataOptions(epochs=None, steps=6, comparisons_per_step=16)),
        comparisons=comparison_rows(40),
    )
    in_process(dpo, DPOConfig, first)
    config = dpo_config(
        first.path / "model",
        reference=ModelSource(path=str(policy_path)),
        data=DataOptions(epochs=None, steps=1, comparisons_per_step=16),
    )
    second = create_run(tmp_path / "second", "dpo", config, comparisons=comparison_rows(40))
    result = in_process(dpo, DPOConfig, second)
    # It begins where the first ended, held against the same model.
    for name in ("loss", "accuracy", "reward_margin"):
        assert result[f"{name}_before"] == pytest.approx(first.result()[f"{name}_after"], abs=1e-5)
    assert result["reward_margin_before"] != 0
    assert result["reference_sha256s"] == first.result()["policy_sha256s"]


def test_how_an_update_is_cut_into_micro_batches_does_not_change_it(tmp_path, policy_path):
    """CHECK 19: a comparison a pass, a few, and all of the step in one."""
    moved = []
    for tokens in (1, 140, 4096):
        config = dpo_config(
            policy_path,
            batch=dataclasses.replace(BATCH, max_micro_batch_tokens=tokens),
            data=DataOptions(epochs=None, steps=1, comparisons_per_step=12),
            optimizer=OptimizerOptions(learning_rate=1e-5, schedule="constant", epsilon=1e-3),
            objective=DPOObjectiveOptions(sft_coefficient=0.3, label_smoothing=0.1),
        )
        run = create_run(tmp_path / str(tokens), "dpo", config, comparisons=comparison_rows(20))
        in_process(dpo, DPOConfig, run)
        moved.append((tensors(run), run.metrics()[0][0]["loss"]))
    for weights, loss in moved[:-1]:
        assert loss == pytest.approx(moved[-1][1], abs=1e-6)
        assert all(torch.allclose(weights[key], moved[-1][0][key], rtol=0, atol=1e-6) for key in weights)


def test_comparisons_in_which_tools_speak_are_left_out_and_counted(tmp_path, policy_path):
    rows = comparison_rows(20)
    turns = [
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "c", "name": "look", "arguments": "{}"}
        ]},
        {"role": "tool", "content": "a fox", "tool_call_id": "c"},
        {"role": "assistant", "content": "The fox is kind."},
    ]  # fmt: skip
    rows[-1]["turns"] = [turns, None]
    config = dpo_config(policy_path, data=DataOptions(epochs=1, comparisons_per_step=16))
    run = create_run(tmp_path / "run", "dpo", config, comparisons=rows)
    result = in_process(dpo, DPOConfig, run)
    assert result["train_examples"] == 11
    assert any("1 of 20 comparisons are left out: tools speak" in note for note in run.status().notes)


def test_too_few_comparisons_are_refused_in_a_sentence(tmp_path, policy_path):
    run = create_run(tmp_path / "run", "dpo", dpo_config(policy_path), comparisons=comparison_rows(9))
    with pytest.raises(UserError, match="inputs/comparisons.parquet has"):
        in_process(dpo, DPOConfig, run)


def test_a_margin_without_any_strength_is_refused_and_not_ignored(tmp_path, policy_path):
    config = dpo_config(policy_path, objective=DPOObjectiveOptions(margin="small"))
    run = create_run(tmp_path / "run", "dpo", config, comparisons=comparison_rows(20))
    with pytest.raises(UserError, match="has no strengths"):
        in_process(dpo, DPOConfig, run)
