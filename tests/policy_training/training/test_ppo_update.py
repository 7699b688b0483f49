"""CHECKS 18, 19, 21 (ptx) and 23: what one step changes in policy and critic."""

import dataclasses

import numpy as np
import pytest
import torch

from learning.interface.options import UserError, load_options, options_to_compare
from learning.interface.training_options import OptimizerOptions
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo import update as ppo_update
from policy_training.training.ppo.config import AlgorithmOptions, CriticOptions, RolloutOptions
from policy_training.training.ppo.experience import gather_experience
from policy_training.training.ptx import PtxMix, ptx_examples_per_step
from policy_training.training.supervised.demonstrations import demonstration_examples
from policy_training.training.supervised.texts import text_examples
from tests.policy_training.training.conftest import BATCH, demonstration_rows, text_rows
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


def numpy_token_nats(model, prompt_ids, response_ids) -> list[float]:
    """Negative log-likelihood of each response token in float64."""
    with torch.no_grad():
        logits = model.double()(torch.tensor([[*prompt_ids, *response_ids]])).logits[0].numpy()
    logits = logits - logits.max(axis=1, keepdims=True)
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return [-logprobs[len(prompt_ids) - 1 + place, token] for place, token in enumerate(response_ids)]


def mixed_in(tokenizer, texts, demonstrations) -> list[tuple[list[int], list[int]]]:
    """(what stands before, what counts) of each: of a text every token and its end, of a demonstration its response."""
    ids = [tokenizer.encode(row["text"], add_special_tokens=False) for row in texts]
    examples = [demonstration_examples(row, tokenizer, BATCH)[0] for row in demonstrations]
    return [([tokenizer.bos_token_id], [*text, tokenizer.eos_token_id]) for text in ids] + [
        (list(example.prompt_ids), list(example.response_ids[0])) for example in examples
    ]


def mean_token_gradient(model, sequences) -> torch.Tensor:
    """Of the mean negative log-likelihood of the tokens that count, in float64."""
    model = model.double()
    n_tokens = sum(len(response) for _, response in sequences)
    loss = torch.zeros((), dtype=torch.float64)
    for prompt, response in sequences:
        logprobs = torch.log_softmax(model(torch.tensor([prompt + response])).logits[0], dim=-1)
        for place, token in enumerate(response):
            loss = loss - logprobs[len(prompt) - 1 + place, token] / n_tokens
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


@pytest.mark.parametrize(("share", "counts"), [(1.0, (4, 0)), (0.0, (0, 4)), (0.5, (2, 2))])
def test_ptx_adds_its_gradient_over_every_token_of_a_text_in_the_same_optimizer_step(
    small_state, tokenizer, share, counts
):
    """The total's gradient is PPO's plus the coefficient times that of the mean token loss of the mix, which is
    recomputed here in float64: of a text every token and its end, of a demonstration its response.
    """
    algorithm = AlgorithmOptions(responses_per_minibatch=16, ptx_coefficient=0.7, ptx_texts_share=share)
    still = OptimizerOptions(learning_rate=1e-9, schedule="constant", max_grad_norm=0.0)
    demonstrations = demonstration_rows(4, heldout=0)

    def run(*, with_ptx: bool):
        mix = PtxMix(
            texts=text_examples(text_rows(4), tokenizer, 40),
            demonstrations=[demonstration_examples(row, tokenizer, BATCH)[0] for row in demonstrations],
            texts_share=share,
            examples_per_step=4,
            seed=0,
        )
        state = small_state(ptx=mix if with_ptx else None, algorithm=algorithm, policy_optimizer=still)
        _, minibatches = collect_experience(state)
        kept = {}
        real = state.policy.step

        def step():
            kept["gradient"] = torch.cat([p.grad.flatten() for p in state.policy.model.parameters()])
            return real()

        state.policy.step = step
        total = float(sum(p.batch.n_tokens for p in minibatches[0]))
        metrics = ppo_update.update_policy(state, minibatches[0], total)
        assert state.policy.steps_done == 1
        return kept["gradient"], metrics, state.policy.model, mix

    alone, metrics_alone, _, _ = run(with_ptx=False)
    assert "ptx_loss" not in metrics_alone
    both, metrics, model, mix = run(with_ptx=True)
    assert mix.drawn == dict(zip(("texts", "demonstrations"), counts, strict=True))
    # Which of the four were drawn is the sampler's: the same draw from a second mix.
    drawn = PtxMix(
        texts=list(range(4)), demonstrations=list(range(4)), texts_share=share, examples_per_step=4, seed=0
    ).next(16)
    sequences = mixed_in(
        tokenizer,
        [text_rows(4)[number] for number in drawn[: counts[0]]],
        [demonstrations[number] for number in drawn[counts[0] :]],
    )
    reference = mean_token_gradient(model, sequences)
    torch.testing.assert_close(both.double(), alone.double() + 0.7 * reference, rtol=0, atol=1e-6)
    # Logged in nats a token, not times its coefficient.
    nats = [nat for prompt, response in sequences for nat in numpy_token_nats(model, prompt, response)]
    assert metrics["ptx_loss"] == pytest.approx(sum(nats) / len(nats), abs=1e-5)


