"""The folder of an export: it appears complete, by one rename, or not at all, and is never written over."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotation.exporting.formats.base import ExportRefused
from annotation.text import safe_excerpt


@contextmanager
def finished_folder(out: Path) -> Iterator[Path]:
    """Where to write: what is there at the end becomes `out`. Raises ExportRefused."""
    require_free_folder(out)
    try:
        partial = _nearest_existing_parent(out) / f".{out.name}.{os.getpid()}.partial"
    except OSError as error:
        raise _cannot_write(out, error) from error
    try:
        yield partial
        if out.is_dir():
            out.rmdir()
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(out)
    except OSError as error:
        raise _cannot_write(out, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_free_folder(out: Path) -> None:
    """An export never writes over anything: `out` must not be there, or be an empty folder."""
    try:
        if out.is_dir() and not any(out.iterdir()):
            return
        taken = out.exists()
    except OSError as error:
        raise _cannot_write(out, error) from error
    if taken:
        raise ExportRefused(
            f"{safe_excerpt(str(out))} is there already: name a new folder.", code="out_taken"
        )


def _cannot_write(out: Path, error: OSError) -> ExportRefused:
    return ExportRefused(
        f"{safe_excerpt(str(out))} cannot be written: {error.strerror or error}.", code="cannot_write"
    )


def _nearest_existing_parent(out: Path) -> Path:
    """The first folder above `out` that is there: what is written before the end is written in it, so that a
    refused export leaves no folder behind.
    """
    return next(parent for parent in out.absolute().parents if parent.exists())
