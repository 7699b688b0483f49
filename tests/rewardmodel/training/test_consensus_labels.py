"""A reward model that learns the consensus of a crowd with spammers, against one that learns the raw votes."""

import numpy as np
import pytest
import torch

from annotation.quality.graded_model import consensus, fit_crowd
from benchmarks.annotator_models import simulate
from rewardmodel.training.losses import soft_label_losses

FEATURES, TRAINED_ON, TESTED_ON = 20, 250, 4000
RIDGE = 0.01


def fit_reward(x_ND, preference_N):
    """Weights of a linear reward under the loss soft_labels; as convex as the ridge makes it."""
    x_ND, preference_N = torch.tensor(x_ND), torch.tensor(preference_N)
    weight_D = torch.zeros(x_ND.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight_D], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        reward_N = x_ND @ weight_D
        loss = soft_label_losses(reward_N, torch.zeros_like(reward_N), preference_N).mean()
        loss = loss + RIDGE * weight_D.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight_D.detach().numpy()


def accuracies(seed):
    """(consensus, raw votes): against what is truly better, on pairs nobody judged. Half of the 24 annotators guess,
    turn answers round or take what is shown first.
    """
    generator = np.random.default_rng(1000 + seed)
    true_D = generator.normal(size=FEATURES) / FEATURES**0.5
    x_UD = generator.normal(size=(TRAINED_ON, FEATURES))
    votes = simulate(seed, annotators=24, difference_U=x_UD @ true_D).votes
    labels_U = consensus(votes, fit_crowd(votes)).preference_U
    new_ND = generator.normal(size=(TESTED_ON, FEATURES))
    is_better_N = new_ND @ true_D > 0
    learned = (fit_reward(x_UD, labels_U), fit_reward(x_UD[votes.unit_N], (1 + votes.sign_N) / 2))
    return [float(((new_ND @ weight_D > 0) == is_better_N).mean()) for weight_D in learned]


def test_the_consensus_teaches_more_than_the_votes():
    found = np.array([accuracies(seed) for seed in range(3)])
    assert (found[:, 0] > found[:, 1]).all()
    of_consensus, of_votes = found.mean(axis=0)
    assert of_consensus > of_votes + 0.02


@pytest.mark.parametrize("preference", [0.2, 0.5, 0.8])
def test_the_reward_of_a_share_is_its_log_odds(preference):
    """Without a ridge sigmoid(w) = p at the minimum; with it p - sigmoid(w) = 2 RIDGE w."""
    [weight] = fit_reward(np.ones((1, 1)), np.array([preference]))
    assert preference - 1 / (1 + np.exp(-weight)) == pytest.approx(2 * RIDGE * weight, abs=1e-6)
