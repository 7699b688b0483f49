"""Moves rounds from stage to stage. The worker's periodic task calls `advance_rounds`; nothing
here trains anything.

A handler of `rounds.stages.registry` looks whether its stage's work is done, and in one transaction, with
the round's row locked, records its results and starts the next stage's work. Two workers that try at once
do it once.
"""

import logging

from django.db import InterfaceError, OperationalError, transaction

from learning.interface.options import UserError
from learning.interface.text import replace_unstorable_characters
from rounds.models import Round, Stage
from rounds.plans import load_plan
from rounds.stages.registry import PREPARATIONS, STAGE_HANDLERS
from rounds.stages.transitions import fail_round, lock_round
from workspace.errors import ActionError

logger = logging.getLogger(__name__)


def advance_rounds() -> int:
    """Move every round under way as far as it can go now; how many moved."""
    moved = 0
    running = Round.objects.open().exclude(stage=Stage.FAILED)
    for pk in running.values_list("pk", flat=True):
        try:
            moved += advance_round(pk)
        except (OperationalError, InterfaceError):
            raise  # the database is gone: that is no fault of the round
        except Exception as error:
            # It must neither keep the other rounds waiting nor be tried again for ever without a word.
            logger.exception("round %s could not be advanced", pk)
            fault = replace_unstorable_characters(f"{type(error).__name__}: {error}")[:500]
            with transaction.atomic():
                fail_round(
                    lock_round(pk),
                    f"This is a fault of the program ({fault}); the worker's log tells more.",
                )
            moved += 1
    return moved


def advance_round(pk: int) -> bool:
    """Advance one round once; False when there is nothing to do yet. A refusal ends in `failed`, with its sentence."""
    round_ = Round.objects.select_related("project", "started_by").get(pk=pk)
    stage_before = round_.stage
    try:
        prepare = PREPARATIONS.get(Stage(stage_before))
        prepared = prepare(round_) if prepare is not None else {}
        with transaction.atomic():
            round_ = lock_round(pk)
            if round_.stage != stage_before:
                return (
                    False  # another worker was faster, and this is no preparation of the stage it is at now
                )
            advance = STAGE_HANDLERS.get(Stage(round_.stage))
            return advance(round_, load_plan(round_.plan), **prepared) if advance else False
    except (ActionError, UserError, OSError) as error:
        with transaction.atomic():
            locked = lock_round(pk)
            # Another worker may have moved it meanwhile; then this refusal is about a stage that is over.
            if locked.stage == stage_before:
                fail_round(locked, str(error))
        return True
