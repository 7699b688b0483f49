"""The folder of an export: it appears complete, by one rename, or not at all, and is never written over."""

import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings

from annotation.exporting.formats.base import ExportRefused
from annotation.text import safe_excerpt
from runs.os_processes import process_identity


@contextmanager
def finished_folder(out: Path) -> Iterator[Path]:
    """Where to write: what is there at the end becomes `out`. Raises ExportRefused."""
    require_free_folder(out)
    try:
        partial = _partial_of(out, os.getpid())
        _clear_killed(out)
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


@contextmanager
def download_folder() -> Iterator[Path]:
    """Where files lie until they have been sent. `prune` removes what a killed process left."""
    root = Path(settings.DATA_DIR) / "downloads"
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root, prefix=".", suffix=".partial") as folder:
        yield Path(folder)


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


def _partial_of(out: Path, pid: int | str) -> Path:
    """Where a process of this machine writes what becomes `out`."""
    return _nearest_existing_parent(out) / f".{out.name}.{socket.gethostname()}.{pid}.partial"


def _clear_killed(out: Path) -> None:
    """What exports to the same folder left behind that were killed."""
    everybodys = _partial_of(out, "PID").name
    for left in _nearest_existing_parent(out).glob(
        glob.escape(everybodys).replace("PID.partial", "*.partial")
    ):
        pid = left.name.split(".")[-2]
        if pid.isdigit() and not process_identity(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _cannot_write(out: Path, error: OSError) -> ExportRefused:
    return ExportRefused(
        f"{safe_excerpt(str(out))} cannot be written: {error.strerror or error}.", code="cannot_write"
    )


def _nearest_existing_parent(out: Path) -> Path:
    """The first folder above `out` that is there: what is written before the end is written in it, so that a
    refused export leaves no folder behind.
    """
    return next(parent for parent in out.absolute().parents if parent.exists())
