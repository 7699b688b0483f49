"""What form a file has, told by its content (CSV, which has no mark of its own, by its name), or why it is not read."""

import gzip
import io
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from annotation.importing.report import ImportRefused
from annotation.text import safe_excerpt

# A decompression bomb: more than this in all, and more than this many times the file.
MAX_DECOMPRESSED_BYTES = 2 * 1024**3
MAX_DECOMPRESSION_RATIO = 200
GZIP_MARK = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ACCEPTED = "JSON Lines, a JSON array, CSV (all also gzip-compressed), Parquet, and folders saved by datasets"
CSV_SUFFIXES = (".csv", ".tsv")
_BEGINNING = 512

PARQUET, ARROW, CSV, JSON_ARRAY, JSON_LINES = "parquet", "arrow", "csv", "json array", "json lines"

# (how the file begins, what it is, what to do)
_UNREAD_FORMS = (
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd (.zst)", "unpack it first (zstd -d)"),
    (b"\xfd7zXZ\x00", "is compressed with xz (.xz)", "unpack it first (xz -d)"),
    (b"BZh91AY&SY", "is compressed with bzip2 (.bz2)", "unpack it first (bzip2 -d)"),
    (b"\x04\x22\x4d\x18", "is compressed with lz4 (.lz4)", "unpack it first (lz4 -d)"),
    (b"PK\x03\x04", "is a zip archive, or an Excel or OpenDocument file", "unpack it, or save the sheet as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", "unpack it first"),
    (b"\xd0\xcf\x11\xe0", "is an older Office file", "save the sheet as CSV"),
    (b"SQLite format 3\x00", "is an SQLite database", "export its table as CSV"),
    (b"version https://git-lfs", "is only the pointer of Git LFS to the file", "get the file itself (git lfs pull)"),
    (b"%PDF", "is a PDF file", "save its rows as JSON Lines or CSV"),
    (b"ARROW1\x00\x00", "is an Arrow file in the random-access form", "save it as Parquet"),
    (b"\x80\x04", "is a Python pickle, which is not safe to open", "save it as JSON Lines or Parquet"),
    (b"\x80\x05", "is a Python pickle, which is not safe to open", "save it as JSON Lines or Parquet"),
    (b"\xff\xfe", "is UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16 text", "save it as UTF-8"),
    (b"<", "is HTML or XML", "save its rows as JSON Lines or CSV"),
)  # fmt: skip


def find_form(path: Path) -> tuple[str, bool]:
    """(form, whether it is gzip-compressed). Raises ImportRefused for what is not read, by its name."""
    beginning = _read_beginning(path)
    compressed = beginning.startswith(GZIP_MARK)
    if compressed:
        with open_unpacked(path, compressed=True) as file:
            beginning = file.read(_BEGINNING)
    name = safe_excerpt(str(path))
    if beginning[:4] == b"PAR1":
        if compressed:
            raise ImportRefused(
                f"{name} is a gzip-compressed Parquet file: unpack it first.", code="wrong_kind_of_file"
            )
        return PARQUET, False
    if beginning[:4] == b"\xff\xff\xff\xff" and not compressed:
        return ARROW, False
    start = beginning.removeprefix(BYTE_ORDER_MARK).lstrip()
    for mark, what, remedy in _UNREAD_FORMS:
        if (start if mark == b"<" else beginning).startswith(mark):
            raise ImportRefused(
                f"{name} {what}, which is not read: {remedy}. Read are {ACCEPTED}.", code="wrong_kind_of_file"
            )
    if beginning[257:262] == b"ustar":
        raise ImportRefused(
            f"{name} is a tar archive, which is not read: unpack it first, and name its folder or files.",
            code="wrong_kind_of_file",
        )
    if re.match(rb"\[\s*(\{|\]|$)", start):
        return JSON_ARRAY, compressed
    if _has_csv_name(path):
        return CSV, compressed
    if re.match(rb"\{\s*\n", start):
        raise ImportRefused(
            f"{name} is JSON over several lines that is no list: one object a line, or one list of objects, is read.",
            code="wrong_kind_of_file",
        )
    if path.suffix.lower() in (".parquet", ".xlsx", ".zip", ".arrow") and start[:1] != b"{":
        raise ImportRefused(
            f"{name} is not what its name says; read are {ACCEPTED}.", code="wrong_kind_of_file"
        )
    return JSON_LINES, compressed


def _has_csv_name(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(CSV_SUFFIXES)


def is_tab_separated(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".tsv")


def _read_beginning(path: Path) -> bytes:
    name = safe_excerpt(str(path))
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImportRefused(
                f"{name} is a folder: name one file in it ({ACCEPTED}).",
                code="is_a_folder",
            )
        if not stat.S_ISREG(mode):
            # It is opened twice, and what a pipe has given it never gives again.
            raise ImportRefused(
                f"{name} is a pipe or a device: save its rows in a file and name that.",
                code="no_regular_file",
            )
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except FileNotFoundError as error:
        raise ImportRefused(f"There is no file {name}: check the name.", code="no_file") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not beginning:
        raise ImportRefused(f"{name} is empty: nothing to import.", code="no_rows")
    return beginning


def unreadable(path: Path, error: OSError) -> ImportRefused:
    return ImportRefused(
        f"{safe_excerpt(str(path))} cannot be read: {error.strerror or error}.", code="unreadable"
    )


@contextmanager
def open_unpacked(path: Path, *, compressed: bool) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked. Whatever goes wrong while they are read is an ImportRefused."""
    try:
        if not compressed:
            with path.open("rb") as file:
                yield file
        else:
            with gzip.open(path, "rb") as packed:
                yield io.BufferedReader(_Guarded(packed, path))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImportRefused(
            f"{safe_excerpt(str(path))} is damaged (broken gzip data): get the file again.", code="damaged"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


class _Guarded(io.RawIOBase):
    """Unpacked bytes, up to the size of a decompression bomb."""

    def __init__(self, packed: Any, path: Path) -> None:
        self._packed, self._path, self._left = packed, path, 0
        self._left = max(MAX_DECOMPRESSED_BYTES, MAX_DECOMPRESSION_RATIO * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = int(self._packed.readinto(buffer))
        self._left -= read
        if self._left < 0:
            raise ImportRefused(
                f"{safe_excerpt(str(self._path))} unpacks to more than {MAX_DECOMPRESSION_RATIO} times its size: "
                "unpack it first.",
                code="decompression_bomb",
            )
        return read
