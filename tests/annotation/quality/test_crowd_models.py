import numpy as np
import pytest
from scipy.special import digamma as scipy_digamma

from annotation.quality.crowd_models import dawid_skene, digamma, label_shares, mace
from tests.annotation.quality.cases import CASES


def test_dawid_and_skenes_anaesthetists():
    case = CASES["dawid_skene_1979_anaesthetists"]
    item, rater, rating = np.array(case["data"]["item_rater_rating"]).T - 1
    found = dawid_skene(item, rater, rating, 4, smoothing=0, tolerance=1e-12)
    expected = case["expected"]["recomputed"]
    assert found.prevalence_C == pytest.approx(expected["class_marginals"], abs=1e-3)
    assert found.log_likelihood == pytest.approx(
        expected["log_likelihood_without_multinomial_coefficients"], abs=1e-3
    )
    assert np.allclose(found.error_rates_ACC, expected["error_rates_rater_true_observed"], atol=1e-3)
    assert (found.posterior_IC.argmax(axis=1) + 1).tolist() == expected["map_class"]
    assert found.posterior_IC.max(axis=1) == pytest.approx(expected["posterior_max"], abs=1e-3)


def test_dawid_and_skene_of_the_crowd_of_crowd_kit():
    case = CASES["crowdkit_toy"]
    rows = case["data"]["worker_task_label"]
    worker, task, label = (sorted({row[place] for row in rows}) for place in range(3))
    w, t, v = np.array([[worker.index(a), task.index(b), label.index(c)] for a, b, c in rows]).T
    found = dawid_skene(t, w, v, 2, smoothing=0)
    labels = {task[i]: label[c] for i, c in enumerate(found.posterior_IC.argmax(axis=1))}
    assert labels == case["expected"]["published"]["dawid_skene_labels"]


def crowd(seed, competence, items=400, classes=3, each=5):
    """Labels of a crowd that knows or guesses: (truth, item, annotator, label)."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, items)
    item = np.repeat(np.arange(items), each)
    annotator = np.concatenate([generator.permutation(len(competence))[:each] for _ in range(items)])
    knows = generator.random(len(item)) < np.array(competence)[annotator]
    label = np.where(knows, truth[item], generator.integers(0, classes, len(item)))
    return truth, item, annotator, label


def test_mace_finds_who_knows_and_who_guesses():
    competence = [0.95] * 3 + [0.6] * 4 + [0.02] * 5
    truth, item, annotator, label = crowd(4, competence)
    found = mace(item, annotator, label, 3, restarts=3)
    assert found.competence_A == pytest.approx(competence, abs=0.12)
    majority = (label_shares(item, label, 400, 3).argmax(axis=1) == truth).mean()
    assert (found.posterior_IC.argmax(axis=1) == truth).mean() > majority + 0.05


def test_mace_is_the_same_each_time():
    _, item, annotator, label = crowd(5, [0.9, 0.5, 0.1, 0.7, 0.6], items=50)
    one, other = (mace(item, annotator, label, 3, restarts=2) for _ in range(2))
    assert np.array_equal(one.competence_A, other.competence_A)


def test_smoothing_keeps_few_labels_from_being_certain():
    item, annotator, label = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    assert dawid_skene(item, annotator, label, 2).error_rates_ACC.max() < 1
    assert dawid_skene(item, annotator, label, 2, smoothing=0).error_rates_ACC.max() == 1


def test_digamma_is_that_of_scipy():
    x = np.geomspace(1e-3, 1e5, 200)
    assert digamma(x) == pytest.approx(scipy_digamma(x), rel=1e-9, abs=1e-9)
