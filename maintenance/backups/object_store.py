"""The folder of backups: every content once, under its sha256, and one small file for each backup.

    roundtable-backups.json     says what this folder is
    objects/ab/abcdef...        a file's content; several backups share it
    backups/NAME.json           a backup: which content lies where (maintenance.backups.manifest); written last
    lock                        held by whoever writes here
    tmp/                        what is being written; of an interrupted backup, cleared by the next one

All of it is readable by its owner alone: the database holds password hashes.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from learning.interface.atomic_files import is_disk_full
from maintenance.backups.errors import BackupError

FORMAT = 1
MARKER = "roundtable-backups.json"
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class StoredContent:
    sha256: str
    size: int


class ObjectStore:
    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.backups = self.folder / "backups"
        self.temporary = self.folder / "tmp"
        self._objects = self.folder / "objects"

    @classmethod
    def open(cls, folder: Path) -> "ObjectStore":
        """A folder that has backups. Raises BackupError."""
        store = cls(folder)
        try:
            found = json.loads((store.folder / MARKER).read_text())["format"]
        except FileNotFoundError as error:
            raise BackupError(f"{folder} holds no backups (there is no {MARKER} in it).") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{store.folder / MARKER} cannot be read: {error}.") from error
        if found != FORMAT:
            raise BackupError(f"{folder} was written by another version of the program (format {found}).")
        return store

    @classmethod
    def create(cls, folder: Path) -> "ObjectStore":
        """The folder, made where it is missing. Raises BackupError for one that is in use for something else."""
        store = cls(folder)
        if not (store.folder / MARKER).exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise BackupError(
                    f"{folder} is not empty and holds no backups: name a folder that is for backups alone."
                )
            store.folder.mkdir(parents=True, exist_ok=True)
            store.folder.chmod(0o700)
            with private_file(store.folder / MARKER) as file:
                file.write(json.dumps({"format": FORMAT}).encode() + b"\n")
        for part in (store.backups, store._objects, store.temporary):
            part.mkdir(mode=0o700, exist_ok=True)
        return cls.open(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who works with this folder. Raises BackupError when somebody else does."""
        try:
            lock = private_file(self.folder / "lock", exclusive=False)
        except OSError as error:
            raise BackupError(f"{self.folder} cannot be written: {error.strerror}.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackupError(
                    f"Another backup or restore works in {self.folder}: wait until it has ended."
                ) from error
            yield

    @contextmanager
    def temporary_folder(self) -> Iterator[Path]:
        """For what is being written. What an interrupted backup left is cleared first; under the lock only."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(mode=0o700)
        try:
            yield self.temporary
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def path(self, sha256: str) -> Path:
        return self._objects / sha256[:2] / sha256

    def put(self, source: Path) -> StoredContent:
        """Take in a file's content as it is read now. Raises OSError; FileNotFoundError when it has just gone."""
        target = self.temporary / uuid.uuid4().hex
        digest, size = hashlib.sha256(), 0
        try:
            with open(source, "rb") as reading, private_file(target) as writing:
                while chunk := reading.read(CHUNK_BYTES):
                    digest.update(chunk)
                    writing.write(chunk)
                    size += len(chunk)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return self._take(target, StoredContent(digest.hexdigest(), size))

    def adopt(self, written: Path) -> StoredContent:
        """Take in a file of the temporary folder, without copying it."""
        return self._take(written, StoredContent(sha256_of(written), written.stat().st_size))

    def _take(self, written: Path, content: StoredContent) -> StoredContent:
        target = self.path(content.sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        # Also over one that is there: it may have been damaged since, and this one was just read.
        os.replace(written, target)
        return content

    def fault(self, sha256: str, size: int, *, read: bool = True) -> str | None:
        """Why this content cannot be had from here; None when it is there and (with `read`) unchanged."""
        path = self.path(sha256)
        try:
            if path.stat().st_size != size:
                return f"has {path.stat().st_size} bytes, not {size}"
            if read and sha256_of(path) != sha256:
                return "was changed (sha256)"
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror or error})"
        return None

    def sweep(self, used: Collection[str]) -> tuple[int, int]:
        """Remove content that no backup names; how many files and bytes. Under the lock only."""
        removed = freed = 0
        for path in self._objects.glob("??/*"):
            if path.name not in used:
                freed += path.stat().st_size
                path.unlink()
                removed += 1
        return removed, freed


def private_file(path: Path, *, exclusive: bool = True) -> IO[bytes]:
    """A file that only its owner may read, opened to be written."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if exclusive else 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def one_sentence(what: str, where: Path, tidy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """A disk that is full, read-only or not writable as a BackupError that names what was not done."""
    try:
        yield
    except OSError as error:
        tidy()
        if is_disk_full(error):
            raise BackupError(f"The disk of {where} is full: {what}. Make room and start again.") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise BackupError(f"{where} cannot be written ({error.strerror}): {what}.") from error
        raise
