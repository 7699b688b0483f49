"""Who may be given a task `t` that is a copy of another, as SQL; annotation.queue.search joins it.

Gold and practice tasks are copies in a batch of their own, which says nothing of who may see them: the batch of the
original does. A repeat is of its original's batch. Every column is written with its table's alias, as in the search.
"""

from django.db.models import Model

from annotation.models import Assignment, Task
from annotation.queue import eligibility
from annotation.queue.eligibility import IS_FOR_ACTOR, IS_QUALIFIED, IS_WANTED

ALIASES: dict[str, type[Model]] = {"a": Assignment, "copied": Task} | eligibility.ALIASES
_TABLE = {alias: f"{model._meta.db_table} {alias}" for alias, model in ALIASES.items()}


def _unless_original_is_not(conditions: str) -> str:
    """Of conditions on a batch `b`, which is here that of the original."""
    return f"""(t.copy_of_id IS NULL OR NOT EXISTS (SELECT 1 FROM {_TABLE["copied"]}
        JOIN {_TABLE["b"]} ON b.id = copied.batch_id WHERE copied.id = t.copy_of_id AND NOT ({conditions})))"""


# Practice is for everybody, and for those who have yet to pass what the original's batch asks for.
COPY_IS_UNLOCKED = _unless_original_is_not(f"{IS_WANTED} AND (t.purpose = 'practice' OR {IS_QUALIFIED})")
COPY_IS_OFFERED = _unless_original_is_not(
    f"{IS_WANTED} AND (t.purpose = 'practice' OR ({IS_QUALIFIED} AND {IS_FOR_ACTOR}))"
)

# Not what the person has judged before, as it was or as another copy; and the original is handed out no more.
COPY_IS_NEW = f"""(t.copy_of_id IS NULL OR NOT EXISTS (SELECT 1 FROM {_TABLE["copied"]}
        WHERE (copied.id = t.copy_of_id OR copied.copy_of_id = t.copy_of_id)
        AND (copied.open_slots > 0 OR EXISTS (SELECT 1 FROM {_TABLE["a"]}
            WHERE a.task_id = copied.id AND a.annotator_id = %(actor)s AND a.state <> 'expired'))))"""
