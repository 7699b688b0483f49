"""CHECKS 18, 19, 21 (ptx) and 23: what one step changes in policy and critic."""

import dataclasses

import torch

from learning.batches.collation import collate
from learning.batches.forward import compute_token_logprobs
from learning.interface.training_options import (
    OptimizerOptions,
)
from policy_training.training import ppo, ppo_update
from policy_training.training.config import (
    AlgorithmOptions,
    CriticOptions,
)
from policy_training.training.losses import language_model_loss
from tests.policy_training.training.conftest import BATCH
from tests.policy_training.training.ppo_states import collect_experience


def test_how_a_minibatch_is_cut_does_not_change_the_update(small_state):
    """CHECK 19 on the recipe: ragged micro-batches of about 1, 2, 4 and 8 rows, policy and critic."""
    moved = []
    for tokens in (1, 70, 140, 4096):
        batch = dataclasses.replace(BATCH, max_micro_batch_tokens=tokens)
        state = small_state(
            batch=batch,
            policy_optimizer=OptimizerOptions(learning_rate=1e-5, schedule="constant", epsilon=1e-3),
        )
        state.layout = "padded"
        _, minibatches = collect_experience(state)
        minibatch = minibatches[0]
        total = float(sum(p.batch.n_tokens for p in minibatch))
        for micro_batch in minibatch:
            micro_batch.advantages_NR = torch.sin(
                micro_batch.batch.response_ids_NR.float()
            )  # the same whatever the cut
            micro_batch.returns_NR = torch.cos(micro_batch.batch.response_ids_NR.float())
        ppo_update.update_policy(state, minibatch, total)
        ppo_update.update_critic(state, minibatch, total)
        moved.append(
            (
                len(minibatch),
                [p.detach().clone() for e in (state.policy, state.critic) for p in e.model.parameters()],
            )
        )
    assert len({n for n, _ in moved}) > 1
    for _, parameters in moved[:-1]:
        for one, other in zip(parameters, moved[-1][1], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_ptx_adds_its_gradient_in_the_same_optimizer_step(small_state):
    algorithm = AlgorithmOptions(responses_per_minibatch=16, ptx_coefficient=0.7)
    still = OptimizerOptions(learning_rate=1e-9, schedule="constant", max_grad_norm=0.0)

    def gradient(state, minibatch, *, with_ptx: bool) -> torch.Tensor:
        total = float(sum(p.batch.n_tokens for p in minibatch))
        kept = {}
        real = state.policy.step

        def step():
            kept["gradient"] = torch.cat([p.grad.flatten() for p in state.policy.model.parameters()])
            return real()

        state.policy.step = step
        state.ptx_sampler = state.ptx_sampler if with_ptx else None
        ppo_update.update_policy(state, minibatch, total)
        assert state.policy.steps_done == 1
        return kept["gradient"]

    state = small_state(demonstrations=4, algorithm=algorithm, policy_optimizer=still)
    _, minibatches = collect_experience(state)
    both = gradient(state, minibatches[0], with_ptx=True)
    state = small_state(demonstrations=4, algorithm=algorithm, policy_optimizer=still)
    _, minibatches = collect_experience(state)
    alone = gradient(state, minibatches[0], with_ptx=False)
    batch = collate(state.demonstrations, layout="padded", pad_id=0)
    model = state.policy.model
    model.zero_grad()
    loss = language_model_loss(compute_token_logprobs(model, batch), batch.is_response_NR) / batch.n_tokens
    expected = alone + 0.7 * torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))]
    )
    torch.testing.assert_close(both, expected, rtol=0, atol=1e-6)


def test_the_step_stops_early_when_the_policy_has_moved_too_far(small_state):
    fast = OptimizerOptions(learning_rate=3e-2, schedule="constant")
    algorithm = AlgorithmOptions(responses_per_minibatch=4, ppo_epochs=4)
    state = small_state(
        policy_optimizer=fast, algorithm=algorithm, critic=CriticOptions(max_pretraining_updates=0)
    )
    metrics, _ = ppo.ppo_step(state, 1)
    assert metrics["optimizer_steps"] == 16 and not metrics["early_stopped"]
    stopping = dataclasses.replace(algorithm, target_kl=0.01)
    state = small_state(
        policy_optimizer=fast, algorithm=stopping, critic=CriticOptions(max_pretraining_updates=0)
    )
    metrics, _ = ppo.ppo_step(state, 1)
    assert metrics["early_stopped"] and metrics["optimizer_steps"] < 16


def test_critic_pre_training_leaves_the_policy_bit_identical_and_ends_when_the_loss_is_flat(small_state):
    state = small_state(
        critic=CriticOptions(max_pretraining_updates=40, plateau_window=4, plateau_min_improvement=0.2)
    )
    before = {name: value.clone() for name, value in state.policy.model.state_dict().items()}
    critic_before = {name: value.clone() for name, value in state.critic.model.state_dict().items()}
    stages, step = [], 0
    while state.progress.policy_steps == 0:
        step += 1
        metrics, _ = ppo.ppo_step(state, step)
        stages.append(metrics["phase"])
        if stages[-1] == "critic":
            assert all(torch.equal(before[n], v) for n, v in state.policy.model.state_dict().items())
            assert metrics["kl"] == 0.0
    assert stages[-1] == "policy" and stages[0] == "critic"
    assert 8 <= state.progress.critic_pretraining_updates <= 40
    assert any(not torch.equal(critic_before[n], v) for n, v in state.critic.model.state_dict().items())
    assert any(not torch.equal(before[n], v) for n, v in state.policy.model.state_dict().items())
