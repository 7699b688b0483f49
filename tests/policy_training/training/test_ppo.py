"""CHECKS 10 (EOS is a trained action), 11 (learning to end), 12, 19, 21 (ptx), 22 (PPO), 23.

Every test drives the recipe's own functions; only the reward model is replaced where a known reward is needed, by a
table or a rule behind the same two calls.
"""

import dataclasses
import itertools
import json
import math
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from learning.batching import SteadyCursor
from learning.engine import Engine
from learning.interface.training_options import (
    BatchOptions,
    ModelOptions,
    ModelSource,
    OptimiserOptions,
    RuntimeOptions,
)
from learning.language_models import load_policy, load_reward_model, load_tokenizer
from learning.packing import Example, collate, token_logprobs_NR, values_NR
from learning.processes import Processes
from policy_training.training import ppo
from policy_training.training.attention import by_products
from policy_training.training.config import (
    AlgorithmOptions,
    CriticOptions,
    PPOConfig,
    RewardOptions,
    RolloutOptions,
)
from policy_training.training.losses import language_model_loss
from policy_training.training.ppo_setup import PPORun, Progress
from policy_training.training.rewards import KLController, RunningMoments
from policy_training.training.rollouts import Frozen, Prompt, Scorer, tokenized_prompts
from tests.policy_training.training.conftest import BATCH, demonstration_rows, ppo_config, prompt_rows

CPU = torch.device("cpu")


def build_run(
    config: PPOConfig, policy, reference, critic, scorer, prompts, *, demonstrations=(), layout="packed"
):
    """A PPORun from parts, as ppo_setup.load builds it from a folder."""
    processes = Processes.start(config.runtime)
    shared = {"runtime": config.runtime, "processes": processes}
    minibatches = math.ceil(config.rollout.responses_a_step / config.algorithm.responses_a_minibatch)
    updates = config.rollout.steps * config.algorithm.epochs * minibatches
    return PPORun(
        attempt=None,
        config=config,
        processes=processes,
        tokenizer=scorer.policy_tokenizer,
        policy=Engine(policy, optimiser=config.policy_optimiser, steps_total=updates, **shared),
        critic=Engine(critic, optimiser=config.critic_optimiser, steps_total=updates, **shared),
        reference=Frozen(reference, config.runtime, CPU),
        scorer=scorer,
        train_prompts=list(prompts),
        evaluation_prompts=list(prompts),
        evaluation_split="train",
        demonstrations=list(demonstrations),
        layout=layout,
        layout_reason="",
        prompt_cursor=SteadyCursor(len(prompts), seed=0, examples_a_step=config.rollout.prompts_a_step),
        ptx_cursor=SteadyCursor(len(demonstrations), seed=0, examples_a_step=4) if demonstrations else None,
        moments=RunningMoments(),
        kl_controller=KLController(config.reward.kl_coefficient, config.reward.kl_target),
        progress=Progress(),
    )


@pytest.fixture
def small_run(policy_path, reward_model_path, tmp_path):
    """A factory of runs on the tiny world's models; dropout probabilities are put into the policy's configuration."""

    def build(*, dropout: float = 0.0, demonstrations: int = 0, **changes) -> PPORun:
        config = ppo_config(policy_path, reward_model_path, **changes)
        source = ModelSource(path=str(policy_path))
        tokenizer = load_tokenizer(source)
        if dropout:
            shutil.copytree(policy_path, tmp_path / "with_dropout")
            source = ModelSource(path=str(tmp_path / "with_dropout"))
            written = json.loads((tmp_path / "with_dropout/config.json").read_text())
            (tmp_path / "with_dropout/config.json").write_text(
                json.dumps(written | {"attention_dropout": dropout})
            )
        policy = load_policy(source, tokenizer)
        scorer = Scorer(
            str(reward_model_path),
            tokenizer,
            policy_batch=BATCH,
            batch=BATCH,
            runtime=config.runtime,
            processes=Processes.start(config.runtime),
        )
        rows = demonstration_rows(demonstrations, heldout=0)
        return build_run(
            config,
            policy,
            load_policy(source, tokenizer),
            load_reward_model(ModelSource(path=str(reward_model_path)), tokenizer),
            scorer,
            tokenized_prompts(prompt_rows(8), tokenizer, BATCH.max_prompt_tokens),
            demonstrations=[
                Example(tokenizer.encode(r["prompt"][0]["content"]), [tokenizer.encode(r["response"])])
                for r in rows
            ],
        )

    return build


