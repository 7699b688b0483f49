"""How well one kind of annotators agrees on a criterion or a batch, as the figures that are stored."""

from dataclasses import astuple
from typing import Any

import numpy as np

from annotation.quality.agreement import (
    AgreementSums,
    agreement_sums,
    estimate,
    estimate_mean,
    fleiss_kappa,
    gwet_ac,
    kappa_estimate,
    krippendorff_alpha,
    ordinal_weights,
    percent_agreement,
    percent_agreement_by_value,
)
from annotation.quality.rank_correlation import kendall_tau_b
from annotation.quality.rating_pairs import UnitVotes, all_pairs_of_votes
from annotation.quality.reading import NOT_SAID, Judgments

Array = Any
SEED = 20261128  # of the draws: the same judgments give the same intervals


def agreement_figures(votes: UnitVotes) -> dict[str, Any]:
    """Of the first votes of annotators of one kind. Estimates are [value, low, high], None where not defined.

    `same`, `alpha_nominal`, `ac1` and `fleiss` are of better, tie and worse; `same_grade`, `alpha_ordinal` and `ac2`
    of the grades with their side, of votes that said how much (`graded` of them), or of better, tie and worse where
    nobody did.
    """
    sign_N, grade_N = votes.votes.sign_N, votes.votes.grade_N
    plain, _ = _sums(votes, sign_N)
    known = (sign_N == 0) | (grade_N != NOT_SAID)
    graded = bool((grade_N != NOT_SAID).any())
    scaled = votes.where(known) if graded else votes
    level_N = scaled.votes.sign_N * (scaled.votes.grade_N + 1) if graded else scaled.votes.sign_N
    sums, values = _sums(scaled, level_N)
    weights = ordinal_weights(len(values))
    figures = estimate(
        plain,
        {
            "same": percent_agreement,
            "alpha_nominal": lambda s: krippendorff_alpha(s, "nominal"),
            "ac1": gwet_ac,
            "fleiss": fleiss_kappa,
        },
        seed=SEED,
    ) | estimate(
        sums,
        {
            "same_grade": percent_agreement,
            "alpha_ordinal": lambda s: krippendorff_alpha(s, "ordinal"),
            "ac2": lambda s: gwet_ac(s, weights),
        },
        seed=SEED,
    )
    return {
        "tasks": len(np.unique(votes.task_N)),
        "judgments": len(np.unique(votes.votes.judgment_N)),
        "annotators": len(np.unique(votes.annotator_N)),
        "pairs": len(np.unique(votes.unit_N)),
        "votes": len(votes.unit_N),
        "compared": int(plain.compared_T.sum()),
        "graded": int((grade_N != NOT_SAID).sum()) if graded else 0,
        "estimates": {name: list(astuple(found)) for name, found in figures.items()},
        "by_grade": _by_grade(sums, values, graded),
    }


def _sums(votes: UnitVotes, level_N: Array) -> tuple[AgreementSums, Array]:
    """The sums over the tasks, and the values: those in use and their mirror images, from worst to best."""
    used = np.unique(np.abs(level_N))
    values = np.unique(np.r_[-used, used])
    place_N: Array = np.searchsorted(values, level_N)
    parts = []
    for has_sides in (True, False):
        chosen = votes.votes.has_sides_N == has_sides
        if chosen.any():
            sums = agreement_sums(votes.task_N[chosen], votes.unit_N[chosen], place_N[chosen], len(values))
            parts.append(sums if has_sides else sums.without_sides())
    # A task has pairs of both kinds only where a ranking has two answers of one source: drawn as two then.
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    return whole, values


def _by_grade(sums: AgreementSums, values: Array, graded: bool) -> list[dict[str, Any]]:
    """Where one said this much, how often another prefers the same response; `said`: such pairs of votes."""
    same_sign = np.sign(values)[:, None] == np.sign(values)[None, :]
    total = sums.total()
    share_C = percent_agreement_by_value(total, same_sign)[0]
    said_C = total.pairs_TCC[0].sum(axis=1)
    found = []
    for size in np.unique(np.abs(values)).tolist()[::-1]:
        places = np.abs(values) == size
        said = said_C[places].sum()
        if said > 0:
            share = np.nansum(share_C[places] * said_C[places]) / said
            grade = None if size == 0 else size - 1 if graded else "better"
            found.append(
                {"grade": "tie" if size == 0 else grade, "said": int(round(said)), "same": float(share)}
            )
    return found


