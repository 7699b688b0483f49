"""REINFORCE, RLOO and GRPO: gradients by enumeration, advantages by the papers' formulas, and the real command."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
import torch

from learning.interface.options import UserError, load_options, options_to_compare, options_to_dict
from learning.interface.training_options import (
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.run_context import RunContext
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.policy_gradient.config import PolicyGradientConfig, PolicyGradientOptions
from policy_training.training.policy_gradient.losses import (
    baseline,
    count_units,
    policy_gradient_loss,
    response_advantages,
    rewards_to_go,
)
from policy_training.training.ppo.config import RewardOptions, RolloutOptions
from policy_training.training.ptx import PtxMix
from tests.policy_training.training.conftest import (
    BATCH,
    create_run,
    demonstration_rows,
    in_process,
    launch,
    prompt_rows,
    text_rows,
)
from tests.policy_training.training.recipe_runs import tensors
from tests.policy_training.training.test_ppo_update import mean_token_gradient, mixed_in, numpy_token_nats

V, L = 3, 2
SEQUENCES = list(itertools.product(range(V), repeat=L))
_draw = np.random.default_rng(5)
_FIRST, _SECOND = _draw.normal(size=V), _draw.normal(size=(V, V))
# Of each token of each sequence: a token's reward knows nothing of the tokens after it.
REWARDS = np.array([[_FIRST[a], _SECOND[a, b]] for a, b in SEQUENCES])


def parameters() -> torch.Tensor:
    """Logits of the first token, and of the second after each first one: (1 + V, V)."""
    torch.manual_seed(3)
    return torch.randn(1 + V, V, dtype=torch.float64, requires_grad=True)


def logprobs_of(logits: torch.Tensor, sequences) -> torch.Tensor:
    """(N, L)"""
    table = torch.log_softmax(logits, dim=1)
    return torch.stack([torch.stack([table[0, a], table[1 + a, b]]) for a, b in sequences])


def true_gradient() -> np.ndarray:
    """Of the mean reward over all sequences, by its definition."""
    logits = parameters()
    probabilities_S = logprobs_of(logits, SEQUENCES).sum(1).exp()
    (probabilities_S * torch.tensor(REWARDS.sum(1))).sum().backward()
    return logits.grad.numpy()


@pytest.mark.parametrize(
    ("advantage", "base", "share"),
    [
        ("return", "none", 1.0),
        ("reward_to_go", "none", 1.0),
        ("return", "batch_mean", 0.5),  # 1 - 1/N of two responses: shorter, and turned nowhere
        ("leave_one_out", "none", 1.0),
    ],
)
@pytest.mark.parametrize("objective", ["log_probability", "ratio"])
def test_over_all_pairs_of_samples_the_mean_gradient_is_that_of_the_expected_reward(
    advantage, base, share, objective
):
    options = PolicyGradientOptions(advantage=advantage, baseline=base, objective=objective)
    logits = parameters()
    mask_NR = torch.ones(2, L, dtype=torch.bool)
    total = torch.zeros((), dtype=torch.float64)
    for pair in itertools.product(range(len(SEQUENCES)), repeat=2):
        sequences = [SEQUENCES[index] for index in pair]
        logprobs_NR = logprobs_of(logits, sequences)
        rewards_NR = torch.tensor(REWARDS[list(pair)])
        returns_N = rewards_NR.sum(1)
        if advantage == "reward_to_go":
            advantages_NR = rewards_to_go(rewards_NR, mask_NR) - baseline(returns_N, options)
        else:
            found_N = response_advantages(returns_N, options, samples_per_prompt=2)
            advantages_NR = found_N[:, None].expand(2, L)
        old_NR = logprobs_NR.detach()
        terms = policy_gradient_loss(logprobs_NR, old_NR, old_NR, advantages_NR, mask_NR, options)
        probability = float(old_NR.sum().exp())
        total = total - probability * terms.loss / count_units(mask_NR, options)
    total.backward()
    assert logits.grad.numpy() == pytest.approx(share * true_gradient(), abs=1e-12)


@pytest.mark.parametrize("averaging", ["responses", "tokens_of_each", "tokens"])
def test_what_counts_alike_is_what_the_option_says(averaging):
    """Two responses of 1 and 3 tokens, advantage 1: the gradient of each token's log-probability."""
    mask_NR = torch.tensor([[True, False, False], [True, True, True]])
    options = PolicyGradientOptions(averaging=averaging)
    logprobs_NR = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    zeros_NR = torch.zeros(2, 3, dtype=torch.float64)
    terms = policy_gradient_loss(logprobs_NR, zeros_NR, zeros_NR, zeros_NR + 1, mask_NR, options)
    (terms.loss / count_units(mask_NR, options)).backward()
    expected = {
        "responses": [[0.5, 0, 0], [0.5, 0.5, 0.5]],
        "tokens_of_each": [[1 / 2, 0, 0], [1 / 6, 1 / 6, 1 / 6]],
        "tokens": [[0.25, 0, 0], [0.25, 0.25, 0.25]],
    }[averaging]
    assert -logprobs_NR.grad.numpy() == pytest.approx(np.array(expected), abs=1e-12)


