"""PPO on the rollouts of several steps: what is kept, what the update of an old minibatch is, and exact resumption."""

import copy
import dataclasses
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from learning.interface.training_options import OptimizerOptions, RuntimeOptions
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo import step_rollouts as steps
from policy_training.training.ppo import update as ppo_update
from policy_training.training.ppo.config import (
    AlgorithmOptions,
    CriticOptions,
    PolicyLossOptions,
    PPOConfig,
    RolloutOptions,
)
from policy_training.training.ppo.experience import gather_experience, make_minibatches
from policy_training.training.ppo.micro_batches import ExperienceBuffer
from policy_training.training.ppo.step_rollouts import step_rollouts
from tests.policy_training.training.conftest import create_run, in_process, ppo_config, prompt_rows
from tests.policy_training.training.ppo_states import collect_experience

NO_PRETRAINING = CriticOptions(max_pretraining_updates=0)


def parameters(state):
    return [p.detach().clone() for e in (state.policy, state.critic) for p in e.model.parameters()]


def test_one_step_is_the_update_on_its_own_rollouts_bit_for_bit(small_state):
    """The parts of a step one after another, without any buffer, as they were before there was one."""
    torch.manual_seed(0)
    state = small_state(critic=NO_PRETRAINING)
    for step in (1, 2):
        metrics, _ = ppo.ppo_step(state, step)
        assert "minibatches_of_earlier_steps" not in metrics
    torch.manual_seed(0)
    plain = small_state(critic=NO_PRETRAINING)
    for step in (1, 2):
        rollouts, _ = step_rollouts(plain, step)
        minibatches = make_minibatches(plain, rollouts)
        first = ppo_update.FirstUpdate(plain, minibatches, step, critic_only=False)
        figures = gather_experience(plain, rollouts, minibatches, first)
        ppo_update.ppo_update(plain, minibatches, step, critic_only=False, first=first)
        plain.progress.episodes += len(rollouts)
        plain.progress.policy_steps += 1
        plain.kl_controller.update(figures["kl"], n_responses=len(rollouts))
    assert state.buffer.state_dict() == {"earlier": []}
    assert all(torch.equal(*pair) for pair in zip(parameters(state), parameters(plain), strict=True))


def test_what_sampling_and_scoring_take_is_told_apart(small_state, monkeypatch):
    """By a clock that only these two move."""
    state, now = small_state(), [0.0]

    def taking(seconds, function):
        def call(*args, **further):
            now[0] += seconds
            return function(*args, **further)

        return call

    monkeypatch.setattr(steps, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(steps, "sample_groups", taking(2.0, steps.sample_groups))
    monkeypatch.setattr(state.scorer, "score_parts", taking(5.0, state.scorer.score_parts))
    rollouts, seconds = step_rollouts(state, 1)
    assert len(rollouts) == 16 and seconds == {"seconds_sampling": 2.0, "seconds_scoring": 5.0}


def token_logprobs(model, example):
    """Of each response token, by a plain forward pass of prompt and response alone; float64."""
    for response in example.response_ids:
        ids = torch.tensor([[*example.prompt_ids, *response]])
        logprobs = model(ids).logits[0].log_softmax(-1)
        start = len(example.prompt_ids) - 1
        yield logprobs[torch.arange(start, start + len(response)), torch.tensor(response)]


def test_the_gradient_over_a_mixed_buffer_is_that_of_the_clipped_ratios_to_who_sampled(small_state):
    """In float64 with autograd, the log-probs of the old policy computed from a copy of its weights."""
    fast = OptimizerOptions(learning_rate=3e-2, schedule="constant", max_grad_norm=0.0)
    state = small_state(
        critic=NO_PRETRAINING,
        policy_optimizer=fast,
        algorithm=AlgorithmOptions(responses_per_minibatch=16, clip_range=0.1),
    )
    state.buffer = ExperienceBuffer(2)
    samplers = [copy.deepcopy(state.policy.model).double()]
    _, old = collect_experience(state)
    assert state.buffer.with_earlier(old) == old
    state.buffer.add(old)
    ppo_update.update_policy(state, old[0], ppo_update.step_tokens(state, old[0]))  # the policy moves on
    samplers.append(copy.deepcopy(state.policy.model).double())
    _, new = collect_experience(state, step=2)
    for minibatch in new:
        ppo_update.update_critic(state, minibatch, ppo_update.step_tokens(state, minibatch))
    ppo_update.update_policy(state, new[0], ppo_update.step_tokens(state, new[0]))
    learned = state.buffer.with_earlier(new)
    assert len(learned) == len(new) + len(old) and learned[-1] is old[-1]

    present = copy.deepcopy(state.policy.model).double()
    clipped = 0
    for minibatch, sampler in ((learned[0], samplers[1]), (learned[-1], samplers[0])):
        tokens = ppo_update.step_tokens(state, minibatch)
        state.policy.model.zero_grad(set_to_none=True)
        update = ppo_update.PolicyUpdate(state, tokens)
        for micro_batch in minibatch:
            logprobs = state.policy.forward(
                ppo_update.with_math_attention,
                ppo_update.compute_token_logprobs,
                micro_batch.batch,
                state.config.rollout.trained_temperature,
            )
            update.add(micro_batch, logprobs, None)
        found = torch.cat([p.grad.flatten() for p in state.policy.model.parameters()])

        loss = torch.zeros((), dtype=torch.float64)
        for micro_batch in minibatch:
            rows = zip(micro_batch.advantages_NR.double(), micro_batch.is_response_NR, strict=True)
            for example in micro_batch.examples:
                with torch.no_grad():
                    before = list(token_logprobs(sampler, example))
                for now, then in zip(token_logprobs(present, example), before, strict=True):
                    advantages, is_response = next(rows)
                    ratio = (now - then).exp()
                    line = ratio.clamp(0.9, 1.1)
                    gain = torch.minimum(ratio * advantages[is_response], line * advantages[is_response])
                    clipped += int((ratio != line).sum())
                    loss = loss - gain.sum() / tokens
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(present.parameters()))])
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5 * float(expected.abs().max()))
    assert clipped > 0  # or the clip was no part of it