def tau_figures(judgments: Judgments, chosen_M: Array) -> list[float | None] | None:
    """[mean tau-b of two rankings of one task, low, high]; None where no ranking was made twice."""
    tasks, values = [], []
    for ranked in judgments.rankings:
        if ranked.response_MK.shape[1] < 3:
            continue
        kept = chosen_M[ranked.judgment_M]
        task = judgments.task_M[ranked.judgment_M[kept]]
        rank_MK = ranked.rank_MK[kept]
        order = np.argsort(task, kind="stable")
        one, other = all_pairs_of_votes(task[order])
        tau = kendall_tau_b(rank_MK[order[one]], rank_MK[order[other]])
        defined = ~np.isnan(tau)
        tasks.append(task[order[one]][defined])
        values.append(tau[defined])
    task_P, tau_P = (np.concatenate(column) if column else np.zeros(0) for column in (tasks, values))
    if not len(tau_P):
        return None
    _, task_P = np.unique(task_P, return_inverse=True)
    sum_T, number_T = np.bincount(task_P, tau_P), np.bincount(task_P).astype(float)
    return list(astuple(estimate_mean(float(tau_P.mean()), sum_T, number_T, seed=SEED)))


def machine_figures(votes: UnitVotes, kinds: dict[int, str]) -> list[dict[str, Any]]:
    """Each machine against the people who judged the same pairs: how often they prefer the same, beside how often
    people do among themselves there; Cohen's kappa of it and them, [value, low, high]; and how often each ties, of
    [votes] on these pairs.
    """
    one, other = all_pairs_of_votes(votes.unit_N)
    person_N = votes.kind_N == "person"
    sign_N = votes.votes.sign_N
    found = []
    for machine in sorted(key for key, kind in kinds.items() if kind != "person"):
        mine_N = votes.annotator_N == machine
        with_person = (mine_N[one] & person_N[other]) | (person_N[one] & mine_N[other])
        units = np.unique(votes.unit_N[one[with_person]])
        if not len(units):
            continue
        people = person_N[one] & person_N[other] & np.isin(votes.unit_N[one], units)
        same = sign_N[one] == sign_N[other]
        _, task_P = np.unique(votes.task_N[one[with_person]], return_inverse=True)
        sums, numbers = np.bincount(task_P, same[with_person]), np.bincount(task_P).astype(float)
        machine_first = mine_N[one[with_person]]
        theirs = np.where(machine_first, sign_N[other[with_person]], sign_N[one[with_person]])
        own = np.where(machine_first, sign_N[one[with_person]], sign_N[other[with_person]])
        there = np.isin(votes.unit_N, units)
        mean = float(same[with_person].mean())
        found.append(
            {
                "annotator": machine,
                "kind": kinds[machine],
                "pairs": len(units),
                "same": list(astuple(estimate_mean(mean, sums, numbers, seed=SEED))),
                "people": float(same[people].mean()) if people.any() else None,
                "kappa": list(astuple(kappa_estimate(own + 1, theirs + 1, task_P, seed=SEED))),
                "ties": float((sign_N[there & mine_N] == 0).mean()),
                "people_ties": float((sign_N[there & person_N] == 0).mean()),
            }
        )
    return found


def machines_by_batch(votes: UnitVotes, kinds: dict[int, str]) -> list[dict[str, Any]]:
    """The same of each batch that a machine and people judged, with the batch's key."""
    machines = [key for key, kind in kinds.items() if kind != "person"]
    judged = np.unique(votes.batch_N[np.isin(votes.annotator_N, machines)])
    with_people = judged[np.isin(judged, votes.batch_N[votes.kind_N == "person"])]
    return [
        {"batch": int(batch), **figures}
        for batch in with_people
        for figures in machine_figures(votes.where(votes.batch_N == batch), kinds)
    ]
