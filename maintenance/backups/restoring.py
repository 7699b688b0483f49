"""Bring a backup back, into an empty database and an empty data folder, here or elsewhere.

Every hash is verified before anything is written. Files come first and the database last; a marker in the data folder
says that it is not finished, and lets an interrupted restore be started again. A site is never overwritten.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Now

from learning.interface.atomic_files import sync_path, write_json_atomically
from learning.interface.moved_paths import FORMER_PLACES
from learning.interface.run_directory import RunDirectory, StaleFence
from maintenance.backups.data_folder import RESTORE_MARKER, SECRET_KEY_FILE
from maintenance.backups.database_dumps import (
    DATABASE_FILE,
    describe_database,
    dump_fault,
    load_database,
    query_database,
    require_client_programs,
    require_empty_database,
)
from maintenance.backups.errors import BackupError
from maintenance.backups.manifest import (
    Manifest,
    StoredFile,
    newest_manifest,
    read_manifest,
    verify_backup,
)
from maintenance.backups.object_store import ObjectStore, one_sentence, private_file
from runs.leases import requeue
from runs.models import Artifact, Run, Worker
from runs.paths import replace_paths
from runs.states import RunState

# What a machine has that was set up and never used (`make setup`), beside the files of an empty database.
OF_AN_EMPTY_SITE = frozenset({SECRET_KEY_FILE, "static", ".ready", RESTORE_MARKER})
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, kw_only=True)
class RestoredSite:
    manifest: Manifest
    waiting_runs: int  # that were under way, and wait for a worker now
    missing_migrations: int
    with_secret_key: bool


def restore_backup(
    folder: Path, *, at: str | None = None, say: Callable[[str], None] = lambda sentence: None
) -> RestoredSite:
    """The newest backup of `folder`, or the one named `at`, becomes this installation. Raises BackupError."""
    store = ObjectStore.open(folder)
    data_dir = Path(settings.DATA_DIR)
    with store.locked():
        manifest = _find(store, at)
        _require_fitting(manifest)
        _require_empty_site(data_dir, manifest)
        say(f"verifying {manifest.size / 1e6:,.0f} MB of the backup {manifest.name}")
        _require_whole(store, manifest)
        with one_sentence("the restore is not finished and can be started again", data_dir):
            free = shutil.disk_usage(data_dir).free
            if free < manifest.size:
                raise BackupError(
                    f"{data_dir} has {free / 1e9:.1f} GB free, and the backup needs {manifest.size / 1e9:.1f} GB."
                )
            write_json_atomically(data_dir / RESTORE_MARKER, manifest.name)
            say("writing the files")
            places = _write_files(store, manifest, data_dir)
            say("loading the database")
            load_database(store.path(manifest.database.sha256))
            _compare(manifest)
            waiting = _settle(manifest, places, data_dir)
            os.sync()
            (data_dir / RESTORE_MARKER).unlink()
    return RestoredSite(
        manifest=manifest,
        waiting_runs=waiting,
        missing_migrations=len(_known_migrations() - set(manifest.database.migrations)),
        with_secret_key=manifest.has_secret_key,
    )


def _find(store: ObjectStore, at: str | None) -> Manifest:
    if at is not None:
        return read_manifest(store, at)
    newest = newest_manifest(store)
    if newest is None:
        raise BackupError(f"{store.folder} holds no backup.")
    return newest


def _known_migrations() -> set[str]:
    """app.name of this version's migrations, and of those they replace."""
    return {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}


def _require_fitting(manifest: Manifest) -> None:
    vendor = manifest.database.vendor
    if vendor != connection.vendor:
        how = "set ROUNDTABLE_DATABASE_URL" if vendor == "postgresql" else "unset ROUNDTABLE_DATABASE_URL"
        raise BackupError(
            f"The backup {manifest.name} is of {NAMES.get(vendor, vendor)} and this site uses "
            f"{NAMES[connection.vendor]}: {how}; a backup is restored into the database it came from."
        )
    if newer := sorted(set(manifest.database.migrations) - _known_migrations() - _of_other_apps(manifest)):
        raise BackupError(
            f"The backup {manifest.name} was made by a newer version of the program ({manifest.version}; this one does "
            f"not know {newer[0]}): restore it with that version."
        )
    require_client_programs()


def _of_other_apps(manifest: Manifest) -> set[str]:
    """Migrations of packages that are not ours: another release of theirs is no other version of ours."""
    own = {"workspace", "runs", "annotation", "rewardmodel", "policy_training", "events", "rounds"}
    return {name for name in manifest.database.migrations if name.split(".", 1)[0] not in own}


