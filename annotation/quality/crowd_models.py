"""What is true of items and who is reliable, from labels of several annotators: Dawid-Skene and MACE. Pure functions.

For labels without a scale; votes on pairs, with ties and strengths, have graded_model. Suffixes: N labels, I items,
A annotators, C classes. Both models are fitted by expectation-maximisation from the shares of the labels of each item.

Sources: Dawid and Skene (1979), Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm. Hovy,
Berg-Kirkpatrick, Vaswani and Hovy (2013), Learning Whom to Trust with MACE (variational EM with restarts, their
default).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any

MACE_PRIOR = 0.5  # of both Beta and Dirichlet priors, as the authors' program
MACE_RESTARTS = 10
MACE_ITERATIONS = 50


@dataclass(frozen=True)
class DawidSkene:
    posterior_IC: Array
    prevalence_C: Array
    error_rates_ACC: Array  # [a, true class, label]: rows add up to 1
    log_likelihood: float


def dawid_skene(
    item_N: Array,
    annotator_N: Array,
    label_N: Array,
    n_classes: int,
    *,
    smoothing: float = 0.01,
    iterations: int = 500,
    tolerance: float = 1e-8,
) -> DawidSkene:
    """Items, annotators and labels are 0, 1, ...; an annotator may label an item more than once.

    `smoothing` labels of each kind are added to what every annotator did, so that a few labels are no certainty; 0 is
    the paper's estimate.
    """
    n_items, n_annotators = int(item_N.max()) + 1, int(annotator_N.max()) + 1
    posterior = label_shares(item_N, label_N, n_items, n_classes)
    cells = annotator_N * n_classes + label_N
    likelihood = -np.inf
    while True:
        prevalence = posterior.mean(axis=0)
        counts = _sums_by(cells, posterior[item_N], n_annotators * n_classes)
        # [annotator, label, true class] -> [annotator, true class, label]
        counts = counts.reshape(n_annotators, n_classes, n_classes).transpose(0, 2, 1) + smoothing
        totals = counts.sum(axis=2, keepdims=True)
        error_rates = np.divide(counts, totals, out=np.full_like(counts, 1 / n_classes), where=totals > 0)
        with np.errstate(divide="ignore"):
            log_rates = np.maximum(np.log(error_rates), -1e3)
            log_prevalence = np.maximum(np.log(prevalence), -1e3)
        joint = _sums_by(item_N, log_rates[annotator_N, :, label_N], n_items) + log_prevalence
        posterior, item_likelihood = _normalize(joint)
        before, likelihood = likelihood, float(item_likelihood.sum())
        iterations -= 1
        if iterations <= 0 or likelihood - before < tolerance * abs(likelihood):
            return DawidSkene(posterior, prevalence, error_rates, likelihood)


@dataclass(frozen=True)
class Mace:
    posterior_IC: Array
    competence_A: Array  # the probability of knowing the answer, and not guessing
    guesses_AC: Array  # what is said when guessing
    log_likelihood: float


def mace(
    item_N: Array,
    annotator_N: Array,
    label_N: Array,
    n_classes: int,
    *,
    restarts: int = MACE_RESTARTS,
    iterations: int = MACE_ITERATIONS,
    seed: int = 0,
) -> Mace:
    """The best of several random starts, each annotator's competence under a Beta(0.5, 0.5) prior."""
    generator = np.random.default_rng(seed)
    fits = (
        _mace_once(item_N, annotator_N, label_N, n_classes, iterations, generator) for _ in range(restarts)
    )
    return max(fits, key=lambda fit: fit.log_likelihood)


def _mace_once(
    item_N: Array,
    annotator_N: Array,
    label_N: Array,
    n_classes: int,
    iterations: int,
    generator: np.random.Generator,
) -> Mace:
    n_items, n_annotators = int(item_N.max()) + 1, int(annotator_N.max()) + 1
    knows = 0.5 + generator.uniform(-0.2, 0.2, n_annotators)
    guesses = generator.dirichlet(np.full(n_classes, 10.0), n_annotators)
    cells = annotator_N * n_classes + label_N
    labels_A = np.bincount(annotator_N, minlength=n_annotators)
    for step in range(iterations + 1):
        by_guess_N = (1 - knows)[annotator_N] * guesses[annotator_N, label_N]
        right_N = knows[annotator_N] + by_guess_N
        # Every class gets the probability of a guess; the one that was said more.
        base_I = np.bincount(item_N, np.log(by_guess_N), n_items)
        gain_IC = np.bincount(
            item_N * n_classes + label_N, np.log(right_N / by_guess_N), n_items * n_classes
        ).reshape(n_items, n_classes)
        posterior, item_likelihood = _normalize(base_I[:, None] + gain_IC - np.log(n_classes))
        if step == iterations:
            break
        knew_N = posterior[item_N, label_N] * knows[annotator_N] / right_N
        knew_A = np.bincount(annotator_N, knew_N, n_annotators)
        guessed_AC = np.bincount(cells, 1 - knew_N, n_annotators * n_classes).reshape(-1, n_classes)
        # The variational step: expected logarithms under the posterior of each parameter.
        total = digamma(labels_A + 2 * MACE_PRIOR)
        yes, no = (np.exp(digamma(part + MACE_PRIOR) - total) for part in (knew_A, labels_A - knew_A))
        knows = yes / (yes + no)
        guesses = np.exp(digamma(guessed_AC + MACE_PRIOR))
        guesses /= guesses.sum(axis=1, keepdims=True)
    return Mace(posterior, knows, guesses, float(item_likelihood.sum()))


def label_shares(item_N: Array, label_N: Array, n_items: int, n_classes: int) -> Array:
    """(I, C): the vote. Its largest is the majority's label."""
    counts = np.bincount(item_N * n_classes + label_N, minlength=n_items * n_classes).reshape(-1, n_classes)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def digamma(x: Array) -> Array:
    """For x > 0, to 1e-10: the recurrence up to 6, then the asymptotic series (Abramowitz and Stegun, 6.3.18)."""
    x = np.array(x, dtype=float)
    low = np.zeros_like(x)
    for _ in range(6):
        small = x < 6
        low[small] -= 1 / x[small]
        x[small] += 1
    y = 1 / (x * x)
    series = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132)))))
    return low + np.log(x) - 0.5 / x - series


def _sums_by(place_N: Array, value_ND: Array, number: int) -> Array:
    """(number, D): rows added up by place."""
    return np.stack([np.bincount(place_N, value_ND[:, d], number) for d in range(value_ND.shape[1])], axis=1)


def _normalize(log_IC: Array) -> tuple[Array, Array]:
    """(shares, logarithm of the sum) of each row."""
    most = log_IC.max(axis=1, keepdims=True)
    weights = np.exp(log_IC - most)
    totals = weights.sum(axis=1, keepdims=True)
    return weights / totals, (most + np.log(totals))[:, 0]