# ---- the command ------------------------------------------------------------------------------------------------


def gradient_config(policy_path, reward_model_path, **changes) -> PolicyGradientConfig:
    values = {
        "policy": ModelOptions(source=ModelSource(path=str(policy_path))),
        "reward_model_path": str(reward_model_path),
        "policy_optimizer": OptimizerOptions(learning_rate=3e-3, schedule="constant"),
        "batch": BATCH,
        "rollout": RolloutOptions(steps=6, prompts_per_step=4, samples_per_prompt=4),
        "reward": RewardOptions(kl_target=0.5),
        "algorithm": PolicyGradientOptions(advantage="leave_one_out", responses_per_minibatch=8),
        "evaluation": EvaluationOptions(max_examples=4),
        "runtime": RuntimeOptions(checkpoint_every_steps=2),
    }
    return PolicyGradientConfig(**(values | changes))


GRPO = PolicyGradientOptions(
    advantage="group_standardized",
    objective="ratio",
    clip_range=0.2,
    averaging="tokens_of_each",
    kl_loss_coefficient=0.04,
    responses_per_minibatch=8,
    epochs=2,
)


def test_the_command_moves_its_coefficient_and_stops_at_its_kl(tmp_path, policy_path, reward_model_path):
    config = gradient_config(
        policy_path,
        reward_model_path,
        algorithm=GRPO,
        rollout=RolloutOptions(steps=16, prompts_per_step=4, samples_per_prompt=4),
    )
    whole = create_run(tmp_path / "whole", "policy_gradient", config, prompts=prompt_rows(14))
    launch(whole)
    # One that stops by its KL is the same up to that step, and stays stopped when its end is taken again.
    kls = [row["kl"] for row in whole.metrics()[0]]
    last = next(step for step, kl in enumerate(kls, 1) if step > 2 and kl > max(kls[: step - 1]))
    far = dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, stop_at_kl=kls[last - 1]))
    stopped = create_run(tmp_path / "stopped", "policy_gradient", far, prompts=prompt_rows(14))
    launch(stopped)
    for _ in range(2):
        result = stopped.result()
        assert (result["steps"], result["stopped_at_kl"]) == (last, kls[last - 1])
        assert [row["kl"] for row in stopped.metrics()[0]] == kls[:last]
        (stopped.path / "result.json").unlink()
        shutil.rmtree(stopped.path / "model")
        in_process(policy_gradient, PolicyGradientConfig, stopped)
    result, metrics = whole.result(), whole.metrics()[0]
    assert (result["steps"], result["episodes"], result["evaluation_responses"]) == (16, 16 * 16, 4)
    assert {row["optimizer_steps"] for row in metrics} == {4}
    assert len({row["kl_coefficient"] for row in metrics}) == 16, "it moves, so that losing it would show"
    # Of the first step's first half every ratio is 1; later updates have moved on.
    assert metrics[0]["approx_kl"] > 0
    assert any(row["clip_fraction"] > 0 for row in metrics)


