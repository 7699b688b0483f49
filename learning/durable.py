"""Files that are there whole or not at all, also after the power went."""

import errno
import json
import os
from pathlib import Path
from typing import Any

# No room: the disk, the user's quota, or the largest file this process may write.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_no_room(error: BaseException) -> bool:
    """Whether the error says that there was no room to write.

    safetensors is Rust and raises its own class, with the number of the system's error in the text.
    """
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return True
    return any(f"(os error {number})" in str(error) for number in _NO_ROOM)


def write_json_atomically(path: Path, value: Any, *, sync: bool = True) -> None:
    """Write to a temporary name, sync, rename. Without `sync` the file may be old, but never torn, after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n")
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if sync:
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make renames in the folder last."""
    sync_file(path)
