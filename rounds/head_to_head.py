"""Whom a round's start policy is compared with, and on which prompts: those that no training has seen.

Judged on the prompts it was trained on, a policy's win rate flatters it. So pairs are made on evaluation prompts and on
the held-out side of the round's own set, one answer a prompt, sampled as for evaluation (Secrets of RLHF I, 6.1).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from annotation.content.held_out import HELD_OUT_SETS, met_by_trainings
from annotation.models import Demonstration, Prompt, PromptSet, Task
from policy_training.mixtures.drawing import find_sets
from policy_training.models import Policy
from policy_training.training.config import DecodingOptions, SampleOptions
from rounds.errors import RoundRefused
from rounds.mixed_prompts import compared_sets, draw_compared, require_training_prompts
from rounds.models import Round
from rounds.plans import HUMAN_REFERENCE, PREVIOUS_POLICY, RoundPlan, load_plan
from rounds.starting_models import first_policy
from rounds.steps import FIRST_POLICY
from workspace.errors import ActionError
from workspace.models import Project

# How an opponent is called on pages, beside its name.
OPPONENT_LABELS: Mapping[str, str] = {
    PREVIOUS_POLICY: "the policy before",
    FIRST_POLICY: "the first policy",
    HUMAN_REFERENCE: "the human reference",
}


@dataclass(frozen=True)
class Opponent:
    """Whom the start policy meets; without a policy the answers people wrote as demonstrations."""

    kind: str
    policy: Policy | None = None

    @property
    def name(self) -> str:
        return self.policy.name if self.policy else "the human reference"


@dataclass(frozen=True)
class Pairing:
    """An opponent and the prompts of its pairs, of which there may be fewer than the plan wants."""

    opponent: Opponent
    wanted: int
    prompts: list[Prompt]
    equal: int = 0  # prompts to which both gave the same answer; known once they are sampled

    @property
    def record(self) -> dict[str, Any]:
        """As the round keeps it."""
        return {
            "opponent": self.opponent.kind,
            "policy": self.opponent.policy.pk if self.opponent.policy else None,
            "wanted": self.wanted,
            "prompt_ids": [prompt.external_id for prompt in self.prompts],
        }


def opponents_of(plan: RoundPlan, start: Policy, previous: Policy | None) -> list[Opponent]:
    """Those of the plan that there are, each once: in a second round the policy before is also the first one."""
    opponents: list[Opponent] = []
    for kind in plan.head_to_head.opponents:
        if kind == HUMAN_REFERENCE:
            opponents.append(Opponent(kind))
            continue
        policy = previous if kind == PREVIOUS_POLICY else first_policy(start)
        if policy is not None and policy != start and policy not in [other.policy for other in opponents]:
            opponents.append(Opponent(kind, policy))
    return opponents


def evaluation_options(plan: RoundPlan) -> SampleOptions:
    """How the pairs' answers are drawn: at the plan's limits, which every policy of the round can read."""
    sampling = plan.head_to_head.sampling
    decoding = {option.name: getattr(sampling, option.name) for option in fields(DecodingOptions)}
    return SampleOptions(
        temperatures=(sampling.temperature,),
        max_prompt_tokens=plan.sampling.options.max_prompt_tokens,
        max_response_tokens=plan.sampling.options.max_response_tokens,
        **decoding,
    )


def choose_pairings(
    *,
    project: Project,
    prompt_sets: Sequence[PromptSet],
    plan: RoundPlan,
    start: Policy,
    previous: Policy | None,
) -> list[Pairing]:
    """The plan's share of the round's prompts, spread evenly over its opponents; a prompt serves one pair.

    Evaluation prompts and the test side of the sets first, then their validation side, which the reward model's
    evaluation wants too. Nothing is taken from the training side, however few there are.
    """
    opponents = opponents_of(plan, start, previous)
    in_sets = Prompt.objects.filter(prompt_sets__in=prompt_sets).distinct().count()
    prompts = min(plan.sampling.prompts, in_sets)
    wanted = round(plan.annotation.head_to_head_share * prompts)
    if not opponents or not wanted:
        return []
    shares = [wanted // len(opponents) + (i < wanted % len(opponents)) for i in range(len(opponents))]
    taken: set[int] = set()
    chosen: dict[str, list[Prompt]] = {}
    # Prompts with demonstrations are the fewest: they are given out first.
    order = sorted(range(len(opponents)), key=lambda i: opponents[i].kind != HUMAN_REFERENCE)
    pool = held_out_prompts(project, prompt_sets)
    for place, i in enumerate(order):
        opponent = opponents[i]
        if opponent.kind == HUMAN_REFERENCE:
            free = demonstrated_prompts(project)
            chosen[opponent.kind] = free[: shares[i]]
        else:
            free = [prompt for prompt in pool if prompt.pk not in taken]
            # Too few for all: an even share for everybody who comes yet.
            chosen[opponent.kind] = free[: min(shares[i], -(-len(free) // (len(order) - place)))]
        taken.update(prompt.pk for prompt in chosen[opponent.kind])
    return [
        Pairing(opponent, share, chosen[opponent.kind])
        for opponent, share in zip(opponents, shares, strict=True)
        if share
    ]


def require_mixtures(project: Project, start: Policy, previous: Policy | None, plan: RoundPlan) -> None:
    """Raises RoundRefused where a set has fewer prompts than its share, of those compared or of those trained on."""
    try:
        require_training_prompts(project, plan)
        if plan.sampling.mixture:
            pairings = choose_pairings(
                project=project,
                prompt_sets=find_sets(project, plan.sampling.mixture),
                plan=plan,
                start=start,
                previous=previous,
            )
            paired = {prompt.pk for pairing in pairings for prompt in pairing.prompts}
            draw_compared(project, plan, without=paired)
    except ActionError as error:
        raise RoundRefused(error.message, code=error.code) from error


def choose_pairings_of(round_: Round, plan: RoundPlan) -> list[Pairing]:
    return choose_pairings(
        project=round_.project,
        prompt_sets=compared_sets(round_.project, round_.prompt_set, plan),
        plan=plan,
        start=round_.start_policy,
        previous=round_.comparison_policy,
    )


def held_out_shortage(round_: Round) -> str:
    """What is said at the start when there are fewer held-out prompts than pairs; empty when there are enough."""
    pairings = choose_pairings_of(round_, load_plan(round_.plan))
    return "; ".join(
        f"only {len(pairing.prompts)} held-out prompts for {pairing.wanted} head-to-head pairs with "
        f"{pairing.opponent.name}"
        for pairing in pairings
        if len(pairing.prompts) < pairing.wanted
    )


def held_out_prompts(project: Project, prompt_sets: Sequence[PromptSet]) -> list[Prompt]:
    """Prompts that no training has seen: evaluation prompts and the test side of the sets, then their validation side;
    in each, those that were in no head-to-head pair yet come first.
    """
    kept = Prompt.objects.filter(project=project, prompt_sets__purpose__in=HELD_OUT_SETS).distinct()
    # Evaluation prompts on the training side that a training may have met all the same.
    met = set(met_by_trainings(kept, project))
    evaluation = [prompt for prompt in kept if prompt not in met]
    known = {prompt.pk for prompt in kept}
    sides = {
        split: [
            prompt
            for prompt in Prompt.objects.filter(prompt_sets__in=prompt_sets, split=split).distinct()
            if prompt.pk not in known
        ]
        for split in (Prompt.Split.TEST, Prompt.Split.VALIDATION)
    }
    first = _in_order(project, [*evaluation, *sides[Prompt.Split.TEST]])
    return [*first, *_in_order(project, sides[Prompt.Split.VALIDATION])]


def demonstrated_prompts(project: Project) -> list[Prompt]:
    """Held-out prompts to which a person wrote an answer, in the same order."""
    written = Demonstration.objects.filter(project=project).values("prompt")
    prompts = Prompt.objects.filter(project=project, pk__in=written).exclude(split=Prompt.Split.TRAIN)
    return _in_order(project, prompts)


def _in_order(project: Project, prompts: Iterable[Prompt]) -> list[Prompt]:
    """Those of no earlier pair first; otherwise by a hash: stable over restarts, and not the order of the file."""
    pairs = Task.objects.filter(batch__project=project, purpose=Task.Purpose.HEAD_TO_HEAD)
    compared = set(pairs.values_list("prompt_id", flat=True))

    def key(prompt: Prompt) -> tuple[bool, str]:
        salted = f"{project.split_salt}:head to head:{prompt.external_id}"
        return prompt.pk in compared, hashlib.sha256(salted.encode()).hexdigest()

    return sorted(prompts, key=key)


def pairings_of(round_: Round) -> list[Pairing]:
    """What a round has recorded."""
    ids = [prompt_id for record in round_.head_to_head for prompt_id in record["prompt_ids"]]
    prompts = {p.external_id: p for p in Prompt.objects.filter(project=round_.project, external_id__in=ids)}
    policies = Policy.objects.select_related("source").in_bulk(
        [record["policy"] for record in round_.head_to_head if record["policy"] is not None]
    )
    return [
        Pairing(
            Opponent(record["opponent"], policies.get(record["policy"])),
            record["wanted"],
            [prompts[prompt_id] for prompt_id in record["prompt_ids"] if prompt_id in prompts],
            record.get("equal", 0),
        )
        for record in round_.head_to_head
    ]
