"""The result of a command becomes rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from runs.artifacts import Digest, relative_to_data_dir
from runs.leases import LostLease, finish_run, still_owned
from runs.models import Artifact, Run
from runs.run_kinds import Output, RunKind
from runs.states import RunState


def save_result(
    run: Run, kind: RunKind, result: Mapping[str, Any], digests: Sequence[tuple[Output, Digest]]
) -> bool:
    """The result becomes rows and the run is done, in one transaction that only the run's owner can commit.

    False: a cancel arrived first, the run is cancelled and nothing is saved. Raises LostLease when the
    run is not this worker's any more, in particular when it has been saved already.
    """
    with transaction.atomic():
        locked = (
            still_owned(run)
            .select_for_update(no_key=True, of=("self",))
            .select_related("project", "requested_by")
            .first()
        )
        if locked is None:
            raise LostLease
        if locked.cancel_requested:
            finish_run(locked, RunState.CANCELLED)
            return False
        for output, digest in digests:
            Artifact.objects.update_or_create(
                project=locked.project,
                kind=output.kind,
                path=relative_to_data_dir(locked.path / output.path),
                defaults={"sha256": digest.sha256, "size_bytes": digest.size_bytes, "produced_by": locked},
            )
        kind.save_result(locked, result)
        finish_run(locked, RunState.DONE)
        return True
