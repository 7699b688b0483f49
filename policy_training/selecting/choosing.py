"""From evaluations and comparisons to candidates, the choice between them, and what is recorded of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext

from policy_training.models import Policy, PolicyComparison, PolicyEvaluation, PolicySelection
from policy_training.selecting.measurements import (
    Measurement,
    candidate,
    comparison_measurements,
    evaluation_measurement,
    require_alike,
)
from policy_training.selection_rules import (
    BEST_REWARD,
    BEST_WIN_RATE,
    LAST,
    ONE_STANDARD_ERROR,
    REWARD_WITHIN_KL,
    Candidate,
    Choice,
    best_reward,
    best_win_rate,
    last,
    mean,
    one_standard_error,
    paired_difference,
    reward_within_kl,
    runner_up,
    standard_error,
    wins_of,
)
from workspace.errors import ActionError

MAX_CANDIDATES = 100
OF_THE_REFERENCE = (REWARD_WITHIN_KL, ONE_STANDARD_ERROR, BEST_WIN_RATE)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A candidate: its policy, and its figures, unless the rule needs none and there are none."""

    policy: Policy
    measurement: Measurement | None = None
    candidate: Candidate | None = None


def measured_candidates(
    rule: str,
    policies: Sequence[Policy],
    evaluations: Sequence[PolicyEvaluation],
    comparisons: Sequence[PolicyComparison],
    judged_by: str,
) -> list[Measured]:
    """The candidates, oldest policy first, with figures of the same prompts. Raises ActionError."""
    wanted = {policy.pk: policy for policy in policies}
    if rule == LAST and not evaluations and not comparisons:
        candidates = [Measured(policy=wanted[key]) for key in sorted(wanted)]
        _require_number(candidates)
        return candidates
    measurements: dict[int, Measurement] = {}
    for one in _all_of(evaluations, comparisons):
        if wanted and one.policy.pk not in wanted:
            continue
        known = measurements.setdefault(one.policy.pk, one)
        # Comparisons with one reference have it in common; all else said twice needs a word which of the two counts.
        if known is not one and not (
            known.policy == known.reference == one.reference and isinstance(one.made_by, PolicyComparison)
        ):
            raise ActionError(
                gettext("“%(name)s” is measured twice, by runs %(first)s and %(second)s: name one of them.")
                % {"name": one.policy.name, "first": known.run.pk, "second": one.run.pk},
                code="measured_twice",
            )
    for key, policy in wanted.items():
        if key not in measurements:
            raise ActionError(
                gettext("“%(name)s” is not measured by any of these: evaluate it, or leave it out.")
                % {"name": policy.name},
                code="not_measured",
            )
    found = [measurements[key] for key in sorted(measurements)]
    candidates = [Measured(policy=one.policy, measurement=one) for one in found]
    _require_number(candidates)
    by_judge = judged_by == PolicySelection.JudgedBy.JUDGE
    require_alike(found, reference=rule in OF_THE_REFERENCE, judge=by_judge)
    return _with_figures(rule, found, judged_by)


def _all_of(
    evaluations: Sequence[PolicyEvaluation], comparisons: Sequence[PolicyComparison]
) -> list[Measurement]:
    of_evaluations = [(row, evaluation_measurement(row)) for row in evaluations]
    read: list[tuple[PolicyEvaluation | PolicyComparison, list[Measurement]]] = [
        *((row, [one] if one else []) for row, one in of_evaluations),
        *((row, comparison_measurements(row)) for row in comparisons),
    ]
    for row, own in read:
        if not own:
            raise ActionError(
                gettext("“%(row)s” has no scores, or is of another version of this program: measure again.")
                % {"row": row},
                code="no_scores",
            )
    return [one for _, own in read for one in own]


def _require_number(candidates: Sequence[Measured]) -> None:
    if not 2 <= len(candidates) <= MAX_CANDIDATES:
        raise ActionError(
            gettext("Name two to %(most)s policies to choose from.") % {"most": MAX_CANDIDATES},
            code="no_policy",
        )


