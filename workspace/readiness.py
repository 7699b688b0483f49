"""Whether this web worker can serve pages now, each reason by name; for /readyz and for what watches the site.

Asked by anybody, as often as they like: one set of checks runs at a time, in a thread of its own, and what it found
holds for a second. Whoever asks waits for it no longer than PATIENCE_SECONDS, also while the database or the disk
hangs. Sentences name no secret and no path of the machine.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from workspace.static_files import describe_missing_static_files
from workspace.unavailable import explain, not_migrated

PATIENCE_SECONDS = 2.0
HOLDS_SECONDS = 1.0
# Judgments are small; runs ask for more before they start (RUN_MIN_FREE_DISK_MB).
MIN_FREE_DISK_MB = 100


@dataclass
class _Checking:
    """One set of checks: what has been found so far, by name; "" where all is well."""

    found: dict[str, str] = field(default_factory=dict)
    ended_at: float | None = None
    thread: threading.Thread | None = None


# What was complete once stays so while this process lives; it takes a tenth of a second to see.
_complete: set[str] = set()
_guard = threading.Lock()
_last: _Checking | None = None


def check_readiness() -> dict[str, str]:
    """A sentence for each check that failed, "" for each that did not."""
    global _last
    with _guard:
        stale = _last is None or (
            _last.ended_at is not None and time.monotonic() - _last.ended_at > HOLDS_SECONDS
        )
        if _last is None or stale:
            _last = _Checking()
            _last.thread = threading.Thread(target=_run, args=(_last,), name="readiness", daemon=True)
            _last.thread.start()
        checking = _last
    assert checking.thread is not None
    checking.thread.join(PATIENCE_SECONDS)
    late = f"No answer within {PATIENCE_SECONDS:g} seconds."
    return {name: checking.found.get(name, late) for name in CHECKS}


def forget_last_check() -> None:
    """The next one looks again, at everything."""
    global _last
    with _guard:
        _last = None
        _complete.clear()


def _run(checking: _Checking) -> None:
    try:
        for name, check in CHECKS.items():
            try:
                checking.found[name] = check()
            except Exception as error:
                checking.found[name] = explain(error) or f"The check failed ({type(error).__name__})."
    finally:
        connection.close()
        checking.ended_at = time.monotonic()


def _static_files() -> str:
    if "static_files" in _complete:
        return ""
    if sentence := describe_missing_static_files():
        return sentence.replace(f" into {settings.STATIC_ROOT}", "")
    _complete.add("static_files")
    return ""


def _data_folder() -> str:
    try:
        with tempfile.TemporaryFile(dir=settings.DATA_DIR) as file:
            file.write(b"writable")
    except OSError as error:
        return f"The data folder takes no files: {error.strerror}."
    return ""


def _disk() -> str:
    free = shutil.disk_usage(settings.DATA_DIR).free
    if free >= MIN_FREE_DISK_MB * 1_000_000:
        return ""
    return f"Only {free / 1e6:.0f} MB are free in the data folder, of {MIN_FREE_DISK_MB} MB that there should be."


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    if "migrations" in _complete:
        return ""
    if sentence := not_migrated():
        return sentence
    connection.ensure_connection()
    _complete.add("migrations")
    return ""


CHECKS: dict[str, Callable[[], str]] = {
    "static_files": _static_files,
    "data_folder": _data_folder,
    "disk": _disk,
    "database": _database,
    "migrations": _migrations,
}
