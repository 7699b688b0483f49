"""The files of DATA_DIR that a backup takes, copied while the site and its runs write.

Left out: what is made again (static files, folders of running scorers), what is being written (temporary names,
downloads), what is handed over (tokens of pushes), locks, the database's own files (the backup has a dump of it), and
the secret key unless it is asked for.

A run's folder is read so that the copy can be resumed: checkpoints first, each whole or not at all, then the logs,
which are thereby at least as long as a checkpoint says, then fence and status.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from maintenance.backups.errors import BackupError
from maintenance.backups.manifest import StoredFile
from maintenance.backups.object_store import ObjectStore

SECRET_KEY_FILE = "secret_key"
RESTORE_MARKER = ".restoring"
NOT_TAKEN = frozenset({"static", "scorers", "downloads", "handover", RESTORE_MARKER})
# A file that was written a moment before it was read may be written again without a new time.
RACY_NS = 2_000_000_000
MAX_TRIES = 20
Progress = Callable[[str], None]


def is_left_out(path: PurePosixPath) -> bool:
    """Whether a path below DATA_DIR is of a kind that no backup takes."""
    parts = path.parts
    if parts[0] in NOT_TAKEN or (len(parts) == 1 and _is_database_file(parts[0])):
        return True
    if len(parts) > 1 and parts[0] in ("runs", "datasets", "models") and _is_temporary(parts[1]):
        return True
    if parts[0] == "runs" and len(parts) == 3:
        return parts[2] == "lock" or _is_temporary(parts[2])
    return parts[0] == "runs" and len(parts) > 3 and parts[2] == "checkpoints" and parts[3].startswith("tmp-")


def _is_database_file(name: str) -> bool:
    return name.startswith("roundtable.sqlite3")


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith((".tmp", ".partial"))


class FolderCopy:
    """Copies files into the store; what has the size and time of the last backup is not read again."""

    def __init__(
        self, store: ObjectStore, root: Path, *, known: Mapping[str, StoredFile], say: Progress
    ) -> None:
        self.store, self.root, self.say = store, root, say
        self.known = dict(known)
        self.bytes_copied = self.files_copied = 0
        self._said_at = time.monotonic()
        self._began_ns = time.time_ns()

    def copy_data_folder(self, *, with_secret_key: bool) -> dict[str, StoredFile]:
        """All of it as it is now. Call it again, and what has not changed since is not read again."""
        self._began_ns = time.time_ns()
        found: dict[str, StoredFile] = {}
        runs = self.root / "runs"
        for path in self._walk(self.root, PurePosixPath()):
            if path.parts[0] == "runs" or (path.parts == (SECRET_KEY_FILE,) and not with_secret_key):
                continue
            self._copy(path, found)
        for folder in sorted(runs.iterdir()) if runs.is_dir() else []:
            name = PurePosixPath("runs", folder.name)
            if not is_left_out(name):
                if folder.is_dir():
                    self._copy_run(name, found)
                else:
                    self._copy(name, found)
        self.known |= found
        return found

    def copy_folder(self) -> tuple[StoredFile, ...]:
        """All files of a folder that is not DATA_DIR, or the one file."""
        found: dict[str, StoredFile] = {}
        if self.root.is_file():
            self.root, name = self.root.parent, self.root.name
            self._copy(PurePosixPath(name), found)
            return tuple(found.values())
        for path in self._walk(self.root, PurePosixPath(), everything=True):
            self._copy(path, found)
        return tuple(found.values())

    def _copy_run(self, run: PurePosixPath, found: dict[str, StoredFile]) -> None:
        for _ in range(MAX_TRIES):
            checkpoints: dict[str, StoredFile] = {}
            for path in self._walk(self.root / run / "checkpoints", run / "checkpoints"):
                self._copy(path, checkpoints)
            whole = self._whole_checkpoints(run, checkpoints)
            # The trainer drops old checkpoints as it writes new ones, also under the hands of this copy.
            if whole or not any((self.root / run).glob("checkpoints/step-*/complete.json")):
                break
        else:
            raise BackupError(f"{self.root / run} changes faster than it can be copied: try again.")
        found.update(whole)
        rest = [path for path in self._walk(self.root / run, run) if path.parts[2] != "checkpoints"]
        rest.sort(key=lambda path: (len(path.parts) == 3 and path.name in ("fence", "status.json"), path))
        for path in rest:
            self._copy(path, found)

    def _whole_checkpoints(
        self, run: PurePosixPath, copied: Mapping[str, StoredFile]
    ) -> dict[str, StoredFile]:
        """Those whose every file is what complete.json says it is (learning/checkpoints.py writes it last)."""
        whole: dict[str, StoredFile] = {}
        for name, complete in copied.items():
            path = PurePosixPath(name)
            if path.name != "complete.json" or len(path.parts) != 5:
                continue
            try:
                named = json.loads(self.store.path(complete.sha256).read_bytes())["files"]
                files = {str(path.parent / own): entry["sha256"] for own, entry in named.items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            if all(own in copied and copied[own].sha256 == sha256 for own, sha256 in files.items()):
                whole |= {own: copied[own] for own in [name, *files]}
        return whole

    def _copy(self, path: PurePosixPath, found: dict[str, StoredFile]) -> None:
        """One that has gone meanwhile is left out: whether it is needed is known when the database was read."""
        source = self.root / path
        try:
            state = source.stat()
            earlier = self.known.get(str(path))
            if (
                earlier is not None
                and (earlier.size, earlier.mtime_ns) == (state.st_size, state.st_mtime_ns)
                and state.st_mtime_ns < self._began_ns - RACY_NS
                and self.store.fault(earlier.sha256, earlier.size, read=False) is None
            ):
                content_sha256, size = earlier.sha256, earlier.size
            else:
                content = self.store.put(source)
                content_sha256, size = content.sha256, content.size
                self.bytes_copied += size
                self.files_copied += 1
        except (FileNotFoundError, NotADirectoryError):
            return
        found[str(path)] = StoredFile(
            path=str(path),
            sha256=content_sha256,
            size=size,
            mtime_ns=state.st_mtime_ns,
            mode=state.st_mode & 0o777,
        )
        if time.monotonic() - self._said_at > 5:
            self._said_at = time.monotonic()
            self.say(f"{self.files_copied} files, {self.bytes_copied / 1e6:.0f} MB copied; now {path}")

    def _walk(
        self, folder: Path, name: PurePosixPath, *, everything: bool = False, above: tuple[str, ...] = ()
    ) -> Iterator[PurePosixPath]:
        """Files below `folder`, links followed, sorted; `name` is the folder's own name below the root."""
        place = os.path.realpath(folder)
        if place in above or Path(place) == self.store.folder:
            return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            path = name / entry.name
            if not everything and is_left_out(path):
                continue
            if entry.is_dir():
                yield from self._walk(Path(entry.path), path, everything=everything, above=(*above, place))
            elif entry.is_file():
                yield path