@pytest.mark.parametrize(
    "algorithm",
    [
        PolicyGradientOptions(responses_per_minibatch=64),
        PolicyGradientOptions(advantage="reward_to_go", responses_per_minibatch=64),
        PolicyGradientOptions(advantage="leave_one_out", responses_per_minibatch=64),
        dataclasses.replace(GRPO, responses_per_minibatch=64, epochs=1),
    ],
    ids=["reinforce", "reward_to_go", "rloo", "grpo"],
)
def test_each_of_them_raises_the_reward(tmp_path, policy_path, reward_model_path, algorithm):
    config = gradient_config(
        policy_path,
        reward_model_path,
        algorithm=algorithm,
        reward=RewardOptions(normalize=True, clip_range=None, kl_coefficient=0.0),
        policy_optimizer=OptimizerOptions(learning_rate=1e-2, schedule="constant"),
        rollout=RolloutOptions(steps=16, prompts_per_step=8, samples_per_prompt=8),
        evaluation=EvaluationOptions(max_examples=4, logged_samples=0),
    )
    run = create_run(tmp_path / "run", "policy_gradient", config, prompts=prompt_rows(12))
    in_process(policy_gradient, PolicyGradientConfig, run)
    scores = [row["score"] for row in run.metrics()[0]]
    assert sum(scores[-4:]) > sum(scores[:4])
    # One update a step: it is on what the policy sampled, so that no ratio has moved.
    assert all(row["approx_kl"] == pytest.approx(0.0, abs=1e-10) for row in run.metrics()[0])


@pytest.mark.parametrize("averaging", ["responses", "tokens_of_each", "tokens"])
def test_how_an_update_is_cut_into_micro_batches_does_not_change_it(
    tmp_path, policy_path, reward_model_path, averaging
):
    """CHECK 19: one prompt a pass, a few, and all of the step in one."""
    moved = []
    for tokens in (1, 140, 4096):
        config = gradient_config(
            policy_path,
            reward_model_path,
            batch=dataclasses.replace(BATCH, max_micro_batch_tokens=tokens),
            rollout=RolloutOptions(steps=1, prompts_per_step=8, samples_per_prompt=2),
            algorithm=dataclasses.replace(GRPO, averaging=averaging, responses_per_minibatch=16, epochs=1),
            policy_optimizer=OptimizerOptions(learning_rate=1e-5, schedule="constant", epsilon=1e-3),
            evaluation=EvaluationOptions(max_examples=1, logged_samples=0),
        )
        run = create_run(tmp_path / str(tokens), "policy_gradient", config, prompts=prompt_rows(12))
        in_process(policy_gradient, PolicyGradientConfig, run)
        moved.append((tensors(run), run.metrics()[0][0]["loss"]))
    for weights, loss in moved[:-1]:
        assert loss == pytest.approx(moved[-1][1], abs=1e-6)
        assert all(torch.allclose(weights[key], moved[-1][0][key], rtol=0, atol=1e-6) for key in weights)


PTX_ROWS = {"texts": text_rows(4), "demonstrations": demonstration_rows(4, heldout=0)}


