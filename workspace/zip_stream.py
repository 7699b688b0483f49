"""A zip archive as a stream of bytes: nothing is kept but what is on its way. Equal files give an equal archive."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20
# Packed already: to deflate them again costs time and gains nothing.
PACKED = (".parquet", ".safetensors", ".gz", ".zst")


class _Sink(io.RawIOBase):
    """What the archive writes, until it is taken. It cannot be gone back in: sizes and checksums follow the data."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class ZipStream:
    """Files below one folder. Each method gives the bytes to send next; the archive is one when `finish` has ended."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w")

    def add_file(self, path: Path, name: str) -> Iterator[bytes]:
        with path.open("rb") as source, self._zip.open(self._entry(name), "w", force_zip64=True) as target:
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)
                if data := self._sink.take():
                    yield data
        yield self._sink.take()

    def add_text(self, text: str, name: str) -> Iterator[bytes]:
        with self._zip.open(self._entry(name), "w") as target:
            target.write(text.encode())
        yield self._sink.take()

    def finish(self) -> Iterator[bytes]:
        self._zip.close()
        yield self._sink.take()

    def _entry(self, name: str) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(f"{self._folder}/{name}")  # of 1980: no clock goes in
        entry.external_attr = 0o644 << 16
        entry.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED
        return entry