def rolled_out(run: PPORun, step: int = 1):
    """Rollouts of one round with everything the update reads."""
    rollouts = ppo.roll_out(
        run.policy,
        run.train_prompts[: run.config.rollout.prompts_a_step],
        run.scorer,
        n_samples=run.config.rollout.samples_a_prompt,
        sampling=run.config.rollout.sampling,
        max_response_tokens=run.config.batch.max_response_tokens,
        seed=str(step),
        processes=run.processes,
    )
    minibatches = ppo.look_back(run, rollouts)
    ppo.pay(run, rollouts, minibatches)
    ppo.credit(run, minibatches)
    return rollouts, minibatches


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_the_first_ratio_is_exactly_one_and_nothing_is_clipped(small_run, layout, dtype):
    """The model's own configuration asks for dropout; PPO runs without."""
    run = small_run(dropout=0.1, runtime=RuntimeOptions(dtype=dtype))
    run.layout = layout
    rollouts, minibatches = rolled_out(run)
    for piece in minibatches[0]:
        again_NR = run.policy.forward(by_products, token_logprobs_NR, piece.batch, 1.0)
        ratio_NR = (again_NR - piece.old_logprobs_NR).exp()
        assert (ratio_NR[piece.is_response_NR] == 1.0).all()
        assert again_NR.requires_grad
        for position, row in enumerate(piece.rows):
            response = rollouts[row].response
            own = piece.old_logprobs_NR[position, : len(response.token_ids)].tolist()
            # The sampler keeps the precision of the weights; in bf16 only the update's own pass is exact.
            assert own == pytest.approx(response.logprobs, abs=1e-4 if dtype == "fp32" else 0.05)
    pieces = minibatches[0]
    figures = ppo.update_policy(run, pieces, float(sum(p.batch.n_tokens for p in pieces)))
    assert figures["kl_to_sampler"] < 1e-10 and figures["clip_fraction"] == 0.0


def test_rollouts_carry_rewards_that_sum_to_score_minus_the_penalty(small_run):
    run = small_run(reward=RewardOptions(normalise=False, clip=None, kl_coefficient=0.3))
    with torch.no_grad():  # move the policy off its reference, so that there is a penalty
        for parameter in run.policy.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    rollouts, minibatches = rolled_out(run)
    for piece in itertools.chain.from_iterable(minibatches):
        log_ratio_NR = piece.old_logprobs_NR - piece.reference_logprobs_NR
        for position, row in enumerate(piece.rows):
            length = len(rollouts[row].response.token_ids)
            assert int(piece.is_response_NR[position].sum()) == length
            total = piece.rewards_NR[position].sum().item()
            penalty = 0.3 * log_ratio_NR[position, :length].sum().item()
            assert total == pytest.approx(rollouts[row].score - penalty, abs=1e-5)
    assert (
        max(abs(float((p.old_logprobs_NR - p.reference_logprobs_NR).abs().max())) for p in minibatches[0])
        > 0.01
    )


def test_the_reward_models_score_is_its_logit_minus_the_shift(small_run):
    run = small_run()
    rollouts, _ = rolled_out(run)
    model = run.scorer.reward_model.model
    for rollout in rollouts[:4]:
        ids = torch.tensor([[*rollout.prompt.token_ids, *rollout.response.token_ids]])
        with torch.no_grad():
            logit = model(ids, attention_mask=torch.ones_like(ids)).logits[0, 0].item()
        assert rollout.score == pytest.approx(logit - 0.25, abs=1e-5)


