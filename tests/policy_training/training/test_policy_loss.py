"""What an update of the policy minimises, against the papers' formulas in NumPy or float64 on the whole model."""

import dataclasses

import numpy as np
import pytest
import torch

from learning.interface.training_options import OptimizerOptions
from policy_training.training.losses import clipped_policy_loss, kl_to_present_policy, log_probability_loss
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo import update as ppo_update
from policy_training.training.ppo.config import (
    AlgorithmOptions,
    CriticOptions,
    PolicyLossOptions,
    RolloutOptions,
)
from policy_training.training.ppo.policy_loss import PenaltyController, entropy_weight
from tests.policy_training.training.conftest import BATCH, ppo_config
from tests.policy_training.training.ppo_states import collect_experience

ONE = torch.ones(1, 1, dtype=torch.bool)
STILL = OptimizerOptions(learning_rate=1e-9, schedule="constant", max_grad_norm=0.0)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize("distance", [0.0, 0.1, 1.0, 3.0])
def test_value_and_gradient_of_the_penalty_are_those_of_the_exact_kl_over_every_token(distance):
    """Over a vocabulary of 12, each token weighed by how often the old policy samples it. By logits the gradient of
    KL(old || softmax(z)) is softmax(z) - old.
    """
    rng = np.random.default_rng(1)
    old, new = (rng.normal(size=12) for _ in range(2))
    new = old + distance * new
    old_logprobs = torch.tensor(np.log(softmax(old)))
    logits = torch.tensor(new, requires_grad=True)
    value = torch.zeros((), dtype=torch.float64)
    for token in range(12):
        estimate = kl_to_present_policy(
            logits.log_softmax(-1)[token].reshape(1, 1), old_logprobs[token].reshape(1, 1), ONE
        )
        value = value + softmax(old)[token] * estimate
    value.backward()
    exact = np.sum(softmax(old) * (np.log(softmax(old)) - np.log(softmax(new))))
    assert value.item() == pytest.approx(exact, abs=1e-12)
    np.testing.assert_allclose(logits.grad.numpy(), softmax(new) - softmax(old), rtol=0, atol=1e-12)


def test_the_penaltys_gradient_is_exactly_zero_at_ratio_one_for_every_single_token():
    logprobs = torch.tensor([[-0.5, -3.0, -9.0]], dtype=torch.float64, requires_grad=True)
    kl_to_present_policy(logprobs, logprobs.detach(), torch.ones(1, 3, dtype=torch.bool)).backward()
    assert (logprobs.grad == 0.0).all()


def test_a_log_probability_is_pushed_by_its_advantage_however_far_the_policy_has_moved():
    """What the ratio's clip stops at 1.2 goes on, as strongly at a log-ratio of 5 as at 0."""
    for log_ratio in (0.0, 1.0, 5.0):
        logprob = torch.tensor([[-6.0 + log_ratio]], dtype=torch.float64, requires_grad=True)
        old, advantage = torch.full_like(logprob, -6.0).detach(), torch.full((1, 1), 2.0).double()
        terms = log_probability_loss(logprob, old, advantage, ONE)
        terms.loss.backward()
        assert terms.loss.item() == pytest.approx(-2.0 * (-6.0 + log_ratio))
        assert logprob.grad.item() == -2.0 and int(terms.clipped_tokens) == 0
        assert terms.approx_kl.item() == pytest.approx(np.exp(log_ratio) - 1 - log_ratio)
        clipped = clipped_policy_loss(logprob, old, advantage, ONE, clip=0.2).loss
        (gradient,) = torch.autograd.grad(clipped, logprob)
        assert gradient.item() == (-2.0 if log_ratio == 0 else 0.0)


