"""Files and folders that are written atomically: under a temporary name, synced, renamed."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

# The disk is full, or the user's quota, or the file has reached the largest size this process may write.
_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_disk_full(error: BaseException) -> bool:
    """Whether the error says that there was no room to write.

    safetensors is Rust and raises its own class, with the number of the system's error in the text.
    """
    if isinstance(error, OSError) and error.errno in _DISK_FULL_ERRORS:
        return True
    return any(f"(os error {number})" in str(error) for number in _DISK_FULL_ERRORS)


@contextmanager
def atomic_file(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` when the block ends without an error.

    Without `sync` the file may be the old one after a crash of the machine, but never a torn one.
    """
    temporary = _temporary_path(path)
    try:
        with open(temporary, "wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if sync:
        sync_path(path.parent)


def write_json_atomically(path: Path, value: Any, *, sync: bool = True) -> None:
    with atomic_file(path, sync=sync) as file:
        file.write(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `path` when the block ends without an error.

    Files written by the block are synced by whoever writes them.
    """
    temporary = _temporary_path(path)
    shutil.rmtree(temporary, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.mkdir()
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        os.rename(temporary, path)
        sync_path(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync_path(path: Path) -> None:
    """Make what was written to the file safe from a crash; of a folder, the names in it (renames)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
