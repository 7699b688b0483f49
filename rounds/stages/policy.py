"""The steps of the plan, one after another, from the start policy; the last one's policy is the round's."""

from collections.abc import Mapping
from typing import Any

from policy_training.models import Policy
from rounds.models import Round, Stage
from rounds.plans import RoundPlan
from rounds.stages.transitions import (
    all_done,
    attach_run,
    enter_stage,
    require_none_unsuccessful,
    stage_runs,
)
from rounds.step_runs import queue_step


def advance_policy(round_: Round, plan: RoundPlan) -> bool:
    runs = stage_runs(round_, Stage.POLICY)
    require_none_unsuccessful(runs)
    if runs and not all_done(runs):
        return False
    policy = Policy.objects.get(produced_by=runs[-1]) if runs else round_.start_policy
    if len(runs) < len(plan.policy_steps):
        run = queue_step(round_, plan, len(runs) + 1, policy)
        attach_run(round_, run, step=len(runs))
        return True
    enter_stage(round_, Stage.SCORING, what_it_learned(policy.report), new_policy=policy)
    return True


def what_it_learned(report: Mapping[str, Any]) -> str:
    """Of the last step's report, in a few words: by its reward, by how people judged, or by its loss."""
    for before, after, words in (
        ("score_before", "score_after", "mean reward {:.2f} before, {:.2f} after"),
        (
            "accuracy_before",
            "accuracy_after",
            "orders {:.1%} of held-out pairs as people did before, {:.1%} after",
        ),
        ("loss_before", "loss_after", "loss on held-out rows {:.3f} before, {:.3f} after"),
    ):
        found = (report.get(before), report.get(after))
        if all(isinstance(value, int | float) for value in found):
            judged = before == "score_before" and (report.get("rewards") or {}).get("judge")
            return words.format(*found) + (", without the judge" if judged else "")
    return "trained"
