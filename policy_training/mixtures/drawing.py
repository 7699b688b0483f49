"""Prompts of several sets, drawn by their shares. What is kept for measuring is never drawn.

A prompt that is in several of the sets counts to the first that is named. Within a set prompts are taken by a hash:
stable over restarts, and not the order of the file.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext

from annotation.content.held_out import HELD_OUT_SETS
from annotation.models import Prompt, PromptSet, PromptSetMember
from policy_training.mixtures.options import (
    REFUSE,
    REPEAT,
    TOP_UP,
    PromptMixture,
    interleaved,
    largest_total,
    quotas,
    topped_up,
)
from workspace.errors import ActionError
from workspace.models import Project


class DrawablePrompt(NamedTuple):
    key: str  # by which it is taken in its turn
    pk: int
    external_id: str


@dataclass(frozen=True)
class Drawn:
    """Prompts in the order in which they are used, and what each set gave."""

    prompts: list[DrawablePrompt]
    shares: list[dict[str, Any]]  # {prompt_set, name, share, prompts}


def find_sets(project: Project, mixture: PromptMixture) -> list[PromptSet]:
    """Those that the mixture names, in its order. Raises ActionError."""
    known = {found.name: found for found in project.prompt_sets.filter(name__in=mixture.names)}
    if missing := [name for name in mixture.names if name not in known]:
        raise ActionError(
            gettext("The project has no prompt set “%(name)s”, which the mixture names.")
            % {"name": missing[0]},
            code="no_prompts",
        )
    sets = [known[name] for name in mixture.names]
    for found in sets:
        require_not_held_out(found)
    return sets


def require_not_held_out(prompt_set: PromptSet) -> None:
    """Raises ActionError for a set that is kept for measuring."""
    if prompt_set.purpose in HELD_OUT_SETS:
        raise ActionError(
            gettext(
                "The prompt set “%(name)s” is kept for %(lower)s: a policy that is trained on its "
                "prompts can no longer be measured on them. Choose another."
            )
            % {"name": prompt_set.name, "lower": prompt_set.get_purpose_display().lower()},
            code="held_out_prompts",
        )


def candidates(
    project: Project,
    sets: Sequence[PromptSet],
    *,
    turn: str,
    train_only: bool,
    without: Collection[int] = (),
) -> list[list[DrawablePrompt]]:
    """Of each set the prompts that may be drawn, in their order. `turn` tells orders for different uses apart.

    `train_only`: those on the training side; else of every side. `without`: keys of prompts that are not drawn.
    """
    kept = PromptSetMember.objects.filter(
        prompt_set__project=project, prompt_set__purpose__in=HELD_OUT_SETS
    ).values_list("prompt_id", flat=True)
    taken = {*without, *kept}
    pools = []
    for prompt_set in sets:
        prompts = prompt_set.prompts.all()
        if train_only:
            prompts = prompts.filter(split=Prompt.Split.TRAIN)
        own = [
            DrawablePrompt(_key(project, turn, external_id), pk, external_id)
            for pk, external_id in prompts.values_list("pk", "external_id")
            if pk not in taken
        ]
        taken.update(candidate.pk for candidate in own)
        pools.append(sorted(own))
    return pools


def _key(project: Project, turn: str, external_id: str) -> str:
    return hashlib.sha256(f"{project.split_salt}:{turn}:{external_id}".encode()).hexdigest()


def draw(
    mixture: PromptMixture,
    sets: Sequence[PromptSet],
    pools: Sequence[Sequence[DrawablePrompt]],
    *,
    total: int | None,
    what: str,
) -> Drawn:
    """`total` prompts (None: as many as the shares allow) from the pools, the first of each. Raises ActionError.

    `what` the prompts of the pools are, in the words of a refusal.
    """
    weights, available = mixture.weights, [len(pool) for pool in pools]
    if total is None:
        total = largest_total(weights, available)
    counts = quotas(total, weights)
    if mixture.when_short == TOP_UP:
        counts = topped_up(total, weights, available)
        if sum(counts) < total:
            raise ActionError(
                gettext(
                    "The prompt sets of the mixture have %(found)s %(what)s together, and %(total)s are asked for."
                )
                % {"found": sum(counts), "what": what, "total": total},
                code="too_few_prompts",
            )
    for prompt_set, count, has in zip(sets, counts, available, strict=True):
        if count > has:
            advice = gettext("bring prompts in, or change the shares")
            if mixture.when_short == REFUSE:
                advice = gettext(
                    "bring prompts in, change the shares, or have the other sets give what one lacks (top_up)"
                )
            raise ActionError(
                gettext(
                    "The prompt set “%(name)s” has %(has)s %(what)s, and its share of %(total)s is %(count)s: "
                    "%(advice)s."
                )
                % {
                    "name": prompt_set.name,
                    "has": has,
                    "what": what,
                    "total": total,
                    "count": count,
                    "advice": advice,
                },
                code="too_few_prompts",
            )
    if not sum(counts):
        raise ActionError(
            gettext("A prompt set of the mixture has no %(what)s: bring prompts in.") % {"what": what},
            code="no_prompts",
        )
    in_all = sum(weights)
    places = [iter(pool) for pool in pools]
    return Drawn(
        prompts=[next(places[i]) for i in interleaved(counts)],
        shares=[
            {
                "prompt_set": prompt_set.pk,
                "name": prompt_set.name,
                "share": float(weight / in_all),
                "prompts": count,
            }
            for prompt_set, weight, count in zip(sets, weights, counts, strict=True)
        ],
    )


# --- What a policy is trained on ------------------------------------------------------------------------------------

TRAINING_TURN = "policy training"


def training_prompts(
    project: Project,
    prompt_set: PromptSet | None,
    mixture: PromptMixture | None = None,
    *,
    after: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """The parameters of a run that say which prompts it trains on: a whole set, or a mixture. Raises ActionError.

    `after`: of each set (by its key) where the training before ended, so that this one goes on with the next prompts.
    """
    if not mixture:
        if prompt_set is None:
            raise ActionError(gettext("Choose a prompt set."), code="no_prompts")
        require_not_held_out(prompt_set)
        if not prompt_set.prompts.exists():
            raise ActionError(
                gettext(
                    "The prompt set “%(name)s” is empty: bring prompts in with `manage.py import_prompts`."
                )
                % {"name": prompt_set.name},
                code="no_prompts",
            )
        return {"prompt_set": prompt_set.pk}
    if mixture.when_short == REPEAT:
        raise ActionError(
            gettext(
                "“repeat” is about prompts that are compared: a policy may be trained on prompts of earlier "
                "rounds anyway."
            ),
            code="bad_option",
        )
    sets = find_sets(project, mixture)
    pools = _training_pools(project, sets, after or {})
    drawn = draw(mixture, sets, pools, total=mixture.total, what=gettext("prompts on the training side"))
    for share, pool in zip(drawn.shares, pools, strict=True):
        share["after"] = (after or {}).get(share["prompt_set"], "")
        share["last"] = pool[share["prompts"] - 1].key if share["prompts"] else share["after"]
    return {"prompt_set": sets[0].pk, "prompt_mixture": drawn.shares}


def _training_pools(
    project: Project, sets: Sequence[PromptSet], after: Mapping[int, str]
) -> list[list[DrawablePrompt]]:
    """The training side of each set, from where the training before ended, round to there again."""
    pools = candidates(project, sets, turn=TRAINING_TURN, train_only=True)
    turned = []
    for prompt_set, pool in zip(sets, pools, strict=True):
        first = bisect_right([candidate.key for candidate in pool], after.get(prompt_set.pk, ""))
        turned.append([*pool[first:], *pool[:first]])
    return turned


def ids_of_training(project: Project, shares: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of a run's prompts: those drawn, in turn, then the held-out sides of its sets, to measure on.

    Raises ActionError where prompts were taken away since the run was queued.
    """
    shares = list(shares)
    by_key = project.prompt_sets.in_bulk([share["prompt_set"] for share in shares])
    if missing := [share["name"] for share in shares if share["prompt_set"] not in by_key]:
        raise ActionError(
            gettext("The prompt set “%(name)s” of this run is gone.") % {"name": missing[0]},
            code="no_prompts",
        )
    sets = [by_key[share["prompt_set"]] for share in shares]
    pools = _training_pools(project, sets, {share["prompt_set"]: share["after"] for share in shares})
    for share, pool in zip(shares, pools, strict=True):
        if len(pool) < share["prompts"]:
            raise ActionError(
                gettext(
                    "The prompt set “%(name)s” has %(has)s prompts on the training side, and this run was asked to "
                    "take %(count)s: some were taken back since."
                )
                % {"name": share["name"], "has": len(pool), "count": share["prompts"]},
                code="too_few_prompts",
            )
    places = [iter(pool) for pool in pools]
    trained = [next(places[i]).external_id for i in interleaved([share["prompts"] for share in shares])]
    return [*trained, *on_held_out_sides(project, sets).order_by("pk").values_list("external_id", flat=True)]


def on_held_out_sides(project: Project, sets: Sequence[PromptSet | int]) -> QuerySet[Prompt]:
    """The prompts of the sets (or of those with these keys) that are not on the training side, each once."""
    prompts = Prompt.objects.filter(project=project, prompt_sets__in=sets)
    return prompts.exclude(split=Prompt.Split.TRAIN).distinct()


def describe_shares(shares: Iterable[Mapping[str, Any]]) -> str:
    """“helpful” 143 (71.5 %), “harmless” 57 (28.5 %)."""
    shares = list(shares)
    total = sum(share["prompts"] for share in shares) or 1
    return ", ".join(
        f"“{share['name']}” {number_format(share['prompts'])} "
        f"({number_format(round(100 * share['prompts'] / total, 1), decimal_pos=1)} %)"
        for share in shares
    )