def _with_figures(rule: str, measurements: Sequence[Measurement], judged_by: str) -> list[Measured]:
    """Raises ActionError for figures of different prompts, and for a policy without the KL that the rule is about."""
    found = []
    for one in measurements:
        if rule in (REWARD_WITHIN_KL, ONE_STANDARD_ERROR) and one.kl is None:
            raise ActionError(
                gettext("“%(name)s” was measured without its KL: evaluate it beside a reference.")
                % {"name": one.policy.name},
                code="no_kl",
            )
        found.append(Measured(policy=one.policy, measurement=one, candidate=candidate(one, judged_by)))
    first = figures_of(found[0])
    for other in found[1:]:
        if figures_of(other).scores.keys() != first.scores.keys():
            raise ActionError(
                gettext(
                    "“%(other)s” cannot be compared with “%(first)s”: only %(n)s prompts have an answer of both. "
                    "Measure both again."
                )
                % {
                    "other": other.policy.name,
                    "first": found[0].policy.name,
                    "n": len(figures_of(other).scores.keys() & first.scores.keys()),
                },
                code="different_prompts",
            )
    if judged_by:
        # Where a judge was unclear on one policy's answer, the prompt counts for nobody: pairs stay pairs.
        shared = set.intersection(*(set(wins_of(figures_of(one))) for one in found))
        if not shared:
            raise ActionError(gettext("No prompt has a verdict on all policies."), code="no_verdicts")
        found = [
            replace(
                one,
                candidate=replace(
                    figures_of(one), wins={prompt: wins_of(figures_of(one))[prompt] for prompt in shared}
                ),
            )
            for one in found
        ]
    return found


def figures_of(one: Measured) -> Candidate:
    assert one.candidate is not None
    return one.candidate


def choose(rule: str, found: Sequence[Measured], max_kl: float | None) -> tuple[Choice, list[float]]:
    """The choice, and the figure of each candidate that the rule is about ([] without figures). Raises ActionError."""
    if found[0].candidate is None:
        return last(found), []
    candidates = [figures_of(one) for one in found]
    rewards = [one.reward for one in candidates]
    if rule == BEST_WIN_RATE:
        return best_win_rate(candidates), [mean(wins_of(one)) for one in candidates]
    if rule != REWARD_WITHIN_KL:
        chooses = {BEST_REWARD: best_reward, ONE_STANDARD_ERROR: one_standard_error, LAST: last}
        return chooses[rule](candidates), rewards
    assert max_kl is not None
    choice = reward_within_kl(candidates, max_kl)
    if choice is None:
        nearest = min(candidates, key=lambda one: one.kl or 0.0)
        raise ActionError(
            gettext("No policy has a KL of at most %(max_kl)s nats: the least is %(kl)s, of “%(name)s”.")
            % {"max_kl": f"{max_kl:g}", "kl": f"{nearest.kl:.2f}", "name": nearest.name},
            code="none_within_kl",
        )
    return choice, rewards


def report_of(
    found: Sequence[Measured], choice: Choice, figures: Sequence[float], rule: str
) -> dict[str, Any]:
    """candidates: [{policy, name, measured_by, reward, standard_error, kl, win_rate, admitted, difference}], the
    difference being the chosen one's figure minus the candidate's, {mean, low, high, prompts, settled}; runner_up, a
    place among them; figure: reward or win_rate.
    """
    if not figures:
        names = [{"policy": one.policy.pk, "name": one.policy.name, "admitted": True} for one in found]
        return {"candidates": names, "runner_up": None, "figure": None}
    by_wins = rule == BEST_WIN_RATE
    values = [wins_of(figures_of(one)) if by_wins else figures_of(one).scores for one in found]
    first = found[0].measurement
    assert first is not None
    references = {one.measurement.reference for one in found if one.measurement}
    rows = []
    for place, one in enumerate(found):
        own, measurement = figures_of(one), one.measurement
        assert measurement is not None
        difference = None
        if place != choice.chosen:
            paired = paired_difference(values[choice.chosen], values[place])
            difference = {
                "mean": paired.mean,
                "low": paired.low,
                "high": paired.high,
                "prompts": paired.prompts,
                "settled": paired.is_settled,
            }
        rows.append(
            {
                "policy": one.policy.pk,
                "name": one.policy.name,
                "measured_by": measurement.origin,
                "reward": own.reward,
                "standard_error": standard_error(list(own.scores.values())),
                "kl": own.kl,
                "win_rate": mean(own.wins) if own.wins else None,
                "admitted": place in choice.admitted,
                "difference": difference,
            }
        )
    return {
        "candidates": rows,
        "runner_up": runner_up(figures, choice),
        "figure": "win_rate" if by_wins else "reward",
        "prompts": len(values[choice.chosen]),
        "reward_model": first.reward_model.name,
        "prompt_set": first.made_by.prompt_set,
        # None: the candidates' KLs are to different policies, and say nothing of each other.
        "reference": first.reference.name if first.reference and len(references) == 1 else None,
    }
