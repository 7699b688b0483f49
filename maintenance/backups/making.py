"""Make a backup of the whole site while it is in use.

Files are copied first, the database is read at one moment, and what was written meanwhile is copied after it. A row
is made after its files and never before, so every file that the database names is there; that is checked, by hash,
before the backup is finished. What was acknowledged before the backup began is in it, and nothing is half in it.
"""

import os
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from maintenance.backups.data_folder import FolderCopy
from maintenance.backups.database_dumps import describe_database, dumped_database, require_client_programs
from maintenance.backups.errors import BackupError
from maintenance.backups.manifest import (
    DatabaseDump,
    Manifest,
    OutsideFolder,
    StoredFile,
    drop_old_backups,
    new_name,
    newest_manifest,
    write_manifest,
)
from maintenance.backups.object_store import ObjectStore, one_sentence
from maintenance.backups.references import References, find_faults, read_references, still_named

# A dataset that is discarded between the two readings makes one more necessary.
MAX_READINGS = 5


@dataclass(frozen=True, kw_only=True)
class MadeBackup:
    manifest: Manifest
    bytes_copied: int
    dropped: tuple[str, ...] = ()
    bytes_freed: int = 0


def make_backup(
    folder: Path,
    *,
    with_secret_key: bool = False,
    keep: int | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> MadeBackup:
    """Back up the site into `folder`, where earlier backups may lie; with `keep`, all but so many newest are dropped.

    Raises BackupError: then no backup was made, and earlier ones are as they were.
    """
    data_dir = Path(settings.DATA_DIR)
    if data_dir.is_relative_to(folder.absolute()):
        raise BackupError(
            f"{folder} holds the data folder itself: name a folder beside it, or on another disk."
        )
    require_client_programs()
    with one_sentence("no backup was made; earlier ones are as they were", folder):
        store = ObjectStore.create(folder)
        with store.locked(), store.temporary_folder():
            manifest, copied = _read_site(store, data_dir, with_secret_key=with_secret_key, say=say)
            say("writing everything to the disk")
            os.sync()
            write_manifest(store, manifest)
            dropped, freed = drop_old_backups(store, keep) if keep else ([], 0)
    return MadeBackup(manifest=manifest, bytes_copied=copied, dropped=tuple(dropped), bytes_freed=freed)


def _read_site(
    store: ObjectStore, data_dir: Path, *, with_secret_key: bool, say: Callable[[str], None]
) -> tuple[Manifest, int]:
    last = newest_manifest(store)
    known = {stored.path: stored for stored in last.files} if last and last.data_dir == str(data_dir) else {}
    copy = FolderCopy(store, data_dir, known=known, say=say)
    say("copying files")
    copy.copy_data_folder(with_secret_key=with_secret_key)
    for reading in range(1, MAX_READINGS + 1):
        say("reading the database")
        now, dump = datetime.now(UTC), store.temporary / f"database-{reading}"
        with dumped_database(dump) as query:
            references, state = read_references(query), describe_database(query)
        say("copying what was written meanwhile")
        files = copy.copy_data_folder(with_secret_key=with_secret_key)
        outside = _copy_outside(store, references, say)
        faults = find_faults(references, files, outside, store)
        if all(still_named(model, pk) for model, pk, _ in faults):
            break
        dump.unlink()
    else:
        raise BackupError("Files vanish faster than they can be copied: try again.")
    content = store.adopt(dump)
    manifest = Manifest(
        name=new_name(store, now),
        created_at=now.isoformat(timespec="seconds"),
        version=program_version(),
        data_dir=str(data_dir),
        database=DatabaseDump(
            vendor=connection.vendor,
            server_version=state.server_version,
            sha256=content.sha256,
            size=content.size,
            migrations=state.migrations,
            rows=state.rows,
            triggers=state.triggers,
        ),
        files=_in_order(files.values()),
        outside=outside,
        faults=tuple(sentence for _, _, sentence in faults),
    )
    return manifest, copy.bytes_copied + content.size


def _copy_outside(
    store: ObjectStore, references: References, say: Callable[[str], None]
) -> tuple[OutsideFolder, ...]:
    """Models that a project uses where they lie, beside the data folder."""
    folders = []
    for pk, path in references.outside:
        copy = FolderCopy(store, Path(path), known={}, say=say)
        is_file = Path(path).is_file()
        folders.append(OutsideFolder(artifact=pk, path=path, is_file=is_file, files=copy.copy_folder()))
    return tuple(folders)


def _in_order(files: Iterable[StoredFile]) -> tuple[StoredFile, ...]:
    return tuple(sorted(files, key=lambda stored: stored.path))


def program_version() -> str:
    try:
        return str(tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"])
    except (OSError, ValueError, KeyError):
        return "unknown"
