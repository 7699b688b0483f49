"""The only function that moves a run from one state to another.

Each move is a conditional UPDATE (state, and the fence where the mover is a worker), so that of two movers exactly one
succeeds and the other learns of it by the answer False.
"""

from typing import Any

from runs.errors import IllegalTransition
from runs.models import Run, RunQuerySet
from runs.states import ALLOWED_TRANSITIONS, RunState


def transition_run(runs: RunQuerySet, run: Run, to: RunState, **fields: Any) -> bool:
    """Move `run` from the state and fence it was read with to `to`, setting `fields` in the same UPDATE.

    `runs` is the queryset to look in (callers narrow it further, e.g. to an expired lease). True: this
    caller moved it. False: it was moved by somebody else meanwhile, and nothing was written. Raises
    IllegalTransition for a step that does not exist, whatever the database holds.
    """
    previous = RunState(run.state)
    if to not in ALLOWED_TRANSITIONS[previous]:
        raise IllegalTransition(f"A run that is {previous.label.lower()} cannot become {to.label.lower()}.")
    return runs.filter(pk=run.pk, state=previous, fence=run.fence).update(state=to, **fields) == 1
