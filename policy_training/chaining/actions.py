"""Trainings that start from a policy that is being made: asked for now, queued by a worker when the policy is there.

Such a request is checked as the training itself is: by asking for it, from a policy that stands for the coming one, in
a transaction that is rolled back. What is bound to fail is refused at once, not in the night; what only fails when it
is to be queued (a prompt set was removed) is refused then, with its sentence, and a manager may try it again.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.utils.translation import gettext

from learning.interface.options import UserError
from learning.interface.text import replace_unstorable_characters
from policy_training.actions import pretrain, train_sft
from policy_training.chaining.arguments import loaded_arguments, stored_arguments
from policy_training.coming_policies import (
    Predecessor,
    name_made_by,
    policy_made_by,
    require_coming,
    unfinished_makers,
)
from policy_training.dpo.actions import train_dpo, with_frozen_judgments
from policy_training.models import ChainedTraining, Policy
from policy_training.registry import PolicyNameTaken, require_unused_name
from policy_training.rewarded.actions import FILLED_IN, train_best_of_n, train_policy_gradient, train_ppo
from runs.errors import IllegalTransition
from runs.models import Artifact, Run
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.members import require_manager_of_what_waits
from workspace.models import Project, User
from workspace.naming import unique_name
from workspace.roles import Capability, capabilities_of

logger = logging.getLogger(__name__)

Recipe, State = ChainedTraining.Recipe, ChainedTraining.State
ACTIONS: Mapping[str, Callable[..., Run]] = {
    Recipe.SFT: train_sft,
    Recipe.PRETRAIN: pretrain,
    Recipe.PPO: train_ppo,
    Recipe.POLICY_GRADIENT: train_policy_gradient,
    Recipe.BEST_OF_N: train_best_of_n,
    Recipe.DPO: train_dpo,
}
# What the action calls the policy that it starts from.
_START = {Recipe.SFT: "parent", Recipe.PRETRAIN: "parent"}


def start_or_chain(
    recipe: ChainedTraining.Recipe, *, actor: User, project: Project, **arguments: Any
) -> Run | ChainedTraining:
    """The recipe's action, whose start may be a run or a chained training, too: then the training waits for the policy
    that comes of it.
    """
    place = _START.get(recipe, "start")
    if isinstance(arguments.get(place), Predecessor):
        before = arguments.pop(place)
        return chain_training(recipe, actor=actor, project=project, before=before, arguments=arguments)
    return ACTIONS[recipe](actor=actor, project=project, **arguments)


def chain_training(
    recipe: ChainedTraining.Recipe,
    *,
    actor: User,
    project: Project,
    before: Predecessor,
    arguments: Mapping[str, Any],
) -> ChainedTraining:
    """Have a training wait for the policy that `before` makes. `arguments` are those of the recipe's action, without
    its start; judgments of now are frozen now.

    Raises NotAManager, NoComingPolicy, and whatever the action raises.
    """
    require_manager_of_what_waits(project, actor)
    before = require_coming(project, before)
    name = str(arguments["name"])
    if not name.strip() or len(name) > 120:
        raise ActionError(gettext("A policy needs a name of at most 120 characters."), code="bad_name")
    _require_free_name(project, name)
    freezing = with_frozen_judgments if recipe == Recipe.DPO else _unchanged
    with freezing(actor=actor, project=project, **arguments) as kept:
        stored = stored_arguments(kept)
        title = _try_out(recipe, actor=actor, project=project, before=before, stored=stored)
        return _wait(recipe, actor=actor, project=project, before=before, title=title, stored=stored)


@contextmanager
def _unchanged(*, actor: User, project: Project, **arguments: Any) -> Iterator[dict[str, Any]]:
    yield arguments


def _wait(
    recipe: ChainedTraining.Recipe,
    *,
    actor: User,
    project: Project,
    before: Predecessor,
    title: str,
    stored: Mapping[str, Any],
) -> ChainedTraining:
    """Raises PolicyNameTaken."""
    chained = ChainedTraining(
        project=project,
        recipe=recipe,
        name=stored["name"],
        title=title,
        arguments=stored,
        after_run=before if isinstance(before, Run) else None,
        after_training=before if isinstance(before, ChainedTraining) else None,
        requested_by=actor,
    )
    try:
        with transaction.atomic():
            chained.save()
            record_audit(
                actor=actor,
                action="training.chain",
                project=project,
                target=chained,
                recipe=recipe,
                title=title,
            )
    except IntegrityError as error:  # somebody asked for the same name a moment ago
        raise _name_taken(chained.name) from error
    return chained


def _require_free_name(project: Project, name: str) -> None:
    """Neither a policy's, nor one that will be there before."""
    require_unused_name(project, name)
    runs, trainings = unfinished_makers(project), project.chained_trainings.waiting()
    if name in {*map(name_made_by, runs), *map(name_made_by, trainings)}:
        raise _name_taken(name)


def _name_taken(name: str) -> PolicyNameTaken:
    return PolicyNameTaken(
        gettext("A policy named “%(name)s” is being made already: choose another name.") % {"name": name}
    )


