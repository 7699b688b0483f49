"""Reading files of a folder that another process may write: a link, a pipe or a device in a file's place is refused.

`open` follows a link to wherever it leads, and waits at a pipe until somebody writes into it.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotAPlainFile(OSError):
    """A link, a pipe, a device or a folder stands where a file should."""


def open_plain(path: Path) -> BinaryIO:
    """The file itself, open for reading. Raises NotAPlainFile, and FileNotFoundError and its like as `open` does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise NotAPlainFile(f"{path}: a link, and not a file; remove it") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAPlainFile(f"{path}: not a plain file; remove it")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def is_plain_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def read_tail(path: Path, limit: int) -> bytes:
    """The last `limit` bytes of a file."""
    with open_plain(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
        return file.read(limit)
