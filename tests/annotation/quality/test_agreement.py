"""The coefficients, against published values, other libraries and what they must hold whatever the data."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from annotation.quality import agreement
from annotation.quality.agreement import (
    agreement_sums,
    cohen_kappa,
    draw_weights,
    estimate,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    ordinal_weights,
    percent_agreement,
    percent_agreement_by_value,
)
from tests.annotation.quality.cases import CASES


def sums_of(units, order=None):
    """Of lists of values, None where nobody rated; `order`: the values from the lowest."""
    order = order or sorted({value for unit in units for value in unit if value is not None})
    rated = [(u, order.index(v)) for u, values in enumerate(units) for v in values if v is not None]
    unit, value = np.array(rated).T
    return agreement_sums(unit, unit, value, len(order))


def alpha_case(name):
    data = CASES[name]["data"]
    if "units" in data:
        return data["units"]
    if "worker_task_label" in data:
        tasks = {}
        for _, task, label in data["worker_task_label"]:
            tasks.setdefault(task, []).append(label)
        return list(tasks.values())
    return list(zip(*data["coders_to_values_by_unit"].values(), strict=True))


@pytest.mark.parametrize(
    "name", ["krippendorff_4coders_12units", "krippendorff_wikipedia_3coders", "krippendorff_negative_small"]
)
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_of_the_reference_cases(name, level):
    expected = CASES[name]["expected"]["recomputed"].get(level)
    if expected is None:
        expected = CASES[name]["expected"]["published"].get(level, "not defined")
    if expected == "not defined":
        # Of two values every level is the nominal one.
        expected = CASES[name]["expected"]["published"]["nominal"]
    assert krippendorff_alpha(sums_of(alpha_case(name)).total(), level)[0] == pytest.approx(
        expected, abs=1e-3
    )


def test_alpha_of_the_crowd_of_crowd_kit():
    expected = CASES["crowdkit_toy"]["expected"]["published"]["alpha_nominal"]
    found = krippendorff_alpha(sums_of(alpha_case("crowdkit_toy")).total(), "nominal")[0]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["fleiss_wikipedia_10x5_14raters", "fleiss_1971_psychiatric_30x6"])
def test_fleiss_kappa_of_the_reference_cases(name):
    data = CASES[name]["data"]
    units = data.get("ratings") or [
        [value for value, times in enumerate(row) for _ in range(times)] for row in data["counts"]
    ]
    expected = CASES[name]["expected"]["recomputed"]
    assert fleiss_kappa(sums_of(units).total())[0] == pytest.approx(expected, abs=1e-3)


def test_cohen_kappa_of_the_reference_case():
    case = CASES["cohen_sas_3x3"]
    found = cohen_kappa(case["data"]["contingency"])
    published = case["expected"]["published"]
    assert (found.kappa, found.standard_error) == pytest.approx(
        (published["kappa"], published["ase"]), abs=1e-3
    )
    assert found.kappa - 1.96 * found.standard_error == pytest.approx(published["ci95"][0], abs=1e-3)
    assert found.n == 19


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa_is_that_of_scikit_learn(weights):
    generator = np.random.default_rng(1)
    one, other = generator.integers(0, 4, 200), generator.integers(0, 4, 200)
    other[:120] = one[:120]
    table = np.zeros((4, 4))
    np.add.at(table, (one, other), 1)
    apart = np.abs(np.arange(4)[:, None] - np.arange(4))
    matrix = {None: None, "linear": 1 - apart / 3, "quadratic": 1 - apart**2 / 9}[weights]
    assert cohen_kappa(table, matrix).kappa == pytest.approx(cohen_kappa_score(one, other, weights=weights))


# The example of Gwet (2014, table 2.1 and after): 4 raters, 12 subjects, 5 categories, ratings missing. It is
# Krippendorff's table; the values are those of the R package irrCAC for its data set cac.raw4raters.
def test_gwets_coefficients_of_his_own_example():
    units = alpha_case("krippendorff_4coders_12units")
    sums = sums_of(units).total()
    assert gwet_ac(sums)[0] == pytest.approx(0.77544, abs=1e-5)
    assert fleiss_kappa(sums)[0] == pytest.approx(0.76117, abs=1e-5)
    quadratic = 1 - (np.arange(5)[:, None] - np.arange(5)) ** 2 / 16
    assert gwet_ac(sums, quadratic)[0] == pytest.approx(by_hand(units, quadratic), abs=1e-12)
    assert gwet_ac(sums, ordinal_weights(5))[0] == pytest.approx(
        by_hand(units, ordinal_weights(5)), abs=1e-12
    )


def by_hand(units, weights):
    """AC2 after Gwet's formulas, pair of raters by pair of raters."""
    values = range(1, 6)
    agreements, prevalence = [], np.zeros(5)
    rated = [[v for v in unit if v is not None] for unit in units]
    for unit in rated:
        for value in values:
            prevalence[value - 1] += unit.count(value) / len(unit) / len(rated)
        if len(unit) > 1:
            pairs = list(itertools.permutations(unit, 2))
            agreements.append(sum(weights[a - 1, b - 1] for a, b in pairs) / len(pairs))
    observed = sum(agreements) / len(agreements)
    chance = weights.sum() / (5 * 4) * (prevalence * (1 - prevalence)).sum()
    return (observed - chance) / (1 - chance)


