"""PPO from the start policy and against the plan's reference, with the round's reward model."""

from learning.interface.options import options_to_dict
from policy_training.models import Policy
from policy_training.rewarded.actions import train_ppo
from rounds.models import Round, Stage
from rounds.plans import RoundPlan
from rounds.stages.transitions import (
    all_done,
    attach_run,
    enter_stage,
    require_none_unsuccessful,
    stage_runs,
)
from rounds.starting_models import reference_policy
from workspace.naming import unique_name


def advance_policy(round_: Round, plan: RoundPlan) -> bool:
    runs = stage_runs(round_, Stage.POLICY)
    if not runs:
        assert round_.reward_model is not None
        run = train_ppo(
            actor=round_.started_by,
            project=round_.project,
            name=unique_name(Policy.objects.filter(project=round_.project), f"round {round_.number}"),
            start=round_.start_policy,
            reference=reference_policy(round_.start_policy, plan),
            reward_model=round_.reward_model,
            prompt_set=round_.prompt_set,
            config=options_to_dict(plan.policy),
            processes=plan.processes,
        )
        attach_run(round_, run)
        return True
    require_none_unsuccessful(runs)
    if not all_done(runs):
        return False
    policy = Policy.objects.get(produced_by=runs[0])
    before, after = policy.report["score_before"], policy.report["score_after"]
    reason = f"mean reward {before:.2f} before, {after:.2f} after"
    enter_stage(round_, Stage.SCORING, reason, new_policy=policy)
    return True