def test_how_a_minibatch_is_cut_does_not_change_the_update(small_run):
    """CHECK 19 on the recipe: ragged micro-batches of about 1, 2, 4 and 8 rows, policy and critic."""
    moved = []
    for tokens in (1, 70, 140, 4096):
        batch = dataclasses.replace(BATCH, max_micro_batch_tokens=tokens)
        run = small_run(
            batch=batch,
            policy_optimiser=OptimiserOptions(learning_rate=1e-5, schedule="constant", epsilon=1e-3),
        )
        run.layout = "padded"
        _, minibatches = rolled_out(run)
        pieces = minibatches[0]
        total = float(sum(p.batch.n_tokens for p in pieces))
        for piece in pieces:
            piece.advantages_NR = torch.sin(piece.batch.response_ids_NR.float())  # the same whatever the cut
            piece.returns_NR = torch.cos(piece.batch.response_ids_NR.float())
        ppo.update_policy(run, pieces, total)
        ppo.update_critic(run, pieces, total)
        moved.append(
            (
                len(pieces),
                [p.detach().clone() for e in (run.policy, run.critic) for p in e.model.parameters()],
            )
        )
    assert len({n for n, _ in moved}) > 1
    for _, parameters in moved[:-1]:
        for one, other in zip(parameters, moved[-1][1], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_ptx_adds_its_gradient_in_the_same_optimiser_step(small_run):
    algorithm = AlgorithmOptions(responses_a_minibatch=16, ptx_coefficient=0.7)
    still = OptimiserOptions(learning_rate=1e-9, schedule="constant", max_gradient_norm=0.0)

    def gradient(run, pieces, *, with_ptx: bool) -> torch.Tensor:
        total = float(sum(p.batch.n_tokens for p in pieces))
        kept = {}
        real = run.policy.step

        def step():
            kept["gradient"] = torch.cat([p.grad.flatten() for p in run.policy.model.parameters()])
            return real()

        run.policy.step = step
        run.ptx_cursor = run.ptx_cursor if with_ptx else None
        ppo.update_policy(run, pieces, total)
        assert run.policy.steps_done == 1
        return kept["gradient"]

    run = small_run(demonstrations=4, algorithm=algorithm, policy_optimiser=still)
    _, minibatches = rolled_out(run)
    both = gradient(run, minibatches[0], with_ptx=True)
    run = small_run(demonstrations=4, algorithm=algorithm, policy_optimiser=still)
    _, minibatches = rolled_out(run)
    alone = gradient(run, minibatches[0], with_ptx=False)
    batch = collate(run.demonstrations, layout="padded", pad_id=0)
    model = run.policy.model
    model.zero_grad()
    loss = language_model_loss(token_logprobs_NR(model, batch), batch.is_response_NR) / batch.n_tokens
    expected = alone + 0.7 * torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))]
    )
    torch.testing.assert_close(both, expected, rtol=0, atol=1e-6)


def test_the_step_stops_early_when_the_policy_has_moved_too_far(small_run):
    fast = OptimiserOptions(learning_rate=3e-2, schedule="constant")
    algorithm = AlgorithmOptions(responses_a_minibatch=4, epochs=4)
    run = small_run(policy_optimiser=fast, algorithm=algorithm, critic=CriticOptions(pretraining_updates=0))
    metrics, _ = ppo.train_round(run, 1)
    assert metrics["updates"] == 16 and not metrics["stopped_by_kl"]
    stopping = dataclasses.replace(algorithm, stop_at_kl=0.01)
    run = small_run(policy_optimiser=fast, algorithm=stopping, critic=CriticOptions(pretraining_updates=0))
    metrics, _ = ppo.train_round(run, 1)
    assert metrics["stopped_by_kl"] and metrics["updates"] < 16


# ---- the critic ------------------------------------------------------------------------------------------------


def test_the_critic_starts_as_an_exact_copy_of_the_reward_model(small_run):
    run = small_run()
    score = run.scorer.reward_model.model.state_dict()
    critic = run.critic.model.state_dict()
    assert score.keys() == critic.keys()
    assert all(torch.equal(score[name], critic[name]) for name in score)
    rollouts, minibatches = rolled_out(run)
    # Its value is the reward model's output on the scale of what is paid.
    moments = run.moments
    for piece in minibatches[0]:
        raw_NR = run.critic.infer(values_NR, piece.batch)
        expected_NR = (raw_NR - 0.25 - moments.mean) / moments.standard_deviation
        torch.testing.assert_close(piece.old_values_NR, expected_NR, rtol=0, atol=1e-5)


def test_critic_pre_training_leaves_the_policy_bit_identical_and_ends_when_the_loss_is_flat(small_run):
    run = small_run(critic=CriticOptions(pretraining_updates=40, flat_window=4, flat_gain=0.2))
    before = {name: value.clone() for name, value in run.policy.model.state_dict().items()}
    critic_before = {name: value.clone() for name, value in run.critic.model.state_dict().items()}
    stages, step = [], 0
    while run.progress.policy_steps == 0:
        step += 1
        metrics, _ = ppo.train_round(run, step)
        stages.append(metrics["stage"])
        if stages[-1] == "critic":
            assert all(torch.equal(before[n], v) for n, v in run.policy.model.state_dict().items())
            assert metrics["kl"] == 0.0
    assert stages[-1] == "policy" and stages[0] == "critic"
    assert 8 <= run.progress.critic_updates_alone <= 40
    assert any(not torch.equal(critic_before[n], v) for n, v in run.critic.model.state_dict().items())
    assert any(not torch.equal(before[n], v) for n, v in run.policy.model.state_dict().items())


