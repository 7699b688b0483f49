"""Importance weights of responses that another sampler drew: exact by enumeration, by hand, and in a step of PPO."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from learning.distributed import DistributedContext
from learning.interface.training_options import RuntimeOptions
from policy_training.training.config import SamplingOptions
from policy_training.training.losses import clipped_value_loss
from policy_training.training.policy_gradient.config import PolicyGradientOptions
from policy_training.training.policy_gradient.losses import policy_gradient_loss
from policy_training.training.ppo import experience
from policy_training.training.ppo.config import PolicyLossOptions, RewardOptions, RolloutOptions
from policy_training.training.ppo.policy_loss import policy_loss
from policy_training.training.rollouts.config import ImportanceOptions, RolloutServerOptions
from policy_training.training.rollouts.importance import (
    Mismatch,
    importance_weights,
    mean_mismatch,
    padded_logprobs,
)
from tests.policy_training.training.ppo_states import collect_experience

V = 3  # tokens; the last one ends a response
SEQUENCE, TOKEN = (ImportanceOptions(weights=name, cap=None) for name in ("sequence", "token"))


def sequences(length: int) -> list[tuple[int, ...]]:
    """All responses of at most `length` tokens: ended by the last token, or cut off."""
    found = []
    for n in range(1, length + 1):
        for head in itertools.product(range(V - 1), repeat=n - 1):
            found += [(*head, last) for last in range(V) if last == V - 1 or n == length]
    return found


class Table:
    """A language model with logits of its own for every beginning, float64."""

    def __init__(self, seed: int, length: int, like: "Table | None" = None, distance: float = 1.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        prefixes = [head for n in range(length) for head in itertools.product(range(V - 1), repeat=n)]
        self.logits = {}
        for head in prefixes:
            noise = distance * torch.randn(V, generator=generator, dtype=torch.float64)
            self.logits[head] = (noise + (like.logits[head] if like else 0.0)).detach().requires_grad_()

    def logprobs(self, sequence) -> torch.Tensor:
        return torch.stack(
            [self.logits[sequence[:t]].log_softmax(-1)[token] for t, token in enumerate(sequence)]
        )

    def entropies(self, sequence) -> torch.Tensor:
        rows = torch.stack([self.logits[sequence[:t]].log_softmax(-1) for t in range(len(sequence))])
        return -(rows.exp() * rows).sum(-1)

    def gradient(self, loss: torch.Tensor) -> np.ndarray:
        grads = torch.autograd.grad(loss, list(self.logits.values()), allow_unused=True)
        return np.concatenate([np.zeros(V) if g is None else g.numpy() for g in grads])


def advantages(sequence) -> torch.Tensor:
    """Of every token, by all of the response, as GAE's are: known here, of both signs."""
    return torch.tensor(
        [math.sin(3.0 * sum(sequence) + 5.0 * len(sequence) + t) for t in range(len(sequence))]
    )


