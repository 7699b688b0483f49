"""A critic on the policy's own trunk: the combined loss, one step, what is saved, resumption."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from learning.batches.forward import compute_values
from learning.interface.training_options import ModelSource, OptimizerOptions, RuntimeOptions
from learning.models.loading import load_policy
from policy_training.training.config import AdoptConfig
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo import update as ppo_update
from policy_training.training.ppo.config import (
    AlgorithmOptions,
    CriticOptions,
    PolicyLossOptions,
    PPOConfig,
    RolloutOptions,
)
from policy_training.training.ppo.shared_trunk import SharedCritic, attach_value_head
from policy_training.training.weights import adopt
from tests.policy_training.training.conftest import BATCH, create_run, in_process, ppo_config, prompt_rows
from tests.policy_training.training.ppo_states import build_state, collect_experience

SHARED = CriticOptions(init_from="shared", max_pretraining_updates=0, shared_value_coefficient=0.6)
STILL = OptimizerOptions(learning_rate=1e-9, schedule="constant", max_grad_norm=0.0)


@pytest.fixture
def shared_state(small_state, policy_path):
    def build(**changes):
        state = small_state(critic=SHARED, **changes)
        policy = load_policy(ModelSource(path=str(policy_path)), state.tokenizer)
        torch.manual_seed(11)
        attach_value_head(policy)
        return build_state(
            state.config,
            policy,
            state.reference.model,
            None,
            state.scorer,
            state.train_prompts,
            layout=state.layout,
        )

    return build


@pytest.mark.parametrize("whiten", [False, True])
def test_one_step_takes_the_gradient_of_surrogate_plus_value_error_minus_entropy(shared_state, whiten):
    """Schulman et al. 2017, equation 9 (c1 0.6 on half the squared error, c2 0.3), by plain passes in float64, also
    where the first update learns from the passes of its experience.
    """
    state = shared_state(
        algorithm=AlgorithmOptions(
            responses_per_minibatch=16, clip_range_value=None, whiten_advantages=whiten
        ),
        policy_loss=PolicyLossOptions(entropy_coefficient=0.3),
        policy_optimizer=STILL,
        batch=dataclasses.replace(BATCH, max_micro_batch_tokens=140),
    )
    assert isinstance(state.critic, SharedCritic)
    kept, real = {}, state.policy.step

    def step():
        kept["gradient"] = torch.cat([p.grad.flatten() for p in state.policy.model.parameters()])
        return real()

    state.policy.step = step
    metrics, rollouts = ppo.ppo_step(state, 1)
    assert state.policy.steps_done == 1 and "critic_gradient_norm" not in metrics

    # The same experience once more, for its advantages and returns: the weights moved by 1e-9.
    state.score_moments = type(state.score_moments)()
    state.progress.episodes = 0
    minibatches = ppo.make_minibatches(state, rollouts)
    ppo.gather_experience(state, rollouts, minibatches)
    model = state.policy.model.double()
    total = {"policy": 0.0, "value": 0.0, "entropy": 0.0}
    tokens = sum(len(rollout.response.token_ids) for rollout in rollouts)
    for micro_batch in minibatches[0]:
        for position, row in enumerate(micro_batch.rollout_indices):
            prompt, response = rollouts[row].prompt.token_ids, rollouts[row].response.token_ids
            hidden = model.model(torch.tensor([prompt + response])).last_hidden_state[0]
            for place, token in enumerate(response):
                state_D = hidden[len(prompt) - 1 + place]
                logprobs = torch.log_softmax(model.lm_head(state_D), dim=-1)
                advantage = micro_batch.advantages_NR[position, place].double()
                target = micro_batch.returns_NR[position, place].double()
                ratio = torch.exp(logprobs[token] - logprobs[token].detach())
                total["policy"] = total["policy"] - ratio * advantage
                total["value"] = total["value"] + 0.5 * (state_D @ model.value_head.weight[0] - target) ** 2
                total["entropy"] = total["entropy"] - (logprobs.exp() * logprobs).sum()
    loss = (total["policy"] + 0.6 * total["value"] - 0.3 * total["entropy"]) / tokens
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
    torch.testing.assert_close(
        kept["gradient"].double(), expected, rtol=0, atol=2e-5 * float(expected.abs().max())
    )
    assert metrics["value_loss"] == pytest.approx(float(total["value"].detach()) / tokens, rel=1e-4)


def test_the_value_error_moves_the_trunk_and_the_policy_head_with_it(shared_state):
    """With advantages of 0 there is nothing but the value error, and the policy changes all the same."""
    state = shared_state(algorithm=AlgorithmOptions(responses_per_minibatch=16))
    _, minibatches = collect_experience(state)
    for micro_batch in minibatches[0]:
        micro_batch.advantages_NR = torch.zeros_like(micro_batch.advantages_NR)
    before = {name: value.clone() for name, value in state.policy.model.state_dict().items()}
    tokens = float(sum(m.batch.n_tokens for m in minibatches[0]))
    ppo_update.update_critic(state, minibatches[0], tokens)
    assert all(torch.equal(before[n], v) for n, v in state.policy.model.state_dict().items())
    ppo_update.update_policy(state, minibatches[0], tokens)
    moved = [n for n, v in state.policy.model.state_dict().items() if not torch.equal(before[n], v)]
    assert "value_head.weight" in moved and any("layers.0" in name for name in moved)


def shared_config(policy_path, reward_model_path) -> PPOConfig:
    return ppo_config(
        policy_path,
        reward_model_path,
        critic=SHARED,
        rollout=RolloutOptions(steps=4, prompts_per_step=4, samples_per_prompt=4),
        runtime=RuntimeOptions(checkpoint_every_steps=2),
        ema_decay=0.5,
    )


def test_policy_and_critic_are_saved_as_any_others_and_a_resumed_run_is_the_same(
    tmp_path, policy_path, reward_model_path
):
    run = create_run(
        tmp_path / "run", "ppo", shared_config(policy_path, reward_model_path), prompts=prompt_rows(10)
    )
    in_process(ppo, PPOConfig, run)
    saved = load_file(run.path / "model/model.safetensors")
    assert saved.keys() == load_file(policy_path / "model.safetensors").keys()
    policy = AutoModelForCausalLM.from_pretrained(run.path / "model")
    critic = AutoModelForSequenceClassification.from_pretrained(run.path / "critic")
    assert critic.config.num_labels == 1
    trunk = dict(policy.model.named_parameters())
    assert all(torch.equal(trunk[name], value) for name, value in critic.model.named_parameters())

    # The last checkpoint becomes the policy that the run itself saved.
    last = run.path / "checkpoints/step-000004.f0"
    taken = AdoptConfig(checkpoint_path=str(last), policy=ModelSource(path=str(policy_path)))
    in_process(adopt, AdoptConfig, create_run(tmp_path / "adopted", "adopt", taken))
    adopted = load_file(tmp_path / "adopted/model/model.safetensors")
    assert saved.keys() == adopted.keys() and all(torch.equal(saved[key], adopted[key]) for key in saved)

    again = tmp_path / "again"
    shutil.copytree(run.path, again)
    for name in ("result.json", "status.json"):
        (again / name).unlink()
    for name in ("model", "critic", "checkpoints/step-000004.f0"):
        shutil.rmtree(again / name)
    resumed = type(run)(again)
    in_process(ppo, PPOConfig, resumed)
    for name in ("model", "critic"):
        one, two = (load_file(path / name / "model.safetensors") for path in (run.path, again))
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    rows = [
        [{k: v for k, v in row.items() if "second" not in k and "time" not in k} for row in r.metrics()[0]]
        for r in (run, resumed)
    ]
    assert rows[0] == rows[1] and len(rows[0]) == 4


def test_the_saved_critic_gives_the_values_the_run_had(shared_state, tmp_path):
    state = shared_state()
    _, minibatches = collect_experience(state)
    batch = minibatches[0][0].batch
    before = state.critic.infer(compute_values, batch).numpy()
    state.critic.save_critic(state.tokenizer, tmp_path / "critic", is_main=True)
    assert not hasattr(state.policy.model, "value_head")
    critic = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "critic", attn_implementation="sdpa"
    ).eval()
    with torch.no_grad():
        np.testing.assert_allclose(compute_values(critic, batch).numpy(), before, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"init_from": "shared"}, "max_pretraining_updates is 50, and a critic on the policy's own trunk"),
        ({"shared_value_coefficient": 0.0}, "shared_value_coefficient must be positive"),
    ],
)
def test_critics_that_make_no_sense_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        CriticOptions(**changes)
