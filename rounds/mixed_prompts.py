"""The prompt sets of a round: one, or mixtures by shares, which may differ for what people compare and for training."""

from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext

from annotation.models import PromptSet, Task
from policy_training.mixtures.drawing import (
    Drawn,
    candidates,
    describe_shares,
    draw,
    find_sets,
    training_prompts,
)
from policy_training.mixtures.options import REPEAT
from rounds.models import Round, RoundRun, Stage
from rounds.plans import RoundPlan
from workspace.models import Project


def compared_sets(project: Project, prompt_set: PromptSet, plan: RoundPlan) -> list[PromptSet]:
    """From which the prompts that people compare answers to are taken. Raises ActionError."""
    return find_sets(project, plan.sampling.mixture) if plan.sampling.mixture else [prompt_set]


def sets_of_plan(project: Project, prompt_set: PromptSet, plan: RoundPlan) -> list[PromptSet]:
    """All sets that a round of this plan takes prompts from. Raises ActionError."""
    trained = find_sets(project, plan.policy_prompts) if plan.policy_prompts else [prompt_set]
    return list(dict.fromkeys([*compared_sets(project, prompt_set, plan), *trained]))


def compared_keys(project: Project) -> set[int]:
    """Keys of the prompts that rounds made tasks of."""
    tasks = Task.objects.filter(batch__project=project, batch__round_number__isnull=False)
    return set(tasks.values_list("prompt_id", flat=True))


def draw_compared(project: Project, plan: RoundPlan, *, without: Collection[int]) -> Drawn:
    """The prompts of a round's comparisons by the shares of the plan's mixture; those `without` (keys) never.

    Prompts that no earlier round compared come first, and the others are taken only where the plan says `repeat`.
    Raises ActionError.
    """
    mixture = plan.sampling.mixture
    sets = find_sets(project, mixture)
    compared = compared_keys(project)
    pools = candidates(project, sets, turn="round", train_only=False, without=without)
    fresh = [[prompt for prompt in pool if prompt.pk not in compared] for pool in pools]
    if mixture.when_short == REPEAT:
        again = [[prompt for prompt in pool if prompt.pk in compared] for pool in pools]
        fresh = [[*new, *old] for new, old in zip(fresh, again, strict=True)]
    what = (
        gettext("prompts") if mixture.when_short == REPEAT else gettext("prompts that no round compared yet")
    )
    total = max(1, plan.sampling.prompts - len(without))
    return draw(mixture, sets, fresh, total=total, what=what)


def training_arguments(round_: Round, plan: RoundPlan) -> dict[str, Any]:
    """On which prompts the round's policy is trained, as the actions that queue trainings take it.

    Every step of a round has the same prompts; the next round goes on with those after them.
    """
    if not plan.policy_prompts:
        return {"prompt_set": round_.prompt_set}
    before = (
        RoundRun.objects.filter(round__project=round_.project, stage=Stage.POLICY)
        .filter(round__number__lt=round_.number, run__parameters__has_key="prompt_mixture")
        .select_related("run")
        .order_by("-pk")
        .first()
    )
    shares = before.run.parameters["prompt_mixture"] if before is not None else []
    return {
        "prompt_set": None,
        "mixture": plan.policy_prompts,
        "after": {share["prompt_set"]: share["last"] for share in shares},
    }


def require_training_prompts(project: Project, plan: RoundPlan) -> None:
    """Raises ActionError where a set has too few prompts to train on."""
    if plan.policy_prompts:
        training_prompts(project, None, plan.policy_prompts)


def describe_prompts(round_: Round) -> list[str]:
    """A sentence each about the prompts that were compared and trained on, where they are of several sets."""
    sentences = {
        Stage.SAMPLING: gettext("Prompts compared: %(shares)s."),
        Stage.POLICY: gettext("Prompts the policy is trained on: %(shares)s."),
    }
    found: dict[str, str] = {}
    for link in round_.round_runs.select_related("run").order_by("pk"):
        shares = link.run.parameters.get("prompt_mixture")
        if shares and link.stage in sentences:
            found.setdefault(link.stage, sentences[Stage(link.stage)] % {"shares": describe_shares(shares)})
    return list(found.values())