# ---- known optimum ---------------------------------------------------------------------------------------------

V, EOS, PAD = 8, 1, 0


class RuleScorer:
    """A reward that is known: a function of a response's token ids."""

    same_tokenizer = True

    def __init__(self, rule) -> None:
        self.rule = rule
        self.policy_tokenizer = SimpleNamespace(eos_token_id=EOS, pad_token_id=PAD)
        self.reward_model = SimpleNamespace(reward_shift=0.0)

    def score(self, prompts, groups):
        return [self.rule(tuple(response.token_ids)) for group in groups for response in group]


def toy_models(seed: int, width: int = 32):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        pad_token_id=PAD,
        bos_token_id=2,
        eos_token_id=EOS,
        attn_implementation="sdpa",
    )
    policy = LlamaForCausalLM(config)
    with torch.no_grad():
        policy.lm_head.weight.normal_(std=0.15)
    reference = LlamaForCausalLM(config)
    reference.load_state_dict(policy.state_dict())
    from transformers import LlamaForSequenceClassification

    critic = LlamaForSequenceClassification(config)
    critic.config.num_labels = 1
    critic.score = torch.nn.Linear(width, 1, bias=False)
    torch.nn.init.zeros_(critic.score.weight)
    return policy, reference, critic


def toy_config(*, length: int, steps: int, learning_rate: float, seed: int, **changes) -> PPOConfig:
    nowhere = ModelSource(path="/nowhere")
    values = {
        "policy": ModelOptions(source=nowhere),
        "reward_model_path": "/nowhere",
        "policy_optimiser": OptimiserOptions(
            learning_rate=learning_rate, schedule="linear", final_fraction=0.0
        ),
        "critic_optimiser": OptimiserOptions(learning_rate=learning_rate, schedule="constant"),
        "batch": BatchOptions(max_prompt_tokens=4, max_response_tokens=length, max_micro_batch_tokens=8192),
        "rollout": RolloutOptions(steps=steps, prompts_a_step=1, samples_a_prompt=256),
        "reward": RewardOptions(normalise=False, clip=None, kl_coefficient=0.5),
        "algorithm": AlgorithmOptions(responses_a_minibatch=256, epochs=2, lambda_=1.0),
        "critic": CriticOptions(start="policy", pretraining_updates=0),
        "runtime": RuntimeOptions(seed=seed),
    }
    return PPOConfig(**(values | changes))


def sequence_logprobs(model, prompt, length: int) -> dict[tuple[int, ...], float]:
    """log-probability of every complete response: ended by EOS, or cut at `length`."""
    complete = [
        (*body, EOS)
        for n in range(length)
        for body in itertools.product([t for t in range(V) if t != EOS], repeat=n)
    ] + list(itertools.product([t for t in range(V) if t != EOS], repeat=length))
    batch = collate([Example(prompt, [ids]) for ids in complete], layout="padded", pad_id=PAD)
    with torch.no_grad():
        logprobs = token_logprobs_NR(model, batch).double().sum(1).tolist()
    return dict(zip(complete, logprobs, strict=True))


def optimum(reference: dict, reward: dict, beta: float) -> tuple[dict, float, float]:
    """(pi*, J*, J_ref) with pi* ~ pi_ref exp(r / beta) and J* = beta log Z; J = E r - beta KL."""
    weights = {s: math.exp(lp + reward[s] / beta) for s, lp in reference.items()}
    z = sum(weights.values())
    start = sum(math.exp(lp) * reward[s] for s, lp in reference.items())
    return {s: w / z for s, w in weights.items()}, beta * math.log(z), start


