"""What PPO logs of its responses, by hand."""

import math

import numpy as np
import pytest
import torch

from policy_training.training.rollouts.measures import distinct_metrics, perplexity, spread_metrics, thinned
from tests.policy_training.training.ppo_states import collect_experience


def test_distinct_n_grams_by_hand():
    # 1-grams: 5 5 6, 5 6: two of five. 2-grams: (5 5) (5 6), (5 6): two of three. 3-grams: one of one.
    assert distinct_metrics([[5, 5, 6], [5, 6]]) == {
        "distinct_1": 2 / 5,
        "distinct_2": 2 / 3,
        "distinct_3": 1.0,
    }
    assert distinct_metrics([[7], []]) == {"distinct_1": 1.0}


def test_the_perplexity_of_a_uniform_choice_of_four_is_four():
    assert perplexity(3 * math.log(1 / 4), 3) == pytest.approx(4.0, abs=1e-12)


def test_spreads_are_those_of_the_whole_stream_however_it_is_split_over_ranks():
    rng = np.random.default_rng(1)
    values = 1e4 + rng.normal(size=7)
    parts = [torch.from_numpy(values[:3]), torch.from_numpy(values[3:])]
    sums = [[sum(float(p.sum()) for p in parts), 7.0], None]
    # Rank 0 of two: the other's sums are added by hand.
    calls = iter(range(2))

    def all_reduce_sum(tensor):
        if next(calls) == 0:
            return torch.tensor(sums[0], dtype=torch.float64)
        mean = values.mean()
        return tensor + ((parts[1].numpy() - mean) ** 2).sum()

    found = spread_metrics({"value": parts[0]}, all_reduce_sum=all_reduce_sum)
    assert found["value_mean"] == pytest.approx(values.mean(), abs=1e-9)
    assert found["value_std"] == pytest.approx(values.std(), rel=1e-7)
    assert spread_metrics({"value": torch.empty(0)}) == {}


def test_scores_of_a_histogram_keep_their_ends():
    assert thinned([3.0, 1.0, 2.0]) == [1.0, 2.0, 3.0]
    many = thinned([float(n) for n in range(5000)], 10)
    assert len(many) == 10 and (many[0], many[-1]) == (0.0, 4999.0)


def test_the_metrics_of_a_step_are_recomputed_from_its_rollouts(small_state):
    state = small_state()
    rollouts, minibatches = collect_experience(state, gather=False)
    from policy_training.training.ppo.experience import gather_experience

    metrics = gather_experience(state, rollouts, minibatches)
    micro_batches = [m for minibatch in minibatches for m in minibatch]
    flat = {
        name: np.concatenate([getattr(m, name)[m.is_response_NR].double().numpy() for m in micro_batches])
        for name in ("old_logprobs_NR", "old_values_NR", "returns_NR")
    }
    assert metrics["response_perplexity"] == pytest.approx(np.exp(-flat["old_logprobs_NR"].mean()), rel=1e-6)
    assert metrics["value_mean"] == pytest.approx(flat["old_values_NR"].mean(), abs=1e-6)
    assert metrics["return_std"] == pytest.approx(flat["returns_NR"].std(), rel=1e-5)
    # Before whitening: return = advantage + value at every token.
    assert metrics["advantage_mean"] == pytest.approx(
        (flat["returns_NR"] - flat["old_values_NR"]).mean(), abs=1e-5
    )
    assert metrics["sqrt_kl"] ** 2 == pytest.approx(max(metrics["kl"], 0.0), abs=1e-12)
    words = [token for rollout in rollouts for token in rollout.response.token_ids]
    assert metrics["distinct_1"] == len(set(words)) / len(words)
