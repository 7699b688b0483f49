"""What one import reads: a file, several, or a folder of them, as one sequence of numbered rows.

A folder is read as its data files, in order of their names, with its subfolders; one saved by `datasets` as its splits.
Splits that the folder or the names of the files publish (train, validation, test) go with the rows that name none.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annotation.importing.report import ImportRefused
from annotation.importing.rows import NumberedRow, row_number
from annotation.importing.source_files import read_rows
from annotation.importing.watching import ROWS_PER_LOOK, current_watch
from annotation.text import safe_excerpt
from learning.interface.vocabulary import TEST, TRAIN, VALIDATION

DATA_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow")
# Beside the data of a folder, and no data.
_SIDE_FILES = re.compile(
    r"readme.*|licen[cs]e.*|copying.*|.*\.md|.*\.py|.*\.svg|.*\.png|manifest\.json|dataset_infos?\.json|dataset_dict\.json|state\.json",
    re.IGNORECASE,
)
_SPLIT_NAMES = {
    TRAIN: ("train", "training"),
    VALIDATION: ("validation", "valid", "val", "dev"),
    TEST: ("test", "testing", "eval", "evaluation"),
}


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    path: Path
    name: str  # as reports call it
    split: str | None = None  # of its rows that name none


@dataclass(frozen=True, kw_only=True)
class Source:
    """The files of one import. The number of a row says its file and its line (`rows.locate`)."""

    name: str
    files: tuple[SourceFile, ...]

    def rows(self, read: Callable[[Path], Iterator[NumberedRow]] = read_rows) -> Iterator[NumberedRow]:
        watch = current_watch()
        watch.begin("checking rows", watch.rows_expected)
        number = 0
        for index, file in enumerate(self.files):
            for line, row in read(file.path):
                number += 1
                if number % ROWS_PER_LOOK == 0:
                    watch.advance(ROWS_PER_LOOK)
                if file.split is not None and isinstance(row, dict) and row.get("split") is None:
                    row = row | {"split": file.split}
                yield row_number(index, line), row

    @property
    def publishes_splits(self) -> bool:
        return any(file.split is not None for file in self.files)


def open_source(paths: Path | Sequence[Path] | Source, *, other_suffixes: Sequence[str] = ()) -> Source:
    """The files behind these paths. Raises ImportRefused for a folder without data, or with files that are neither data
    nor known to be something else.
    """
    if isinstance(paths, Source):
        return paths
    given = [paths] if isinstance(paths, Path) else list(paths)
    files = [file for path in given for file in _files_of(path, other_suffixes)]
    if len(files) > 1:
        _reject_repeated(files)
        files = with_published_splits(files)
    first = safe_excerpt(given[0].name or given[0].resolve().name)
    name = first if len(given) == 1 else f"{first} and {len(given) - 1} more"
    return Source(name=name, files=tuple(files))


def _reject_repeated(files: Sequence[SourceFile]) -> None:
    seen: set[Path] = set()
    for file in files:
        path = file.path.resolve()
        if path in seen:
            raise ImportRefused(f"{file.name} is named twice: name it once.", code="file_twice")
        seen.add(path)


def _files_of(path: Path, other_suffixes: Sequence[str]) -> list[SourceFile]:
    try:
        if not path.is_dir():
            return [SourceFile(path=path, name=safe_excerpt(path.name))]
        if (path / "dataset_dict.json").is_file():
            splits = _read_json(path / "dataset_dict.json").get("splits", [])
            return [file for split in splits for file in _saved_dataset(_inside(path, str(split)), path.name)]
        if (path / "state.json").is_file():
            return _saved_dataset(path, "")
        return _plain_folder(path, other_suffixes)
    except OSError as error:
        raise ImportRefused(
            f"{safe_excerpt(str(path))} cannot be read: {error.strerror or error}.", code="unreadable"
        ) from error


def _saved_dataset(folder: Path, inside: str) -> list[SourceFile]:
    """The files of a Dataset that was saved to disk, by its state.json."""
    listed = _read_json(folder / "state.json").get("_data_files", [])
    names = [str(file.get("filename")) for file in listed if isinstance(file, dict)]
    if not names:
        raise ImportRefused(f"{safe_excerpt(str(folder))} is a saved dataset without files.", code="no_rows")
    prefix = f"{inside}/{folder.name}" if inside else folder.name
    return [SourceFile(path=_inside(folder, name), name=safe_excerpt(f"{prefix}/{name}")) for name in names]


def _inside(folder: Path, name: str) -> Path:
    """What a saved dataset names lies in its folder: a file from elsewhere may name anything of this machine."""
    if name in ("", ".", "..") or Path(name).name != name:
        raise ImportRefused(
            f"{safe_excerpt(str(folder))} names a file outside of it ({safe_excerpt(name)}): save the dataset again.",
            code="damaged",
        )
    return folder / name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ImportRefused(f"{safe_excerpt(str(path))} is damaged: save the dataset again.", code="damaged")
    return found


def _plain_folder(folder: Path, other_suffixes: Sequence[str]) -> list[SourceFile]:
    files, unknown = [], []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or path.is_dir():
            continue
        name = safe_excerpt(f"{folder.name}/{inside}")
        if _SIDE_FILES.fullmatch(path.name):
            continue
        if path.name.lower().removesuffix(".gz").endswith((*DATA_SUFFIXES, *other_suffixes)):
            files.append(SourceFile(path=path, name=name))
        else:
            unknown.append(name)
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise ImportRefused(
            f"{unknown[0]}{more} in the folder {safe_excerpt(str(folder))} is no file that is read "
            f"({', '.join((*DATA_SUFFIXES, *other_suffixes))}): move it, or name the files to read.",
            code="wrong_kind_of_file",
        )
    if not files:
        raise ImportRefused(f"The folder {safe_excerpt(str(folder))} has no data files.", code="no_rows")
    return files


def with_published_splits(files: list[SourceFile]) -> list[SourceFile]:
    """Of several files, with the splits of their names, if every name has one and they are not all the same."""
    splits = [find_split(file.name) for file in files]
    if None in splits or len(set(splits)) == 1:
        return files
    return [replace(file, split=split) for file, split in zip(files, splits, strict=True)]


def find_split(name: str) -> str | None:
    """The split that a file or folder name says, as the `datasets` library reads it: the last word that is one."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    for word in reversed(words):
        for split, names in _SPLIT_NAMES.items():
            if re.sub(r"\d+$", "", word) in names:
                return split
    return None