def learn_table(*, length: int, steps: int, seed: int, beta: float = 0.5):
    """PPO on a random reward for every response of at most `length` tokens.

    Returns (share of J* - J_ref gained, total variation to pi*, total variation to the reference). Two copies of the
    prompt make two minibatches a step.
    """
    policy, reference, critic = toy_models(seed)
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    before = sequence_logprobs(reference, prompt.token_ids, length)
    assert sum(math.exp(lp) for lp in before.values()) == pytest.approx(1.0, abs=1e-5)
    rng = np.random.default_rng(seed)
    reward = {s: float(rng.normal()) for s in before}
    config = toy_config(
        length=length,
        steps=steps,
        learning_rate=4e-3,
        seed=seed,
        reward=RewardOptions(normalise=False, clip=None, kl_coefficient=beta),
        rollout=RolloutOptions(steps=steps, prompts_a_step=2, samples_a_prompt=256),
        algorithm=AlgorithmOptions(responses_a_minibatch=256, epochs=1, lambda_=1.0),
    )
    prompts = [prompt, dataclasses.replace(prompt, prompt_id="again")]
    run = build_run(config, policy, reference, critic, RuleScorer(reward.__getitem__), prompts)
    for step in range(1, steps + 1):
        ppo.train_round(run, step)
    after = sequence_logprobs(policy, prompt.token_ids, length)
    best, j_best, j_start = optimum(before, reward, beta)
    j_after = sum(math.exp(lp) * (reward[s] - beta * (lp - before[s])) for s, lp in after.items())
    distance = 0.5 * sum(abs(math.exp(lp) - best[s]) for s, lp in after.items())
    drift = 0.5 * sum(abs(math.exp(lp) - math.exp(before[s])) for s, lp in after.items())
    return (j_after - j_start) / (j_best - j_start), distance, drift


def test_ppo_reaches_the_known_optimum():
    gained, distance, _ = learn_table(length=2, steps=60, seed=0)
    assert gained >= 0.95 and distance <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("length", "steps", "beta"), [(1, 40, 0.5), (2, 80, 0.5), (3, 280, 1.0)])
def test_ppo_reaches_the_known_optimum_for_every_seed(length, steps, beta, seed):
    gained, distance, _ = learn_table(length=length, steps=steps, seed=seed, beta=beta)
    assert gained >= 0.95 and distance <= 0.1


def test_a_large_penalty_keeps_the_policy_at_the_reference():
    _, _, drift = learn_table(length=1, steps=20, seed=0, beta=50.0)
    assert drift <= 0.03


def test_a_penalised_toy_policy_learns_to_end():
    policy, reference, critic = toy_models(0)
    with torch.no_grad():
        policy.lm_head.weight[EOS] -= 0.1
    config = toy_config(
        length=6,
        steps=40,
        learning_rate=4e-3,
        seed=0,
        reward=RewardOptions(
            normalise=False, clip=None, kl_coefficient=0.02, missing_eos="replace", missing_eos_score=-1.0
        ),
    )
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    run = build_run(config, policy, reference, critic, RuleScorer(lambda ids: 0.5), [prompt])
    first, _ = ppo.train_round(run, 1)
    for step in range(2, 41):
        last, _ = ppo.train_round(run, step)
    assert first["eos_rate"] < 0.8 and last["eos_rate"] > 0.9


def test_the_subtract_rule_teaches_it_too_after_normalisation():
    policy, reference, critic = toy_models(0)
    rule = RewardOptions(
        normalise=True, clip=0.8, kl_coefficient=0.02, missing_eos="subtract", missing_eos_score=-1.0
    )
    config = toy_config(length=6, steps=40, learning_rate=4e-3, seed=0, reward=rule)
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    run = build_run(config, policy, reference, critic, RuleScorer(lambda ids: 0.1 * (len(ids) % 2)), [prompt])
    first, _ = ppo.train_round(run, 1)
    for step in range(2, 41):
        last, _ = ppo.train_round(run, step)
    assert first["eos_rate"] < 0.8 and last["eos_rate"] > 0.9


def test_the_pre_trained_critic_explains_most_of_the_variance():
    """The toy's reward is read off the first token, so that almost all of it can be foreseen from there on."""
    policy, reference, critic = toy_models(0)
    config = toy_config(
        length=4,
        steps=1,
        learning_rate=3e-3,
        seed=0,
        critic=CriticOptions(start="policy", pretraining_updates=60, flat_gain=0.0, flat_window=30),
    )
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    run = build_run(config, policy, reference, critic, RuleScorer(lambda ids: 2.0 * (ids[0] % 2)), [prompt])
    untouched = {name: value.clone() for name, value in policy.state_dict().items()}
    history, step = [], 0
    while not ppo.critic_is_ready(run):
        step += 1
        metrics, _ = ppo.train_round(run, step)
        history.append(metrics["explained_variance"])
    assert all(torch.equal(untouched[name], value) for name, value in policy.state_dict().items())
    assert history[0] < 0.1 and history[-1] > 0.5
