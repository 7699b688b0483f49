"""Two people who change the same: who looked at other values than there are now changes nothing, and sees both.

A form carries the digest of the values it showed (`shown`), a program the ETag of what it read (If-Match); the action
compares under the row's lock. Programs that send no If-Match change what they send and leave the rest as it is.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from django.db import models, transaction
from django.utils.translation import gettext

from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import User

Row = TypeVar("Row", bound=models.Model)
Shown = Collection[str] | None  # digests, one of which must be that of now; None: whatever there is now


class ChangedMeanwhile(ActionError):
    """Somebody changed it after the actor looked."""

    code = "changed_meanwhile"
    is_conflict = True


def values_of(row: models.Model, names: Collection[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def shown_of(row: models.Model, names: Collection[str]) -> str:
    """What a form carries that shows these columns of the row."""
    return digest_of(values_of(row, names))


def digest_of(values: Mapping[str, Any]) -> str:
    """Equal for equal values, whatever their order."""
    text = json.dumps(dict(values), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def require_shown(shown: Shown, now: Mapping[str, Any]) -> None:
    """Raises ChangedMeanwhile. Call it under the lock of the row that has the values."""
    if shown is not None and digest_of(now) not in shown:
        raise ChangedMeanwhile(
            gettext(
                "Somebody changed this after you looked at it: nothing of yours is saved. Look at it again."
            )
        )


@transaction.atomic
def change_values(
    *, actor: User, row: Row, action: str, given: Mapping[str, Any], shown: Shown = None
) -> Row:
    """Set what is given and not None of the row's columns `given`; the others keep what they have by now. The same row,
    with the values of now; an audit row names what changed. Raises ChangedMeanwhile.
    """
    locked = type(row)._base_manager.select_for_update(no_key=True, of=("self",)).filter(pk=row.pk).first()
    if locked is None:
        raise ActionError(gettext("It was removed meanwhile: reload the page."), code="gone")
    now = values_of(locked, given)
    require_shown(shown, now)
    changed = {name: value for name, value in given.items() if value is not None and value != now[name]}
    if changed:
        type(row)._base_manager.filter(pk=row.pk).update(**changed)
        project = getattr(row, "project", None)
        record_audit(actor=actor, action=action, project=project, target=row, changed=sorted(changed))
    for name, value in (now | changed).items():
        setattr(row, name, value)
    return row