PPO = {
    "clip": (PolicyLossOptions(), 0.2),
    "no clip": (PolicyLossOptions(), None),
    "log-probability": (PolicyLossOptions(objective="log_probability"), None),
    "reference": (PolicyLossOptions(old_policy="reference"), None),
    "penalty and entropy": (PolicyLossOptions(kl_penalty_coefficient=0.7, entropy_coefficient=0.3), 0.2),
}
GRADIENTS = {
    "REINFORCE": PolicyGradientOptions(),
    "GRPO": PolicyGradientOptions(
        objective="ratio", clip_range=0.2, averaging="tokens_of_each", kl_loss_coefficient=0.3
    ),
}


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("name", [*PPO, *GRADIENTS, "value"])
def test_the_mean_gradient_over_another_samplers_responses_is_the_on_policy_one(name, length):
    """Summed over every response, weighed by how often its sampler writes it: exact for weights of whole responses.
    Without weights it is not, and weights of single tokens are exact where a response is one token.
    """
    old = Table(1, length)
    present, reference = Table(2, length, like=old, distance=0.4), Table(3, length, like=old)
    sampler = Table(4, length, like=old, distance=0.3)

    def loss(sequence, weights) -> torch.Tensor:
        mask = torch.ones(1, len(sequence), dtype=torch.bool)
        now, before, fixed = (t.logprobs(sequence)[None] for t in (present, old, reference))
        before, fixed, own = before.detach(), fixed.detach(), advantages(sequence)[None].double()
        if name == "value":
            return clipped_value_loss(now, before, own, mask, clip=0.1, weights_NR=weights).loss
        if name in GRADIENTS:
            options = GRADIENTS[name]
            return policy_gradient_loss(now, before, fixed, own, mask, options, weights).loss
        options, clip = PPO[name]
        return policy_loss(
            options, now, own, mask, sampling_logprobs_NR=before, reference_logprobs_NR=fixed, clip=clip,
            penalty=options.kl_penalty_coefficient, entropy_NR=present.entropies(sequence)[None],
            entropy_weight=options.entropy_coefficient, weights_NR=weights,
        ).loss  # fmt: skip

    def mean_gradient(drawn_by: Table, options: ImportanceOptions | None) -> np.ndarray:
        total = 0.0
        for sequence in sequences(length):
            weights = None
            if options is not None:
                mask = torch.ones(1, len(sequence), dtype=torch.bool)
                weights = importance_weights(
                    old.logprobs(sequence)[None], drawn_by.logprobs(sequence)[None], mask, options
                ).weights_NR
                assert not weights.requires_grad
            probability = drawn_by.logprobs(sequence).sum().exp().detach()
            total = total + probability * loss(sequence, weights)
        return present.gradient(total)

    exact = mean_gradient(old, None)
    assert np.abs(exact).max() > 0.01
    assert sum(sampler.logprobs(one).sum().exp().item() for one in sequences(length)) == pytest.approx(1.0)
    np.testing.assert_allclose(mean_gradient(sampler, SEQUENCE), exact, rtol=0, atol=1e-12)
    wrong = np.abs(mean_gradient(sampler, None) - exact).max()
    by_token = np.abs(mean_gradient(sampler, TOKEN) - exact).max()
    assert wrong > 1e-3
    if length == 1:
        assert by_token < 1e-12
    else:
        assert by_token > 1e-4


def test_a_cap_cuts_off_what_is_above_it_and_says_how_much():
    """By hand: ratios 4, 1/2 and 3 of a first response, 1/2 and 1/2 of a second one that is shorter."""
    sampled = torch.log(torch.tensor([[0.1, 0.8, 0.2], [0.8, 0.8, float("nan")]]))
    trained = torch.log(torch.tensor([[0.4, 0.4, 0.6], [0.4, 0.4, 0.9]]))
    mask = torch.tensor([[True, True, True], [True, True, False]])

    def weigh(weights, cap):
        found = importance_weights(trained, sampled, mask, ImportanceOptions(weights=weights, cap=cap))
        return [[round(x, 5) for x in row] for row in found.weights_NR.tolist()], found.capped, found.counted

    assert weigh("token", None) == ([[4.0, 0.5, 3.0], [0.5, 0.5, 0.0]], 0, 5)
    assert weigh("token", 2.0) == ([[2.0, 0.5, 2.0], [0.5, 0.5, 0.0]], 2, 5)
    assert weigh("sequence", None) == ([[6.0, 6.0, 6.0], [0.25, 0.25, 0.0]], 0, 2)
    assert weigh("sequence", 2.0) == ([[2.0, 2.0, 2.0], [0.25, 0.25, 0.0]], 1, 2)
    far = importance_weights(trained + 1e4, sampled, mask, SEQUENCE).weights_NR
    assert torch.isfinite(far).all()
    with pytest.raises(ValueError, match="of 'none' are no weights"):
        weigh("none", 2.0)
    # The figures of the same responses, with the cap of tokens: Kish's effective share is (5.5)^2 / (8.75 * 5).
    shares = Mismatch(), Mismatch()
    for row, share in enumerate(shares):
        part = slice(row, row + 1)
        weights = importance_weights(
            trained[part], sampled[part], mask[part], ImportanceOptions(weights="token")
        )
        share.add(trained[part], sampled[part], mask[part], weights)
    figures = mean_mismatch(shares, DistributedContext.start(RuntimeOptions()))
    ratios = np.array([4.0, 0.5, 3.0, 0.5, 0.5])
    assert figures == pytest.approx(
        {
            "sampler_log_ratio": np.log(ratios).mean(),
            "sampler_kl": (ratios - 1 - np.log(ratios)).mean(),
            "sampler_log_ratio_max": math.log(4.0),
            "importance_weight": 5.5 / 5,
            "importance_capped": 2 / 5,
            "importance_effective": 5.5**2 / (8.75 * 5),
        },
        rel=1e-5,
    )


