"""What a backup is: a list of contents and where they lie, one JSON file, written atomically when all of it is there.

The file carries its own sha256, so that a damaged one is told from a whole one; an interrupted backup has none.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learning.interface.atomic_files import sync_path
from maintenance.backups.errors import BackupError
from maintenance.backups.object_store import ObjectStore, private_file


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    path: str  # below DATA_DIR, or below the folder outside it
    sha256: str
    size: int
    mtime_ns: int
    mode: int


@dataclass(frozen=True, kw_only=True)
class OutsideFolder:
    """A model that a project uses and that lies outside DATA_DIR; a restore brings it into the folder of models."""

    artifact: int
    path: str
    is_file: bool
    files: tuple[StoredFile, ...]


@dataclass(frozen=True, kw_only=True)
class DatabaseDump:
    vendor: str  # sqlite: a database file; postgresql: an archive of pg_dump
    server_version: str
    sha256: str
    size: int
    migrations: tuple[str, ...]  # app.name
    rows: dict[str, int]  # table -> rows
    triggers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    name: str
    created_at: str  # when the database was read, ISO 8601 UTC
    version: str  # of the program
    data_dir: str  # where it lay
    database: DatabaseDump
    files: tuple[StoredFile, ...]
    outside: tuple[OutsideFolder, ...] = ()
    faults: tuple[str, ...] = field(default=())  # what the database names and was missing or changed already

    @property
    def size(self) -> int:
        return self.database.size + sum(stored.size for stored in self.all_files())

    @property
    def has_secret_key(self) -> bool:
        return any(stored.path == "secret_key" for stored in self.files)

    def all_files(self) -> Iterator[StoredFile]:
        yield from self.files
        for folder in self.outside:
            yield from folder.files

    def contents(self) -> Iterator[tuple[str, str, int]]:
        """(what, sha256, size) of all that the backup needs."""
        yield "the database", self.database.sha256, self.database.size
        for stored in self.all_files():
            yield stored.path, stored.sha256, stored.size


def new_name(store: ObjectStore, now: datetime) -> str:
    name, number = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"), 1
    while (store.backups / f"{name}{f'-{number}' if number > 1 else ''}.json").exists():
        number += 1
    return f"{name}-{number}" if number > 1 else name


def write_manifest(store: ObjectStore, manifest: Manifest) -> None:
    """From now on the backup exists."""
    body = asdict(manifest)
    text = json.dumps({"sha256": _digest(body), "backup": body}, ensure_ascii=False, indent=0)
    temporary = store.temporary / "manifest.json"
    with private_file(temporary) as file:
        file.write(text.encode())
    sync_path(temporary)
    temporary.rename(store.backups / f"{manifest.name}.json")
    sync_path(store.backups)


def read_manifest(store: ObjectStore, name: str) -> Manifest:
    """Raises BackupError when there is none of this name, or it is damaged."""
    path = store.backups / f"{name}.json"
    try:
        whole = json.loads(path.read_bytes())
        body = whole["backup"]
        if whole["sha256"] != _digest(body):
            raise BackupError(f"The backup {name} is damaged: {path} was changed.")
        return _from_json(body)
    except FileNotFoundError as error:
        known = ", ".join(backup_names(store)) or "none"
        raise BackupError(f"There is no backup {name} in {store.folder}; there is: {known}.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"The backup {name} cannot be read: {path} ({error}).") from error


def backup_names(store: ObjectStore) -> list[str]:
    """The oldest first."""
    paths = store.backups.glob("*.json")
    # By time, then by number among those of one second.
    return sorted((path.stem for path in paths), key=lambda name: (name[:16], int(name[17:] or 1)))


def newest_manifest(store: ObjectStore) -> Manifest | None:
    """The newest that can be read."""
    for name in reversed(backup_names(store)):
        try:
            return read_manifest(store, name)
        except BackupError:
            continue
    return None


def drop_old_backups(store: ObjectStore, keep: int) -> tuple[list[str], int]:
    """All but the newest `keep` go, and what only they named; their names and the bytes freed. Under the lock only.

    Raises BackupError, before anything goes, when one that stays cannot be read: what it needs is not known.
    """
    names = backup_names(store)
    dropped, kept = names[:-keep], names[-keep:]
    used = {sha256 for name in kept for _, sha256, _ in read_manifest(store, name).contents()}
    for name in dropped:
        (store.backups / f"{name}.json").unlink()
    sync_path(store.backups)
    _, freed = store.sweep(used)
    return dropped, freed


def verify_backup(store: ObjectStore, manifest: Manifest, *, read: bool = True) -> list[str]:
    """One line for each content that is missing or was changed; with `read` every byte is read."""
    faults, checked = [], dict[str, str | None]()
    for what, sha256, size in manifest.contents():
        if sha256 not in checked:
            checked[sha256] = store.fault(sha256, size, read=read)
        if checked[sha256]:
            faults.append(f"{manifest.name}: {what} {checked[sha256]} ({store.path(sha256)})")
    return faults


def find_manifests(folder: Path) -> list[Manifest]:
    """All backups of a folder, the oldest first. Raises BackupError."""
    store = ObjectStore.open(folder)
    return [read_manifest(store, name) for name in backup_names(store)]


def _digest(body: Any) -> str:
    # As JSON has it: a tuple written is a list read.
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _from_json(body: dict[str, Any]) -> Manifest:
    database = body["database"]
    return Manifest(
        **{
            **body,
            "database": DatabaseDump(
                **{
                    **database,
                    "migrations": tuple(database["migrations"]),
                    "triggers": tuple(database["triggers"]),
                }
            ),
            "files": tuple(StoredFile(**stored) for stored in body["files"]),
            "outside": tuple(
                OutsideFolder(
                    **{**folder, "files": tuple(StoredFile(**stored) for stored in folder["files"])}
                )
                for folder in body["outside"]
            ),
            "faults": tuple(body["faults"]),
        }
    )