def _try_out(
    recipe: ChainedTraining.Recipe,
    *,
    actor: User,
    project: Project,
    before: Predecessor,
    stored: Mapping[str, Any],
) -> str:
    """The title of the run that will be queued. Raises what keeps it from being queued."""
    stand_in = Policy(
        project=project,
        name=name_made_by(before),
        artifact=Artifact(project=project, kind=Artifact.Kind.POLICY, path=FILLED_IN),
    )
    with transaction.atomic():
        title = _queue(recipe, actor=actor, project=project, start=stand_in, stored=stored).title
        transaction.set_rollback(True)
    return title


def _queue(recipe: str, *, actor: User, project: Project, start: Policy, stored: Mapping[str, Any]) -> Run:
    arguments = loaded_arguments(project, stored) | {_START.get(Recipe(recipe), "start"): start}
    return ACTIONS[recipe](actor=actor, project=project, **arguments)


@transaction.atomic
def cancel_chained(*, actor: User, training: ChainedTraining) -> ChainedTraining:
    """It does not wait any more; what waits for it stays. Asking twice changes nothing."""
    locked = _lock(training)
    if locked.state == State.CANCELLED:
        return locked
    if not locked.can_cancel:
        raise IllegalTransition(
            gettext("The training is queued already: cancel run %(number)s.") % {"number": locked.run_id}
        )
    return _move(locked, State.CANCELLED, actor=actor, action="training.cancel")


@transaction.atomic
def retry_chained(*, actor: User, training: ChainedTraining) -> ChainedTraining:
    """Have one that was refused or cancelled wait again, in the name of who tries: who asked first may not manage the
    project any more. Raises NotAManager, IllegalTransition, PolicyNameTaken.
    """
    locked = _lock(training)
    require_manager_of_what_waits(locked.project, actor)
    if not locked.can_retry:
        raise IllegalTransition(
            gettext("The training is %(lower)s: there is nothing to try again.")
            % {"lower": locked.get_state_display().lower()}
        )
    try:
        with transaction.atomic():
            locked.requested_by = actor
            return _move(locked, State.WAITING, actor=actor, action="training.retry")
    except IntegrityError as error:
        raise _name_taken(locked.name) from error


def _lock(training: ChainedTraining) -> ChainedTraining:
    locked = ChainedTraining.objects.select_for_update(no_key=True, of=("self",)).select_related("project")
    return locked.get(pk=training.pk)


def _move(locked: ChainedTraining, state: str, *, actor: User, action: str) -> ChainedTraining:
    locked.state, locked.error = state, ""
    locked.save(update_fields=["state", "error", "requested_by"])
    record_audit(actor=actor, action=action, project=locked.project, target=locked, title=locked.title)
    return locked


def queue_due_trainings(on_refusal: Callable[[ChainedTraining], object] = lambda training: None) -> int:
    """Queue what waits and can start; how many changed. `on_refusal` is called in the transaction of a refusal."""
    due = list(ChainedTraining.objects.due().order_by("pk").values_list("pk", flat=True))
    return sum(queue_training(pk, on_refusal) for pk in due)


@transaction.atomic
def queue_training(pk: int, on_refusal: Callable[[ChainedTraining], object]) -> bool:
    """Queue one under its lock: of several workers one does it, and one that is killed in it has done nothing."""
    waiting = ChainedTraining.objects.waiting().select_related("project", "requested_by")
    locked = waiting.select_for_update(no_key=True, of=("self",)).filter(pk=pk).first()
    if locked is None:
        return False
    try:
        with transaction.atomic():
            run = _queue_due(locked)
    except (OperationalError, InterfaceError):
        raise  # the database is gone: that is no fault of the training
    except (ActionError, UserError) as error:
        locked.error = replace_unstorable_characters(str(error)).strip()[:1000] or _fault(error)
    except Exception as error:
        # It must neither keep the others waiting nor be tried again for ever without a word.
        logger.exception("chained training %s could not be queued", pk)
        locked.error = _fault(error)
    else:
        locked.run, locked.state = run, State.QUEUED
        locked.save(update_fields=["run", "state"])
        return True
    locked.state = State.REFUSED
    locked.save(update_fields=["state", "error"])
    on_refusal(locked)
    return True


def _fault(error: Exception) -> str:
    said = replace_unstorable_characters(f"{type(error).__name__}: {error}")[:500]
    return gettext("This is a fault of the program (%(fault)s); the worker's log tells more.") % {
        "fault": said
    }


def _queue_due(training: ChainedTraining) -> Run:
    """Raises ActionError, UserError."""
    actor, project, run = training.requested_by, training.project, training.awaited_run
    _require_manager(project, actor)
    start = policy_made_by(run) if run is not None else None
    if start is None:
        raise ActionError(gettext("What it was to start from has made no policy."), code="no_policy")
    # A name that was taken meanwhile gets a number, as at the end of a run: nobody is there to choose another.
    name = unique_name(Policy.objects.filter(project=project), training.name)
    stored = training.arguments | {"name": name}
    return _queue(training.recipe, actor=actor, project=project, start=start, stored=stored)


def _require_manager(project: Project, actor: User) -> None:
    """It acts in the name of who asked for it: not for longer than they may. An operator is a member like others."""
    if Capability.MANAGE not in capabilities_of(actor, project):
        raise ActionError(
            gettext(
                "%(username)s, who asked for this training, is not a manager of the project any more: ask for it anew."
            )
            % {"username": actor.username},
            code="not_a_manager",
        )
