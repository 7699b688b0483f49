"""The files that a database names, compared with those of a backup, by hash and without reading any of them again."""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import PreferenceDataset
from maintenance.backups.manifest import OutsideFolder, StoredFile
from maintenance.backups.object_store import ObjectStore
from runs.models import Artifact, Run
from runs.states import RunState

Query = Callable[[str], Sequence[Sequence[Any]]]


@dataclass(frozen=True, kw_only=True)
class References:
    """What the database names, as it was when it was read."""

    artifacts: tuple[tuple[int, str, str], ...]  # id, path, sha256
    datasets: tuple[tuple[int, str, str], ...]  # id, directory, sha256 of the manifest
    results: tuple[tuple[int, str], ...]  # id and directory of the runs that are done

    @property
    def outside(self) -> Iterator[tuple[int, str]]:
        """Artifacts that lie outside DATA_DIR: id, path."""
        return ((pk, path) for pk, path, _ in self.artifacts if path.startswith("/"))


def read_references(query: Query) -> References:
    artifact, dataset, run = (model._meta.db_table for model in (Artifact, PreferenceDataset, Run))
    return References(
        artifacts=tuple(
            (int(pk), str(path), str(sha256))
            for pk, path, sha256 in query(f"SELECT id, path, sha256 FROM {artifact} ORDER BY id")
        ),
        datasets=tuple(
            (int(pk), str(directory), str(sha256))
            for pk, directory, sha256 in query(
                f"SELECT id, directory, manifest_sha256 FROM {dataset} ORDER BY id"
            )
        ),
        results=tuple(
            (int(pk), str(directory))
            for pk, directory in query(
                f"SELECT id, directory FROM {run} WHERE state = '{RunState.DONE}' ORDER BY id"
            )
        ),
    )


def find_faults(
    references: References,
    files: Mapping[str, StoredFile],
    outside: Sequence[OutsideFolder],
    store: ObjectStore,
) -> list[tuple[type, int, str]]:
    """(model, id, sentence) of each thing that the database names and the files do not have as it was recorded."""
    faults: list[tuple[type, int, str]] = []
    paths = sorted(files)
    for pk, path, sha256 in references.artifacts:
        if path.startswith("/"):
            found = [folder for folder in outside if folder.artifact == pk]
            own = {stored.path: stored for stored in found[0].files} if found else {}
            is_file = bool(found) and found[0].is_file
        elif path in files:
            own, is_file = {path: files[path]}, True
        else:
            own, is_file = _below(path, paths, files), False
        if not own:
            faults.append((Artifact, pk, f"artifact {pk} ({path}): nothing is there"))
        elif _digest(own, is_file) != sha256:
            faults.append((Artifact, pk, f"artifact {pk} ({path}): its content is not the one recorded"))
    for pk, directory, sha256 in references.datasets:
        if reason := _dataset_fault(directory, sha256, files, store):
            faults.append((PreferenceDataset, pk, f"dataset {pk} ({directory}): {reason}"))
    for pk, directory in references.results:
        if f"runs/{directory}/result.json" not in files:
            faults.append((Run, pk, f"run {pk}: done, but runs/{directory}/result.json is gone"))
    return faults


def still_named(model: type, pk: int) -> bool:
    """Whether the database names it now, too."""
    rows = model._default_manager.filter(pk=pk)  # type: ignore[attr-defined]
    return bool(rows.exists())


def _below(folder: str, paths: list[str], files: Mapping[str, StoredFile]) -> dict[str, StoredFile]:
    """Files of a folder by their names in it."""
    prefix, own = f"{folder}/", {}
    for path in paths[bisect_left(paths, prefix) :]:
        if not path.startswith(prefix):
            break
        own[path[len(prefix) :]] = files[path]
    return own


def _digest(own: Mapping[str, StoredFile], is_file: bool) -> str:
    """As runs.artifacts.hash_path computes it of what lies on disk."""
    if is_file:
        return next(iter(own.values())).sha256
    lines = (f"{own[name].sha256}  {name}\n".encode() for name in sorted(own))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _dataset_fault(
    directory: str, sha256: str, files: Mapping[str, StoredFile], store: ObjectStore
) -> str | None:
    manifest = files.get(f"{directory}/manifest.json")
    if manifest is None:
        return "its manifest is gone"
    if manifest.sha256 != sha256:
        return "its manifest was changed"
    for described in json.loads(store.path(sha256).read_bytes())["files"]:
        stored = files.get(f"{directory}/{described['name']}")
        if stored is None or stored.sha256 != described["sha256"]:
            return f"{described['name']} is missing or was changed"
    return None
