"""Before a run starts: the models that it reads are the ones that were recorded, to the last byte."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.utils.timezone import localdate

from runs.artifacts import FileHashes, files_below, hash_path, relative_to_data_dir, size_of_path
from runs.errors import BadArtifact
from runs.models import Artifact, Run
from runs.paths import paths_in

NAMED_FILES = 3
REMEDY = (
    "bring the recorded files back (a backup has them), or import the model from a new folder under a new name, and "
    "start the run again from there"
)


class CheckInterrupted(Exception):
    """What `on_progress` raises to end the reading: a cancel or a stop was asked for."""


def require_recorded_models(
    run: Run,
    hashes: FileHashes,
    on_progress: Callable[[Mapping[str, Any]], None] = lambda progress: None,
    seconds_between: float = 2.0,
) -> None:
    """Compare what the run's configuration names with its record. Raises BadArtifact with one sentence.

    All files of a folder count, not the weights alone: a tokenizer or a template changes what is trained as well.
    `on_progress` gets the progress of a run, in megabytes, at most so often. A folder without a record is left to the
    command.
    """
    paths = {relative_to_data_dir(path): path for path in paths_in(run.config)}
    artifacts = list(Artifact.objects.filter(project=run.project, path__in=paths).order_by("pk"))
    for artifact in artifacts:
        _require_size(artifact)
    total = sum(artifact.size_bytes for artifact in artifacts)
    done, said_at = 0, time.monotonic()

    def count(bytes_read: int) -> None:
        nonlocal done, said_at
        done += bytes_read
        if time.monotonic() - said_at >= seconds_between:
            said_at = time.monotonic()
            on_progress(
                {
                    "outcome": "running",
                    "stage": "checking models (MB)",
                    "step": done // 1_000_000,
                    "steps_total": total // 1_000_000,
                }
            )

    for artifact in artifacts:
        _require_content(artifact, hashes, count)


def require_recorded(artifact: Artifact, hashes: FileHashes, on_bytes: Callable[[int], None]) -> None:
    """The same of one model, for who reads it without a run. Raises BadArtifact with one sentence."""
    _require_size(artifact)
    _require_content(artifact, hashes, on_bytes)


def _require_content(artifact: Artifact, hashes: FileHashes, on_bytes: Callable[[int], None]) -> None:
    if hash_path(artifact.absolute_path, hashes=hashes, on_bytes=on_bytes).sha256 != artifact.sha256:
        raise _changed(artifact, "its content is another one (sha256)")


def _require_size(artifact: Artifact) -> None:
    try:
        size = size_of_path(artifact.absolute_path)
    except BadArtifact as error:
        raise BadArtifact(f"{artifact}: nothing is there any more; {REMEDY}.") from error
    if size != artifact.size_bytes:
        raise _changed(artifact, f"it has {size:,} bytes instead of {artifact.size_bytes:,}")


def _changed(artifact: Artifact, how: str) -> BadArtifact:
    recorded = artifact.created_at
    newer = [
        file.name for file in _files(artifact.absolute_path) if file.stat().st_mtime > recorded.timestamp()
    ]
    names = f"; written since: {', '.join(sorted(newer)[:NAMED_FILES])}" if newer else ""
    return BadArtifact(
        f"{artifact}: changed since it was recorded on {localdate(recorded)}: {how}{names}; {REMEDY}."
    )


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else files_below(path)