def _require_empty_site(data_dir: Path, manifest: Manifest) -> None:
    marker = data_dir / RESTORE_MARKER
    if marker.is_file():
        # Of an interrupted restore: what is there came from a backup, and is written again.
        begun = json.loads(marker.read_text() or "null")
        if begun != manifest.name:
            raise BackupError(
                f"A restore of {begun} into {data_dir} is not finished: start it again (--at {begun}), or empty the "
                "data folder and the database."
            )
        if connection.vendor == "sqlite":
            return
    else:
        for path in sorted(data_dir.iterdir()):
            empty_folder = path.is_dir() and not any(path.iterdir())
            if path.name in OF_AN_EMPTY_SITE or path.name.startswith(DATABASE_FILE) or empty_folder:
                continue
            raise BackupError(
                f"The data folder {data_dir} is not empty ({path.name}): nothing is overwritten. Name an empty one "
                "(ROUNDTABLE_DATA_DIR)."
            )
    try:
        require_empty_database()
    except BackupError:
        # The database was loaded whole, and the restore was interrupted after it.
        if not (marker.is_file() and _loaded(manifest)):
            raise


def _loaded(manifest: Manifest) -> bool:
    return describe_database(query_database).rows == manifest.database.rows


def _require_whole(store: ObjectStore, manifest: Manifest) -> None:
    faults = verify_backup(store, manifest)
    if not faults:
        fault = dump_fault(manifest.database.vendor, store.path(manifest.database.sha256))
        faults = [fault] if fault else []
    if faults:
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise BackupError(
            f"The backup is damaged and was not restored: {faults[0]}{more}. Restore another one (--list names them)."
        )


def _write_files(store: ObjectStore, manifest: Manifest, data_dir: Path) -> dict[str, str]:
    """All files; the answer is where folders lay before -> where they lie below DATA_DIR now."""
    for stored in manifest.files:
        _write_file(store, stored, data_dir / stored.path)
    places = {manifest.data_dir: ""}
    for folder in manifest.outside:
        name = f"models/{Path(folder.path).name}-{folder.artifact}"
        places[folder.path] = name
        for stored in folder.files:
            _write_file(store, stored, data_dir / name if folder.is_file else data_dir / name / stored.path)
    return places


def _write_file(store: ObjectStore, stored: StoredFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with open(store.path(stored.sha256), "rb") as source, private_file(target) as writing:
        shutil.copyfileobj(source, writing, 1024 * 1024)
    # As it was, but for the key: it is its owner's alone, however it was kept before.
    target.chmod(0o600 if stored.path == SECRET_KEY_FILE else stored.mode)
    os.utime(target, ns=(stored.mtime_ns, stored.mtime_ns))


def _compare(manifest: Manifest) -> None:
    """Raises BackupError unless the database has the rows, migrations and triggers that it had."""
    found, expected = describe_database(query_database), manifest.database
    if found.rows != expected.rows:
        table = next(
            name
            for name in sorted({*found.rows, *expected.rows})
            if found.rows.get(name) != expected.rows.get(name)
        )
        raise BackupError(
            f"The restored database is not the one of the backup: {table} has {found.rows.get(table)} rows, not "
            f"{expected.rows.get(table)}."
        )
    if missing := sorted(set(expected.triggers) - set(found.triggers)):
        raise BackupError(f"The restored database lacks the trigger {missing[0]}.")


def _settle(manifest: Manifest, places: Mapping[str, str], data_dir: Path) -> int:
    """What the rows and run directories say of the place and machine they came from; how many runs wait."""
    new_paths = {folder.path: places[folder.path] for folder in manifest.outside}
    for directory, fence in Run.objects.values_list("directory", "fence"):
        _write_fence(data_dir / "runs" / directory, fence)
    _record_former_places(data_dir, places)
    with transaction.atomic():
        for folder in manifest.outside:
            Artifact.objects.filter(pk=folder.artifact).update(path=new_paths[folder.path])
        for pk, config in Run.objects.values_list("pk", "config") if new_paths else []:
            moved = replace_paths(config, new_paths)
            if moved != config:
                Run.objects.filter(pk=pk).update(config=moved)
        # Columns by name, here and above: the backup may be of a version that had fewer.
        for run in Run.objects.running().only("state", "fence", "attempt", "error"):
            # Its process, if it still lives, is of the site that was left: not this one's to end.
            requeue(run, seconds=0, error=run.error, count_attempt=False)
        Run.objects.exclude(pid=None).update(pid=None, process_identity="")
        Worker.objects.filter(stopped_at=None).update(stopped_at=Now(), current_run=None)
    return Run.objects.filter(state=RunState.QUEUED).count()


def _write_fence(folder: Path, fence: int) -> None:
    """The number of the database's moment: an attempt that began while the backup was made is not of this site."""
    if (folder / "fence").is_file():
        (folder / "fence").unlink()
        try:
            RunDirectory(folder).write_fence(fence)
        except StaleFence as error:  # nothing else writes here
            raise BackupError(f"{folder} is in use.") from error


def _record_former_places(data_dir: Path, places: Mapping[str, str]) -> None:
    """Configurations in run directories are never edited; with this file they are read as of here."""
    path = data_dir / FORMER_PLACES
    earlier: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    write_json_atomically(path, earlier | dict(places))
    sync_path(data_dir)