def test_so_many_examples_are_mixed_in_as_the_minibatch_has_responses(small_state, tokenizer):
    """4 prompts answered 4 times are 16 responses, although 64 a minibatch were asked for: twice as many texts."""
    mix = PtxMix(
        texts=text_examples(text_rows(4), tokenizer, 40),
        demonstrations=[],
        texts_share=1.0,
        examples_per_response=2.0,
        seed=0,
    )
    algorithm = AlgorithmOptions(
        responses_per_minibatch=64, ptx_coefficient=1.0, ptx_texts_share=1.0, ptx_examples_per_response=2.0
    )
    state = small_state(ptx=mix, algorithm=algorithm)
    _, [minibatch] = collect_experience(state)
    ppo_update.update_policy(state, minibatch, float(sum(part.batch.n_tokens for part in minibatch)))
    assert mix.drawn == {"texts": 32, "demonstrations": 0}


@pytest.mark.parametrize(
    ("each", "counts"),
    [
        (8.0, [160, 160, 512, 8]),  # InstructGPT, C.4, with minibatches of 20, 20, 64 and 1 responses
        (1.0, [20, 20, 64, 1]),
        (0.1, [2, 2, 6, 1]),  # 2, 4, 10.4 and 10.5 in all, rounded
        (0.01, [0, 0, 1, 0]),  # 0.2, 0.4, 1.04, 1.05
    ],
)
@pytest.mark.parametrize("share", [1.0, 0.0, 0.5])
def test_examples_by_response_are_met_over_steps_and_go_on_after_a_checkpoint(each, counts, share):
    def build() -> PtxMix:
        numbers = list(range(600))
        return PtxMix(
            texts=numbers, demonstrations=numbers, texts_share=share, examples_per_response=each, seed=0
        )

    mix, drawn = build(), []
    for responses in (20, 20, 64, 1):
        resumed = build()
        resumed.load_state_dict(mix.state_dict())
        drawn.append(mix.next(responses))
        assert resumed.next(responses) == drawn[-1]
    assert [len(examples) for examples in drawn] == counts
    assert sum(mix.drawn.values()) == sum(counts)


def test_a_number_of_mixed_in_examples_means_what_it_meant_to_earlier_configurations():
    def loaded(**values) -> AlgorithmOptions:
        return load_options(AlgorithmOptions, {"responses_per_minibatch": 64, **values})

    assert ptx_examples_per_step(loaded(ptx_examples_per_minibatch=0)) == 64  # with few responses, too
    assert ptx_examples_per_step(loaded(ptx_examples_per_minibatch=512)) == 512
    assert ptx_examples_per_step(loaded()) is None
    stored = loaded(ptx_examples_per_minibatch=0)
    assert "ptx_examples_per_response" not in options_to_compare(stored)
    with pytest.raises(UserError, match="ptx_examples_per_minibatch 0: give one of them"):
        loaded(ptx_examples_per_minibatch=0, ptx_examples_per_response=1.0)
    with pytest.raises(UserError, match="must be a positive number, or null, found 0"):
        loaded(ptx_examples_per_response=0)


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


LINEAR = OptimizerOptions(learning_rate=1e-4, schedule="linear", min_lr_ratio=0.3)


def rates_of(engine) -> list[float]:
    """Collects the learning rate of every step that the engine takes."""
    rates, real = [], engine.step

    def step():
        rates.append(engine.learning_rate)
        return real()

    engine.step = step
    return rates


def linear_rate(update: int, updates: int) -> float:
    return 1e-4 * (1 - 0.7 * update / updates)