def test_log_probs_that_are_not_one_a_token_are_an_error():
    mask = torch.tensor([[True, True], [True, False]])
    assert padded_logprobs([[-1.0, -2.0], [-3.0]], mask).tolist() == [[-1.0, -2.0], [-3.0, 0.0]]
    with pytest.raises(ValueError, match="for responses of"):
        padded_logprobs([[-1.0], [-3.0]], mask)


@pytest.mark.parametrize("weights", ["token", "sequence"])
def test_rollouts_at_another_temperature_count_by_the_policy_that_is_trained(small_state, weights):
    """Drawn at temperature 1.5 and trained at 1, against log-softmax of plain forward passes."""
    state = small_state(
        rollout=RolloutOptions(
            prompts_per_step=4,
            samples_per_prompt=4,
            sampling=SamplingOptions(temperature=1.5),
            policy_temperature=1.0,
            importance=ImportanceOptions(weights=weights, cap=None),
        ),
        reward=RewardOptions(normalize=False, clip_range=None),
    )
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():  # a policy that is sure of some tokens, off its reference
        for parameter in state.policy.model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    rollouts, minibatches = collect_experience(state, gather=False)
    metrics = experience.gather_experience(state, rollouts, minibatches)

    def logprobs(model, rollout, temperature):
        prompt, response = rollout.prompt.token_ids, rollout.response.token_ids
        with torch.no_grad():
            logits = model(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1]
        return (logits.double() / temperature).log_softmax(-1)[range(len(response)), response].numpy()

    kl, seen = [], 0
    for micro_batch in itertools.chain.from_iterable(minibatches):
        for position, row in enumerate(micro_batch.rollout_indices):
            trained, drawn = (logprobs(state.policy.model, rollouts[row], t) for t in (1.0, 1.5))
            n = len(drawn)
            assert rollouts[row].response.logprobs == pytest.approx(drawn, abs=1e-4)
            assert micro_batch.old_logprobs_NR[position, :n].numpy() == pytest.approx(trained, abs=1e-4)
            expected = np.exp(trained - drawn if weights == "token" else np.full(n, (trained - drawn).sum()))
            assert micro_batch.weights_NR[position, :n].numpy() == pytest.approx(expected, rel=2e-3)
            fixed = logprobs(state.reference.model, rollouts[row], 1.0)
            kl.append((expected * (trained - fixed)).sum())
            seen += np.abs(expected - 1).max() > 0.1
    assert seen > 8
    assert metrics["kl"] == pytest.approx(np.mean(kl), rel=2e-3, abs=1e-3)
    assert metrics["sampler_kl"] > 1e-3


def test_what_cannot_be_right_is_refused():
    other = {"sampling": SamplingOptions(temperature=0.7), "policy_temperature": 1.0}
    with pytest.raises(ValueError, match="set importance.weights, so that responses count"):
        RolloutOptions(**other)
    RolloutOptions(**other, importance=TOKEN)
    server = RolloutServerOptions(name="toy")
    with pytest.raises(ValueError, match="the policy moves away from what the server samples"):
        RolloutOptions(server=server)
    with pytest.raises(ValueError, match="set server.logprobs_at_temperature"):
        RolloutOptions(server=server, importance=TOKEN, sampling=SamplingOptions(temperature=0.7))
    RolloutOptions(server=replace(server, weights="each_step"))
    for wrong, said in (
        ({"protocol": "chat"}, "use 'completions'"),
        ({"returns_logprobs": False}, "returns_logprobs is false"),
        ({"returns_token_ids": False}, "returns_token_ids is false"),
        ({"stop": ("\n",)}, "stop must be empty"),
        ({"model": "{policy}"}, "cannot have {policy} in it"),
        ({"model": "m", "weights": "each_step"}, "leave model empty"),
    ):
        with pytest.raises(ValueError, match=said):
            RolloutServerOptions(name="toy", **wrong)
    with pytest.raises(ValueError, match="cap must be at least 1"):
        ImportanceOptions(cap=0.5)