CASES = {
    "clip": (PolicyLossOptions(), 0.2),
    "no clip": (PolicyLossOptions(), None),
    "penalty instead of the clip": (PolicyLossOptions(kl_penalty_coefficient=0.7), None),
    "penalty and clip": (PolicyLossOptions(kl_penalty_coefficient=0.7), 0.2),
    "entropy bonus": (PolicyLossOptions(entropy_coefficient=0.3), 0.2),
    "entropy held from above": (
        PolicyLossOptions(entropy_coefficient=0.3, entropy_threshold=0.01, entropy_rule="hold_at"),
        0.2,
    ),
    "log-probability": (PolicyLossOptions(objective="log_probability"), None),
    "reference as the old policy": (PolicyLossOptions(old_policy="reference"), 0.2),
    "all of it": (
        PolicyLossOptions(old_policy="reference", kl_penalty_coefficient=0.5, entropy_coefficient=0.2),
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_of_a_policy_update_is_that_of_the_papers_formula_in_float64(small_state, name):
    """Mean over the minibatch's tokens of -min(r A, clip(r) A) [or -A log pi] + beta (r' - 1 - log r') - c H, on plain
    forward passes of the whole model, with r to the ratio's old policy and r' to the policy that sampled.
    """
    options, clip = CASES[name]
    state = small_state(
        algorithm=AlgorithmOptions(responses_per_minibatch=16, clip_range=clip),
        policy_loss=options,
        policy_optimizer=STILL,
        batch=dataclasses.replace(BATCH, max_micro_batch_tokens=140),
    )
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():  # three policies: the reference, the one that samples, the one that learns
        for parameter in state.policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    rollouts, minibatches = collect_experience(state)
    assert len(minibatches[0]) > 1
    with torch.no_grad():
        for parameter in state.policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    advantage_of = {}
    for micro_batch in minibatches[0]:
        ids = micro_batch.batch.response_ids_NR.float()
        micro_batch.advantages_NR = torch.sin(
            ids + torch.arange(ids.shape[1])
        )  # of both signs, known here too
        for position, row in enumerate(micro_batch.rollout_indices):
            advantage_of[row] = micro_batch.advantages_NR[position].double()

    kept, real = {}, state.policy.step

    def step():
        kept["gradient"] = torch.cat([p.grad.flatten() for p in state.policy.model.parameters()])
        return real()

    state.policy.step = step
    tokens = float(sum(len(rollout.response.token_ids) for rollout in rollouts))
    metrics = ppo_update.update_policy(state, minibatches[0], tokens)

    sampling = {
        row: micro_batch.old_logprobs_NR[position].double()
        for micro_batch in minibatches[0]
        for position, row in enumerate(micro_batch.rollout_indices)
    }
    model, reference = state.policy.model.double(), state.reference.model.double()
    sign = -1.0 if options.entropy_rule == "hold_at" else 1.0
    loss, kl, clipped = torch.zeros((), dtype=torch.float64), 0.0, 0
    for row, rollout in enumerate(rollouts):
        prompt, response = rollout.prompt.token_ids, rollout.response.token_ids
        ids = torch.tensor([prompt + response])
        places = slice(len(prompt) - 1, len(prompt) + len(response) - 1)
        logprobs_TV = torch.log_softmax(model(ids).logits[0, places], dim=-1)
        with torch.no_grad():
            reference_TV = torch.log_softmax(reference(ids).logits[0, places], dim=-1)
        for place, token in enumerate(response):
            new, old = logprobs_TV[place, token], sampling[row][place]
            advantage = advantage_of[row][place]
            ratio = torch.exp(
                new - (reference_TV[place, token] if options.old_policy == "reference" else old)
            )
            gain = ratio * advantage
            if clip is not None:
                cut = torch.clamp(ratio, 1 - clip, 1 + clip) * advantage
                clipped += int(cut < gain)
                gain = torch.minimum(gain, cut)
            if options.objective == "log_probability":
                gain = new * advantage
            moved = torch.exp(new - old) - 1 - (new - old)
            entropy = -(logprobs_TV[place].exp() * logprobs_TV[place]).sum()
            kl += float(moved.detach())
            loss = loss - gain + options.kl_penalty_coefficient * moved
            loss = loss - sign * options.entropy_coefficient * entropy
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss / tokens, list(model.parameters()))])
    scale = float(expected.abs().max())
    assert scale > 1e-3
    torch.testing.assert_close(kept["gradient"].double(), expected, rtol=0, atol=1e-5 * max(1.0, scale))
    assert metrics["approx_kl"] == pytest.approx(kl / tokens, rel=1e-4) and metrics["approx_kl"] > 1e-4
    assert metrics["policy_loss"] == pytest.approx(float(loss.detach()) / tokens, rel=1e-4, abs=1e-6)
    assert metrics["clip_fraction"] == pytest.approx(clipped / tokens)