def test_ordinal_weights_of_four_values():
    # Gwet (2014), 3.4: M_kl = number of pairs among max - min + 1 values.
    assert ordinal_weights(4)[0].tolist() == pytest.approx([1, 1 - 1 / 6, 1 - 3 / 6, 0])


def test_percent_agreement_by_value_counts_where_one_said_it():
    sums = sums_of([[0, 0], [0, 1], [2, 2, 1]]).total()
    assert percent_agreement(sums)[0] == pytest.approx(2 / 5)  # 00, 22 of five pairs
    # Of those who said 0, 0, 0, 1 | the others said 0, 0, 1: 2 of 3; of 1: 0 of 3; of 2: 2 of 4.
    assert percent_agreement_by_value(sums, np.eye(3))[0].tolist() == pytest.approx([2 / 3, 0, 1 / 2])


ratings = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5), min_size=2, max_size=12).filter(
    lambda units: len({value for unit in units if len(unit) > 1 for value in unit}) > 1
)


@given(ratings)
def test_everything_that_agrees_is_1_and_nothing_is_more(units):
    sums = sums_of(units, list(range(5))).total()
    same = sums_of([[unit[0]] * max(2, len(unit)) for unit in units], list(range(5))).total()
    for coefficient in (
        lambda s: krippendorff_alpha(s, "ordinal"),
        lambda s: gwet_ac(s, ordinal_weights(5)),
        fleiss_kappa,
        gwet_ac,
    ):
        assert coefficient(sums)[0] <= 1 + 1e-12
        best = coefficient(same)[0]
        assert math.isnan(best) or best == pytest.approx(1)


@given(ratings)
def test_without_sides_it_does_not_matter_which_side_is_the_first(units):
    swapped = [[4 - value for value in unit] if place % 2 else unit for place, unit in enumerate(units)]
    one, other = (sums_of(u, list(range(5))).without_sides().total() for u in (units, swapped))
    for level in ("nominal", "ordinal"):
        assert krippendorff_alpha(one, level) == pytest.approx(krippendorff_alpha(other, level), nan_ok=True)
    assert gwet_ac(one) == pytest.approx(gwet_ac(other), nan_ok=True)


def test_many_units_are_added_up_in_parts(monkeypatch):
    generator = np.random.default_rng(2)
    unit, value = np.repeat(np.arange(500), 3), generator.integers(0, 5, 1500)
    whole = agreement_sums(unit // 5, unit, value, 5)
    monkeypatch.setattr(agreement, "UNITS_AT_ONCE", 7)
    parts = agreement_sums(unit // 5, unit, value, 5)
    assert np.allclose(whole.pairs_TCC, parts.pairs_TCC)
    assert np.allclose(whole.coincidences_TCC, parts.coincidences_TCC)
    assert len(whole.rated_T) == 100 and whole.rated_T.sum() == 500


def test_the_interval_of_a_proportion_is_the_binomial_one():
    """Two raters, each unit a task, agreeing in 70 % of 400: percent agreement is a proportion."""
    value = np.zeros((400, 2), dtype=int)
    value[280:, 1] = 1
    unit = np.repeat(np.arange(400), 2)
    sums = agreement_sums(unit, unit, value.ravel(), 2)
    found = estimate(sums, {"same": percent_agreement}, seed=3, draws=4000)["same"]
    half = 1.96 * math.sqrt(0.7 * 0.3 / 400)
    assert found.value == pytest.approx(0.7)
    assert (found.low, found.high) == pytest.approx((0.7 - half, 0.7 + half), abs=0.005)


def test_pairs_of_one_task_are_drawn_together():
    """Ten units a task that all agree or all do not: as much evidence as 40 units, not 400."""
    task = np.repeat(np.arange(40), 20)
    value = np.zeros((400, 2), dtype=int)
    value[280:, 1] = 1
    unit = np.repeat(np.arange(400), 2)
    found = estimate(agreement_sums(task, unit, value.ravel(), 2), {"same": percent_agreement}, seed=3)[
        "same"
    ]
    assert found.high - found.low > 2 * 1.96 * math.sqrt(0.7 * 0.3 / 40) * 0.8


def test_an_estimate_is_the_same_each_time_and_none_where_there_is_nothing():
    sums = sums_of([[0, 1], [1, 1], [0, 0], [2, 1]])
    coefficient = {"alpha": lambda s: krippendorff_alpha(s, "ordinal")}
    assert estimate(sums, coefficient, seed=1) == estimate(sums, coefficient, seed=1)
    alone = estimate(sums_of([[0], [1]]), coefficient, seed=1)["alpha"]
    assert (alone.value, alone.low, alone.high) == (None, None, None)
    [weights] = draw_weights(7, 3, seed=0)
    assert weights.sum(axis=1).tolist() == [7, 7, 7]


def test_draws_are_the_same_however_many_are_made_at_once(monkeypatch):
    [together] = draw_weights(7, 5, seed=0)
    whole = estimate(sums_of([[0, 1], [1, 1], [0, 0], [2, 1]]), {"same": percent_agreement}, seed=1)
    monkeypatch.setattr(agreement, "WEIGHTS_AT_ONCE", 14)
    blocks = list(draw_weights(7, 5, seed=0))
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert np.array_equal(np.concatenate(blocks), together)
    again = estimate(sums_of([[0, 1], [1, 1], [0, 0], [2, 1]]), {"same": percent_agreement}, seed=1)
    assert (again["same"].low, again["same"].high) == pytest.approx((whole["same"].low, whole["same"].high))
