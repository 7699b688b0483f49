"""Which models a round starts from, holds its policy to and compares it with."""

from django.utils.translation import gettext

from policy_training.models import Policy
from policy_training.run_kinds import PRETRAIN, SFT
from policy_training.selecting.queries import selected_policy
from rewardmodel.models import RewardModel
from rounds.errors import RoundRefused
from rounds.models import RoundRun, Stage
from rounds.plans import LAST, SELECTED, RoundPlan
from rounds.steps import FIRST_POLICY, NAMED_POLICY, STEP_START, PolicyStep
from runs.models import Artifact, Run
from workspace.models import Criterion, Project

SUPERVISED = (SFT.name, PRETRAIN.name)


def reward_model_base(
    project: Project, criterion: Criterion, start_policy: Policy, plan: RoundPlan
) -> tuple[str, Artifact]:
    """Name and folder of the model whose weights the reward model starts from."""
    if plan.reward_model_start == "previous_reward_model":
        previous = RewardModel.objects.filter(project=project, criteria=criterion).order_by("-pk").first()
        if previous is not None:
            return previous.name, previous.artifact
    policy = first_policy(start_policy) if plan.reward_model_start == FIRST_POLICY else start_policy
    return policy.name, policy.artifact


def first_policy(policy: Policy) -> Policy:
    """The supervised model that the policy's line of rounds began with.

    That is not the root: a pretrained model that was fine-tuned first is no policy anybody would compare with. What a
    round fine-tuned on its way is none either.
    """
    while policy.parent is not None and not (
        policy.produced_by is not None
        and policy.produced_by.kind in SUPERVISED
        and not made_in_round(policy.produced_by)
    ):
        policy = policy.parent
    return policy


def made_in_round(run: Run) -> bool:
    """Whether a round asked for this run, or for the one that it is a clone of."""
    asked: Run | None = run
    while asked is not None:
        if RoundRun.objects.filter(run=asked).exists():
            return True
        asked = asked.cloned_from
    return False


def reference_policy(
    start_policy: Policy, plan: RoundPlan, step: PolicyStep | None = None, step_start: Policy | None = None
) -> Policy:
    """What a step of the round's policy training is held near. Raises RoundRefused for a name nobody has.

    `step_start`: what it starts from, where that is known already; without it, or in the first step, the round's start.
    """
    kind, name = plan.reference, plan.reference_policy
    if step is not None and step.reference is not None:
        kind, name = step.reference, step.reference_policy
    if kind == NAMED_POLICY:
        return named_policy(start_policy.project, name)
    if kind == STEP_START:
        return step_start or start_policy
    return first_policy(start_policy) if kind == FIRST_POLICY else start_policy


def named_policy(project: Project, name: str) -> Policy:
    """A policy that a plan names. Raises RoundRefused."""
    policy = Policy.objects.filter(project=project, name=name).select_related("artifact").first()
    if policy is None:
        raise RoundRefused(
            gettext("There is no policy “%(name)s” in this project, which the plan names.") % {"name": name},
            code="no_policy",
        )
    return policy


def start_by_rule(project: Project, plan: RoundPlan, last: Policy | None) -> tuple[Policy, str]:
    """What a round of this plan starts from, and why, for its record; `last`: what it starts from unless the plan says
    otherwise. Raises RoundRefused.
    """
    if plan.start_from == SELECTED:
        found = selected_policy(project)
        if found is None:
            raise RoundRefused(
                gettext(
                    "The plan starts from the project's selected policy, and there is none: select one by a rule, or "
                    "pin one on its page."
                ),
                code="no_selected_policy",
            )
        by = f"by selection {found.selection_id}" if found.selection_id else "by hand"
        return (
            found.policy,
            f"starts from “{found.policy.name}”, the project's selected policy ({by}, {found.pinned_by.username})",
        )
    if plan.start_from == NAMED_POLICY:
        policy = named_policy(project, plan.start_from_policy)
        return policy, f"starts from “{policy.name}”, which the plan names"
    if last is None:
        raise RoundRefused(gettext("The project has no policy to start from."), code="no_policy")
    return last, f"starts from “{last.name}”, the newest"


def require_start_by_rule(project: Project, plan: RoundPlan, start: Policy) -> str:
    """Why the round starts from this policy, "" where somebody chose it. Raises RoundRefused for another one than the
    plan says: what was asked for twice must not differ.
    """
    wanted, why = start_by_rule(project, plan, start)
    if wanted.pk != start.pk:
        raise RoundRefused(
            gettext(
                "By its rule the round starts from “%(wanted)s”, and “%(name)s” was chosen: choose the same policy, or "
                "another rule."
            )
            % {"wanted": wanted.name, "name": start.name},
            code="other_start",
            fields={"start_policy": gettext("Not the one that the rule says.")},
        )
    return "" if plan.start_from == LAST else why


def policies_of_steps(start_policy: Policy, plan: RoundPlan) -> list[Policy]:
    """The policies there are already that the steps are held near or that answer in them. Raises RoundRefused."""
    found = []
    for step in plan.policy_steps:
        found.append(reference_policy(start_policy, plan, step))
        found += [named_policy(start_policy.project, name) for name in step.other_policies]
    return list(dict.fromkeys(found))


def previous_policy(project: Project, start: Policy) -> Policy | None:
    """The start of the last round that was carried through, whom head-to-head pairs set the start policy against.

    A cancelled round improved nothing; its start may be of another line altogether.
    """
    last_done = project.rounds.filter(stage=Stage.DONE).order_by("-number").first()
    if last_done is not None and last_done.start_policy_id != start.pk:
        return last_done.start_policy
    return start.parent