def test_the_penaltys_coefficient_follows_the_ppo_papers_rule():
    """Section 4, with a target of 0.01: halved below 0.01 / 1.5, doubled above 0.015, else left."""
    controller = PenaltyController(1.0, 0.01)
    seen = []
    for kl in (0.0, 0.0066, 0.0067, 0.01, 0.0149, 0.0151, 1.0):
        controller.update(kl)
        seen.append(controller.coefficient)
    assert seen == [0.5, 0.25, 0.25, 0.25, 0.25, 0.5, 1.0]
    again = PenaltyController(9.0, 0.01)
    again.load_state_dict(controller.state_dict())
    assert again.coefficient == 1.0
    fixed = PenaltyController(0.3)
    fixed.update(100.0)
    assert fixed.coefficient == 0.3


@pytest.mark.parametrize(
    ("rule", "entropy", "weight"),
    [
        ("raise_below", 1.99, 0.5),
        ("raise_below", 2.0, 0.0),
        ("raise_below", 9.0, 0.0),
        ("hold_at", 1.99, 0.5),
        ("hold_at", 2.01, -0.5),
    ],
)
def test_the_entropy_bonus_acts_only_on_its_side_of_the_threshold(rule, entropy, weight):
    options = PolicyLossOptions(entropy_coefficient=0.5, entropy_threshold=2.0, entropy_rule=rule)
    assert entropy_weight(options, entropy) == weight
    assert entropy_weight(PolicyLossOptions(entropy_coefficient=0.5), entropy) == 0.5


def run_steps(state, steps: int) -> list[dict]:
    return [ppo.ppo_step(state, step)[0] for step in range(1, steps + 1)]


NO_PRETRAINING = CriticOptions(max_pretraining_updates=0)
FAST = OptimizerOptions(learning_rate=3e-3, schedule="constant")


def test_a_steps_bonus_is_decided_by_the_entropy_of_its_own_responses(small_state):
    """The threshold lies just below the entropy of the first step, which falls after it."""
    first = run_steps(small_state(critic=NO_PRETRAINING), 1)[0]["entropy"]
    options = PolicyLossOptions(entropy_coefficient=5.0, entropy_threshold=first - 1e-3)
    state = small_state(critic=NO_PRETRAINING, policy_loss=options, policy_optimizer=FAST)
    metrics = run_steps(state, 6)
    assert metrics[0]["entropy"] == pytest.approx(first) and metrics[0]["entropy_weight"] == 0.0
    for row in metrics:
        assert row["entropy_weight"] == (5.0 if row["entropy"] < first - 1e-3 else 0.0)
    assert {row["entropy_weight"] for row in metrics} == {0.0, 5.0}


def test_a_strong_bonus_keeps_entropy_that_the_reward_alone_takes_away(small_state):
    ended = {}
    for name, options in (
        ("without", PolicyLossOptions()),
        ("with", PolicyLossOptions(entropy_coefficient=3.0)),
    ):
        state = small_state(critic=NO_PRETRAINING, policy_loss=options, policy_optimizer=FAST)
        ended[name] = run_steps(state, 8)[-1]["entropy"]
    assert ended["with"] > ended["without"] + 0.01