def test_the_oldest_step_goes_and_each_step_learns_from_all_that_are_there(small_state):
    state = small_state(critic=NO_PRETRAINING)
    state.buffer = ExperienceBuffer(3)
    own = 2  # 16 responses, 8 a minibatch
    for step, earlier in enumerate((0, 2, 4, 4), 1):
        metrics, _ = ppo.ppo_step(state, step)
        assert metrics["minibatches_of_earlier_steps"] == earlier
        assert metrics["optimizer_steps"] == 2 * (own + earlier)  # two epochs


def buffered(policy_path, reward_model_path, **changes):
    values = {
        "rollout": RolloutOptions(steps=4, prompts_per_step=2, samples_per_prompt=4),
        "algorithm": AlgorithmOptions(responses_per_minibatch=4, whiten_advantages=True, buffer_steps=3),
        "critic": CriticOptions(max_pretraining_updates=1, plateau_window=1),
        "runtime": RuntimeOptions(checkpoint_every_steps=1, keep_checkpoints=9),
    }
    return ppo_config(policy_path, reward_model_path, **(values | changes))


def test_a_run_resumed_with_a_full_buffer_ends_in_the_same_bits(tmp_path, policy_path, reward_model_path):
    config = buffered(policy_path, reward_model_path)
    run = create_run(tmp_path / "run", "ppo", config, prompts=prompt_rows(14))
    in_process(ppo, PPOConfig, run)
    whole = {name: load_file(run.path / name / "model.safetensors") for name in ("model", "critic")}
    metrics = run.metrics()[0]
    # Two minibatches a step: 2, 4, 6 and 6 updates; the linear schedule ends with the last of them.
    of_policy = [row for row in metrics if row["phase"] == "policy"]
    assert [row["minibatches_of_earlier_steps"] for row in of_policy] == [0, 2, 4, 4]
    assert sum(row["optimizer_steps"] for row in of_policy) == 18
    steps = sorted((run.path / "checkpoints").iterdir())
    for path in steps[-1:-3:-1]:  # as if it had been killed in the step after the third last
        shutil.rmtree(path)
    (run.path / "result.json").unlink()
    for name in whole:
        shutil.rmtree(run.path / name)
    in_process(ppo, PPOConfig, run)
    for name, tensors in whole.items():
        again = load_file(run.path / name / "model.safetensors")
        assert tensors.keys() == again.keys()
        assert all(torch.equal(tensors[each], again[each]) for each in tensors), name
    same = ("score", "kl", "policy_loss", "value_loss", "learning_rate")
    again = run.metrics()[0]
    assert [[row.get(name) for name in same] for row in again] == [
        [row.get(name) for name in same] for row in metrics
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": {"buffer_steps": 0}}, "buffer_steps must be at least 1"),
        ({"algorithm": {"buffer_steps": 2, "target_kl": 0.1}}, "set target_kl to null"),
        ({"policy_loss": PolicyLossOptions(old_policy="reference")}, "the ratio to the policy that sampled"),
        (
            {
                "algorithm": {"buffer_steps": 2, "clip_range": None},
                "policy_loss": PolicyLossOptions(objective="log_probability"),
            },
            "the ratio to the policy that sampled",
        ),
    ],
)
def test_what_has_no_ratio_to_earlier_policies_is_refused(policy_path, reward_model_path, changes, words):
    with pytest.raises(ValueError, match=words):
        if isinstance(changes.get("algorithm"), dict):
            changes = changes | {
                "algorithm": dataclasses.replace(
                    AlgorithmOptions(responses_per_minibatch=4), **changes["algorithm"]
                )
            }
        buffered(policy_path, reward_model_path, **changes)
