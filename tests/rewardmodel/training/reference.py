"""The losses written a second time, from the papers, in NumPy float64 and by brute force.

A comparison here is a matrix: preference[i][j] is the share of people for i over j, None if never compared.
"""

import itertools
import math

import numpy as np

LLAMA2_TABLE_27 = {"small": {3: 1.0, 2: 2 / 3, 1: 1 / 3, 0: 0.0}, "large": {3: 3.0, 2: 2.0, 1: 1.0, 0: 0.0}}


def softplus(x):
    """log(1 + e^x) without overflow, so that -log sigmoid(x) = softplus(-x)."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def pairwise(scores, preference, grade, table=None, divide_by_all=False, strength_weighted=False):
    scores = np.asarray(scores, dtype=np.float64)
    k = len(scores)
    total, count = 0.0, 0
    for winner, loser in itertools.permutations(range(k), 2):
        share = preference[winner][loser]
        if share is None or share <= 0.5:
            continue
        strength = grade[winner][loser]
        margin = LLAMA2_TABLE_27[table][strength] if table else 0.0
        weight = {0: 0.5, 1: 1.0, 2: 2.0, 3: 3.0}[strength] if strength_weighted else 1.0
        total += weight * softplus(-(scores[winner] - scores[loser] - margin))
        count += 1
    return total / (math.comb(k, 2) if divide_by_all else max(count, 1))


def soft_labels(scores, preference):
    scores = np.asarray(scores, dtype=np.float64)
    terms = []
    for i, j in itertools.combinations(range(len(scores)), 2):
        share = preference[i][j]
        if share is not None:
            terms.append(
                share * softplus(scores[j] - scores[i]) + (1 - share) * softplus(scores[i] - scores[j])
            )
    return float(np.mean(terms))


def centering(scores, preference):
    scores = np.asarray(scores, dtype=np.float64)
    return float(
        np.mean(
            [
                (scores[i] + scores[j]) ** 2
                for i, j in itertools.combinations(range(len(scores)), 2)
                if preference[i][j] is not None and preference[i][j] != 0.5
            ]
        )
    )


def plackett_luce(scores, ranks):
    """Sum over every full order that agrees with the tiers of its Plackett-Luce probability."""
    scores = np.asarray(scores, dtype=np.float64)
    log_probabilities = []
    for order in itertools.permutations(range(len(scores))):
        if any(ranks[a] > ranks[b] for a, b in itertools.pairwise(order)):
            continue
        log_probability = 0.0
        for place, chosen in enumerate(order):
            rest = scores[list(order[place:])]
            log_probability += scores[chosen] - (rest.max() + np.log(np.exp(rest - rest.max()).sum()))
        log_probabilities.append(log_probability)
    peak = max(log_probabilities)
    return -(peak + math.log(sum(math.exp(value - peak) for value in log_probabilities)))


def best_of_k(scores, ranks):
    scores = np.asarray(scores, dtype=np.float64)
    top = [i for i, rank in enumerate(ranks) if rank == 0]
    rest = [i for i, rank in enumerate(ranks) if rank != 0]
    if not rest:
        return 0.0
    losses = []
    for i in top:
        rivals = scores[[i, *rest]]
        losses.append(rivals.max() + np.log(np.exp(rivals - rivals.max()).sum()) - scores[i])
    return float(np.mean(losses))


def regression(scores, ratings):
    """Mean squared error; `ratings` are normalised already."""
    return float(np.mean((np.asarray(scores, dtype=np.float64) - np.asarray(ratings, dtype=np.float64)) ** 2))


def ordinal(scores, levels, thresholds):
    """Mean -log probability of each level: the difference of two cumulative probabilities, as McCullagh writes it."""

    def at_most(level, score):
        if level < 0:
            return 0.0
        return 1.0 if level == len(thresholds) else 1 / (1 + math.exp(score - thresholds[level]))

    terms = [
        -math.log(at_most(level, score) - at_most(level - 1, score))
        for score, level in zip(scores, levels, strict=True)
    ]
    return float(np.mean(terms))


def lm(logprobs_of_responses, top):
    tokens = [value for i in top for value in logprobs_of_responses[i]]
    return -float(np.mean(np.asarray(tokens, dtype=np.float64)))