@pytest.mark.parametrize(
    ("averaging", "each", "counts"),
    [("responses", {"ptx_examples_per_minibatch": 4}, (2, 2)), ("tokens", {}, (8, 8))],
)
def test_ptx_adds_its_gradient_and_is_logged_in_nats_a_token(
    tmp_path, policy_path, reward_model_path, tokenizer, averaging, each, counts
):
    """The step's gradient is that of the rollouts, however they are averaged, plus the coefficient times that of the
    mean loss of the tokens mixed in, recomputed in float64; without a number one to each of the 16 responses.
    """

    def gradient(coefficient: float):
        algorithm = dataclasses.replace(
            GRPO,
            averaging=averaging,
            responses_per_minibatch=16,
            ptx_coefficient=coefficient,
            ptx_texts_share=0.5,
            **each,
        )
        still = OptimizerOptions(learning_rate=1e-9, schedule="constant", max_grad_norm=0.0)
        config = gradient_config(policy_path, reward_model_path, algorithm=algorithm, policy_optimizer=still)
        run = create_run(
            tmp_path / str(coefficient), "policy_gradient", config, prompts=prompt_rows(8), **PTX_ROWS
        )
        context = RunContext.open(run, PolicyGradientConfig)
        try:
            state = policy_gradient.build_state(context)
            rollouts, _ = policy_gradient.step_rollouts(state, 1)
            minibatches = policy_gradient.make_minibatches(state, rollouts)
            policy_gradient.gather_advantages(state, rollouts, minibatches)
            kept, real = {}, state.policy.step

            def step():
                kept["gradient"] = torch.cat([p.grad.flatten() for p in state.policy.model.parameters()])
                return real()

            state.policy.step = step
            metrics = policy_gradient.update_policy(state, minibatches[0])
        finally:
            context.release()
        return kept["gradient"].double(), metrics, state

    alone, metrics_alone, state_alone = gradient(0.0)
    assert state_alone.ptx is None and "ptx_loss" not in metrics_alone
    both, metrics, state = gradient(0.7)
    assert state.ptx.drawn == dict(zip(("texts", "demonstrations"), counts, strict=True))
    # Which were drawn is the sampler's: the same draw from a second mix.
    size, numbers = sum(counts), list(range(4))
    drawn = PtxMix(
        texts=numbers,
        demonstrations=numbers,
        texts_share=0.5,
        examples_per_step=size,
        seed=state.config.runtime.seed + 1,
    ).next(16)
    sequences = mixed_in(
        tokenizer,
        [PTX_ROWS["texts"][number] for number in drawn[: counts[0]]],
        [PTX_ROWS["demonstrations"][number] for number in drawn[counts[0] :]],
    )
    reference = mean_token_gradient(state.policy.model, sequences)
    torch.testing.assert_close(both, alone + 0.7 * reference, rtol=0, atol=1e-6)
    nats = [
        nat for prompt, counted in sequences for nat in numpy_token_nats(state.policy.model, prompt, counted)
    ]
    ptx_loss = sum(nats) / len(nats)
    assert metrics["ptx_loss"] == pytest.approx(ptx_loss, abs=1e-5)
    assert metrics["loss"] == pytest.approx(metrics_alone["loss"] + 0.7 * ptx_loss, abs=1e-4)


def test_options_stored_before_there_was_a_ptx_loss_mean_what_they_did():
    """A run that was cut then goes on: what its checkpoints were made with is the same."""
    new = {name for name in PolicyGradientOptions.__dataclass_fields__ if name.startswith("ptx_")}
    stored = {name: value for name, value in options_to_dict(GRPO).items() if name not in new}
    loaded = load_options(PolicyGradientOptions, stored)
    assert loaded == GRPO and loaded.ptx_coefficient == 0 and len(new) == 4
    assert options_to_compare(loaded) == stored


def test_ptx_without_its_rows_is_refused(tmp_path, policy_path, reward_model_path):
    algorithm = dataclasses.replace(GRPO, ptx_coefficient=1.0, ptx_texts_share=1.0)
    config = gradient_config(policy_path, reward_model_path, algorithm=algorithm)
    run = create_run(tmp_path / "run", "policy_gradient", config, prompts=prompt_rows(8))
    with pytest.raises(UserError, match="ptx_coefficient: 1.0 with ptx_texts_share 1.0 needs inputs/texts"):
        in_process(policy_gradient, PolicyGradientConfig, run)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithm": PolicyGradientOptions(responses_per_minibatch=6)}, "must be a multiple of"),
        (
            {
                "rollout": RolloutOptions(samples_per_prompt=1),
                "algorithm": PolicyGradientOptions(advantage="leave_one_out"),
            },
            "'leave_one_out' compares the responses of a prompt, so sample at least 2",
        ),
        ({"policy": ModelOptions(source=ModelSource(path="x"), dropout=0.1)}, "policy.dropout is 0.1"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        gradient_config("x", "y", **changes)
    with pytest.raises(ValueError, match="has no ratio"):
        PolicyGradientOptions(clip_range=0.2)
    with pytest.raises(ValueError, match="ptx_texts_share must be between 0 and 1, found 1.5"):
        PolicyGradientOptions(ptx_coefficient=1.0, ptx_texts_share=1.5)
    with pytest.raises(ValueError, match="ptx_examples_per_minibatch 3: give one of them"):
        PolicyGradientOptions(ptx_examples_per_response=1.0, ptx_examples_per_minibatch=3)
