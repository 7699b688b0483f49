"""Policies that are being made: by a run that has not ended, or by a training that waits for one. A training may start
from them before they are there (policy_training/chaining/).
"""

from django.db.models import Q
from django.utils.translation import gettext

from policy_training.models import ChainedTraining, Policy
from runs.models import Run
from runs.run_kinds import MAKE_POLICIES
from runs.states import RunState
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.models import Project

Predecessor = Run | ChainedTraining


class NoComingPolicy(ActionError):
    """Nothing can start from what was named: it makes no policy, or none any more."""

    code = "no_policy"


def policy_made_by(run: Run) -> Policy | None:
    """An import knows its run by the policy's report alone."""
    made = Policy.objects.filter(project=run.project_id).select_related("artifact")
    return made.filter(Q(produced_by=run) | Q(report__imported__run=run.pk)).first()


def unfinished_makers(project: Project) -> list[Run]:
    """Runs that will make a policy, the newest first."""
    return list(project.runs.unfinished().filter(kind__in=MAKE_POLICIES).newest_first())


def coming_policies(project: Project) -> list[tuple[str, str]]:
    """(value, label) of what a training may be asked to start from before it is there; see find_predecessor."""
    runs = [
        (
            f"run-{run.pk}",
            gettext("%(name)s (run %(number)s is making it)") % {"name": name_made_by(run), "number": run.pk},
        )
        for run in unfinished_makers(project)
    ]
    waiting = project.chained_trainings.waiting().order_by("-pk")
    return runs + [
        (f"training-{training.pk}", gettext("%(name)s (asked for, waits)") % {"name": training.name})
        for training in waiting
    ]


def find_predecessor(project: Project, *, run: int | None = None, training: int | None = None) -> Predecessor:
    """By its number. Raises NoComingPolicy."""
    return require_coming(project, _by_number(project, run=run, training=training))


def find_start(
    project: Project, *, run: int | None = None, training: int | None = None
) -> Policy | Predecessor:
    """The same, and the policy itself where it is made by now. Raises NoComingPolicy."""
    found = _by_number(project, run=run, training=training)
    maker = found.run if isinstance(found, ChainedTraining) else found
    if maker is not None and maker.state == RunState.DONE and (made := policy_made_by(maker)) is not None:
        return made
    return require_coming(project, found)


def _by_number(project: Project, *, run: int | None, training: int | None) -> Predecessor:
    found: Predecessor | None
    if run is not None:
        found = project.runs.filter(pk=run).first()
        said = gettext("The project has no run %(number)s.") % {"number": run}
    else:
        assert training is not None
        found = project.chained_trainings.filter(pk=training).first()
        said = gettext("The project has no chained training %(number)s.") % {"number": training}
    if found is None:
        raise NoComingPolicy(said)
    return found


def require_coming(project: Project, before: Predecessor) -> Predecessor:
    """What is to be waited for: of a training that was queued meanwhile its run. Raises NoComingPolicy where no policy
    will come of it, or one is there already, ActionError for another project's.
    """
    require_of_project(project, before)
    if isinstance(before, ChainedTraining):
        if before.run is None:
            if before.state == ChainedTraining.State.WAITING:
                return before
            raise NoComingPolicy(
                gettext("“%(name)s” does not wait any more (%(state)s): try it again first.")
                % {"name": before.name, "state": before.get_state_display().lower()}
            )
        before = before.run
    words = {"number": before.pk, "title": before.title}
    if before.kind not in MAKE_POLICIES:
        raise NoComingPolicy(gettext("Run %(number)s (%(title)s) makes no policy.") % words)
    if before.state == RunState.DONE:
        made = policy_made_by(before)
        raise NoComingPolicy(
            gettext("Run %(number)s is done: start from its policy “%(name)s” itself.")
            % {"number": before.pk, "name": made.name if made else name_made_by(before)}
        )
    if before.is_finished:
        raise NoComingPolicy(
            gettext("Run %(number)s (%(title)s) has ended without a policy: retry it first.") % words
        )
    return before


def name_made_by(before: Predecessor) -> str:
    """Of the policy; a name that is taken by then gets a number."""
    if isinstance(before, ChainedTraining):
        return before.name
    return str(before.parameters.get("name") or before.title)
