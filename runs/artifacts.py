"""Content hashes of what lies on disk, and how its place is written down."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from runs.errors import BadArtifact

CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Digest:
    sha256: str
    size_bytes: int


def hash_path(path: Path) -> Digest:
    """sha256 and size of a file, or of a folder.

    A folder's hash is taken over the sorted lines `<sha256 of the file>  <relative name>\\n` of all files
    in it, so that `find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum` gives the
    same. Raises BadArtifact when nothing is there.
    """
    if path.is_file():
        return _hash_file(path)
    files = sorted(_files_below(path), key=lambda file: file.relative_to(path).as_posix())
    lines, size_bytes = hashlib.sha256(), 0
    for file in files:
        digest = _hash_file(file)
        lines.update(f"{digest.sha256}  {file.relative_to(path).as_posix()}\n".encode())
        size_bytes += digest.size_bytes
    return Digest(lines.hexdigest(), size_bytes)


def size_of_path(path: Path) -> int:
    """Bytes of a file, or of all files in a folder. Raises BadArtifact when nothing is there."""
    files = [path] if path.is_file() else _files_below(path)
    return sum(file.stat().st_size for file in files)


def _files_below(path: Path) -> list[Path]:
    files = [file for file in path.rglob("*") if file.is_file()]
    if not files:
        raise BadArtifact(f"There is nothing at {path}: give the folder or file that was written.")
    return files


def _hash_file(path: Path) -> Digest:
    content, size_bytes = hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            content.update(chunk)
            size_bytes += len(chunk)
    return Digest(content.hexdigest(), size_bytes)


def relative_to_data_dir(path: Path) -> str:
    """Relative to DATA_DIR where possible, so that a restored installation may live elsewhere."""
    absolute = path.resolve()
    root = Path(settings.DATA_DIR).resolve()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)