def test_the_schedule_ends_with_the_last_update_where_prompts_are_fewer_than_a_step_asks_for(small_state):
    """8 prompts, 64 asked for: 2 minibatches a step and not 16, so 6 updates in all."""
    state = small_state(
        rollout=RolloutOptions(steps=3, prompts_per_step=64, samples_per_prompt=1),
        algorithm=AlgorithmOptions(responses_per_minibatch=4),
        policy_optimizer=LINEAR,
        critic_optimizer=LINEAR,
        critic=CriticOptions(max_pretraining_updates=0),
    )
    policy, critic = rates_of(state.policy), rates_of(state.critic)
    for step in range(1, 4):
        ppo.ppo_step(state, step)
    expected = [linear_rate(update, 6) for update in range(6)]
    assert policy == pytest.approx(expected) and critic == pytest.approx(expected)


def test_updates_left_out_by_the_kl_stop_and_by_an_early_end_of_pre_training_pass_on_the_schedule(
    small_state,
):
    """Each step stops after its first update of 8: the next begins where it would have begun without the stop."""
    state = small_state(
        rollout=RolloutOptions(steps=3, prompts_per_step=4, samples_per_prompt=4),
        algorithm=AlgorithmOptions(responses_per_minibatch=8, ppo_epochs=4, target_kl=1e-30),
        policy_optimizer=dataclasses.replace(LINEAR, epsilon=1e-12),
        critic_optimizer=LINEAR,
        critic=CriticOptions(max_pretraining_updates=40, plateau_window=1, plateau_min_improvement=0.99),
    )
    policy, critic = rates_of(state.policy), rates_of(state.critic)
    step = 0
    while state.progress.policy_steps < 3:
        step += 1
        ppo.ppo_step(state, step)
    pretrained = state.progress.critic_pretraining_updates
    assert 0 < pretrained < 40 and len(critic) - pretrained == len(policy)
    taken = len(policy) // 3
    assert taken in (1, 2)  # a first ratio is exactly 1, so a step may go on to its second update
    starts = [8 * k for k in range(3)]
    updates = [start + offset for start in starts for offset in range(taken)]
    assert policy == pytest.approx([linear_rate(update, 24) for update in updates])
    assert critic[pretrained:] == pytest.approx([linear_rate(40 + update, 64) for update in updates])
    # A checkpoint keeps the place.
    kept = state.policy.state_dict()
    rate = state.policy.learning_rate
    state.policy.skip_steps(5)
    state.policy.load_state_dict(kept)
    assert state.policy.learning_rate == rate == pytest.approx(linear_rate(24, 24))


@pytest.mark.parametrize("layout", ["shared_prompt", "padded"])
@pytest.mark.parametrize("whiten", [False, True])
def test_the_first_update_on_the_passes_of_its_experience_is_that_of_passes_of_its_own(
    small_state, layout, whiten
):
    """Bit for bit, over two PPO epochs of two minibatches in micro-batches; an update of its own is the rule."""

    def states_after(steps: int, *, own_passes: bool) -> tuple[list, list]:
        state = small_state(
            batch=dataclasses.replace(BATCH, max_micro_batch_tokens=70),
            algorithm=AlgorithmOptions(responses_per_minibatch=8, ppo_epochs=2, whiten_advantages=whiten),
            critic=CriticOptions(max_pretraining_updates=1),
        )
        state.layout = layout
        metrics = []
        for step in range(1, steps + 1):
            if own_passes:
                rollouts, minibatches = collect_experience(state, step)
                first = None
            else:
                rollouts, minibatches = collect_experience(state, step, gather=False)
                first = ppo_update.FirstUpdate(
                    state, minibatches, step, critic_only=not ppo_update.critic_pretraining_done(state)
                )
                gather_experience(state, rollouts, minibatches, first)
            assert len(minibatches[0]) > 1
            critic_only = not ppo_update.critic_pretraining_done(state)
            figures = ppo_update.ppo_update(state, minibatches, step, critic_only=critic_only, first=first)
            metrics.append(figures)
            state.progress.episodes += len(rollouts)
            state.progress.policy_steps += not critic_only
        weights = [p.detach().clone() for e in (state.policy, state.critic) for p in e.model.parameters()]
        return metrics, weights

    expected_metrics, expected = states_after(3, own_passes=True)
    metrics, weights = states_after(3, own_passes=False)
    assert metrics == expected_metrics and "policy_loss" in metrics[-1] and "policy_loss" not in metrics[0]
    assert all(torch.equal(one, other) for one, other in zip(weights, expected, strict=True))
