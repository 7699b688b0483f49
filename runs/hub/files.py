"""Files that go out together, to the Hub or as an archive: from a folder, some made on the way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from learning.interface.options import UserError
from workspace.zip_stream import ZipStream


@dataclass(frozen=True)
class HubFile:
    name: str  # in the repository
    content: Path | bytes

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def files_of_folder(folder: Path, replaced: Mapping[str, bytes] | None = None) -> list[HubFile]:
    """Every file below it under its name there, in order; `replaced` stand for, or beside, those of these names.

    Hidden files stay. Raises UserError where there is none.
    """
    found: dict[str, HubFile] = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            found[inside.as_posix()] = HubFile(inside.as_posix(), path)
    if not found:
        raise UserError(f"There is nothing at {folder}: a backup has it.")
    for name, content in (replaced or {}).items():
        found[name] = HubFile(name, content)
    return [found[name] for name in sorted(found)]


def archive_of(files: Sequence[HubFile], folder: str) -> Iterator[bytes]:
    """A zip archive with one folder, as it is made; equal files give equal bytes."""
    archive = ZipStream(folder)
    for file in files:
        if isinstance(file.content, bytes):
            yield from archive.add_text(file.content.decode(), file.name)
        else:
            yield from archive.add_file(file.content, file.name)
    yield from archive.finish()
