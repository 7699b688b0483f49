"""Content hashes of what lies on disk, and how its place is written down."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from runs.errors import BadArtifact

CHUNK_BYTES = 8 * 1024 * 1024


# A file written so shortly ago may be written again without a sign: clocks of file systems tick this coarsely.
MIN_SECONDS_UNCHANGED = 10.0


@dataclass(frozen=True)
class Digest:
    sha256: str
    size_bytes: int


@dataclass
class FileHashes:
    """What this process has read before, so that a model used several times in a row is read once.

    A file is known by its place, device, inode, size and both of its times. The time of change (ctime) is the
    kernel's own: restoring a file's modification time after another content was written does not restore it.
    """

    known: dict[tuple[str, int, int, int, int, int], Digest] = field(default_factory=dict)

    def hash_file(self, path: Path, on_bytes: Callable[[int], None]) -> Digest:
        key = self._key(path)
        if key in self.known:
            on_bytes(self.known[key].size_bytes)
            return self.known[key]
        digest = _hash_file(path, on_bytes)
        is_settled = time.time() - max(path.stat().st_ctime, path.stat().st_mtime) > MIN_SECONDS_UNCHANGED
        if is_settled and self._key(path) == key:
            self.known[key] = digest
        return digest

    @staticmethod
    def _key(path: Path) -> tuple[str, int, int, int, int, int]:
        found = path.stat()
        return (
            str(path.resolve()),
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
        )


def hash_path(
    path: Path, *, hashes: FileHashes | None = None, on_bytes: Callable[[int], None] = lambda count: None
) -> Digest:
    """sha256 and size of a file, or of a folder.

    A folder's hash is taken over the sorted lines `<sha256 of the file>  <relative name>\\n` of all files
    in it, so that `find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum` gives the
    same. `on_bytes` hears of each part that was read, and may raise to end it. Without `hashes` every byte is read.
    Raises BadArtifact when nothing is there.
    """
    hash_file = hashes.hash_file if hashes is not None else _hash_file
    if path.is_file():
        return hash_file(path, on_bytes)
    files = sorted(files_below(path), key=lambda file: file.relative_to(path).as_posix())
    lines, size_bytes = hashlib.sha256(), 0
    for file in files:
        digest = hash_file(file, on_bytes)
        lines.update(f"{digest.sha256}  {file.relative_to(path).as_posix()}\n".encode())
        size_bytes += digest.size_bytes
    return Digest(lines.hexdigest(), size_bytes)


def size_of_path(path: Path) -> int:
    """Bytes of a file, or of all files in a folder. Raises BadArtifact when nothing is there."""
    files = [path] if path.is_file() else files_below(path)
    return sum(file.stat().st_size for file in files)


def files_below(path: Path) -> list[Path]:
    """All files in a folder. Raises BadArtifact when there are none."""
    files = [file for file in path.rglob("*") if file.is_file()]
    if not files:
        raise BadArtifact(f"There is nothing at {path}: give the folder or file that was written.")
    return files


def _hash_file(path: Path, on_bytes: Callable[[int], None]) -> Digest:
    content, size_bytes = hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            content.update(chunk)
            size_bytes += len(chunk)
            on_bytes(len(chunk))
    return Digest(content.hexdigest(), size_bytes)


def relative_to_data_dir(path: Path) -> str:
    """Relative to DATA_DIR where possible, so that a restored installation may live elsewhere."""
    absolute = path.resolve()
    root = Path(settings.DATA_DIR).resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)