def test_the_coefficient_moves_with_the_kl_measured_after_the_updates(small_state):
    """KL(sampling || present) over the step's responses, again from plain passes in float64."""
    options = PolicyLossOptions(kl_penalty_coefficient=1.0, kl_penalty_target=1e-9)
    state = small_state(critic=NO_PRETRAINING, policy_loss=options, policy_optimizer=FAST)
    metrics, rollouts = ppo.ppo_step(state, 1)
    assert metrics["kl_penalty_coefficient"] == 1.0 and state.penalty_controller.coefficient == 2.0
    now, before = state.policy.model.double(), state.reference.model.double()  # the start is the reference
    total, tokens = 0.0, 0
    for rollout in rollouts:
        prompt, response = rollout.prompt.token_ids, rollout.response.token_ids
        ids = torch.tensor([prompt + response])
        with torch.no_grad():
            new, old = (
                torch.log_softmax(model(ids).logits[0], dim=-1)[
                    torch.arange(len(prompt) - 1, ids.shape[1] - 1), torch.tensor(response)
                ].numpy()
                for model in (now, before)
            )
        total, tokens = total + np.sum(np.exp(new - old) - 1 - (new - old)), tokens + len(response)
    assert metrics["kl_after_update"] == pytest.approx(total / tokens, rel=1e-3) and total > 0
    state = small_state(
        critic=NO_PRETRAINING, policy_loss=dataclasses.replace(options, kl_penalty_target=1e9)
    )
    assert [row["kl_penalty_coefficient"] for row in run_steps(state, 3)] == [1.0, 0.5, 0.25]


def test_a_penalty_holds_the_policy_near_the_one_that_sampled_over_many_epochs(small_state):
    """Sixteen inner epochs without a clip (Schulman et al. 2017 compare exactly these)."""
    moved = {}
    for coefficient in (0.0, 30.0):
        state = small_state(
            algorithm=AlgorithmOptions(
                responses_per_minibatch=16, ppo_epochs=16, clip_range=None, whiten_advantages=True
            ),
            rollout=RolloutOptions(steps=1, prompts_per_step=4, samples_per_prompt=4),
            critic=NO_PRETRAINING,
            policy_loss=PolicyLossOptions(kl_penalty_coefficient=coefficient),
            policy_optimizer=FAST,
        )
        _, minibatches = collect_experience(state)
        ppo_update.ppo_update(state, minibatches, 1, critic_only=False)
        moved[coefficient] = ppo_update.measure_kl(state, minibatches)
    assert moved[30.0] < 0.5 * moved[0.0]


def test_with_the_reference_as_the_old_policy_the_first_ratio_is_that_of_policy_to_reference(small_state):
    """Secrets of RLHF I, 5.3.2: not 1 from the second step on, so that the clip acts in the very first update."""
    state = small_state(
        policy_loss=PolicyLossOptions(old_policy="reference"),
        algorithm=AlgorithmOptions(responses_per_minibatch=16, clip_range=1e-4),
        critic=NO_PRETRAINING,
    )
    with torch.no_grad():
        for parameter in state.policy.model.parameters():
            parameter.add_(0.05 * torch.sin(torch.arange(parameter.numel()).reshape(parameter.shape).float()))
    _, minibatches = collect_experience(state)
    figures = ppo_update.update_policy(
        state, minibatches[0], float(sum(m.batch.n_tokens for m in minibatches[0]))
    )
    assert figures["clip_fraction"] > 0.2 and figures["approx_kl"] < 1e-10


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kl_penalty_target": 0.01}, "kl_penalty_target is 0.01, but kl_penalty_coefficient is 0"),
        ({"entropy_threshold": 2.0}, "entropy_threshold is 2.0, but entropy_coefficient is 0"),
        ({"entropy_coefficient": 1.0, "entropy_rule": "hold_at"}, "needs an entropy_threshold"),
        ({"entropy_coefficient": -0.1}, "entropy_coefficient must be at least 0"),
        ({"kl_penalty_coefficient": 1.0, "kl_penalty_target": 0.0}, "kl_penalty_target must be positive"),
        ({"objective": "log_probability", "old_policy": "reference"}, "belongs to objective 'ratio'"),
    ],
)
def test_policy_losses_that_make_no_sense_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        PolicyLossOptions(**changes)


def test_a_clip_without_a_ratio_is_refused(policy_path, reward_model_path):
    loss = PolicyLossOptions(objective="log_probability")
    with pytest.raises(
        ValueError, match="algorithm.clip_range is 0.2, and .* no ratio to clip: set it to null"
    ):
        ppo_config(policy_path, reward_model_path, policy_loss=loss)
    ppo_config(policy_path, reward_model_path, policy_loss=loss, algorithm=AlgorithmOptions(clip_range=None))
