"""What a database (or disk) that is away, full, read-only, locked or not migrated is called, in one sentence.

Used by the site, which answers 503 with it, and by the command line. An error that is the program's own fault has no
sentence here: it stays an error.
"""

import errno
import logging
import sqlite3

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from workspace.problems import is_for_program, problem_response

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10
WAIT = "Nothing that was saved is lost; try again in a little while."
NO_SPACE = "The disk is full: nothing can be saved until there is room."
READ_ONLY = "The disk or the database takes no changes now (it is read-only)."
BUSY = "The database is busy and did not answer in time."
AWAY = "The database does not answer."

# https://www.sqlite.org/rescode.html; extended codes carry these in their low byte.
_SQLITE_SENTENCES = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_FULL: NO_SPACE,
    sqlite3.SQLITE_IOERR: AWAY,
    sqlite3.SQLITE_CANTOPEN: AWAY,
    sqlite3.SQLITE_PROTOCOL: AWAY,
    sqlite3.SQLITE_CORRUPT: AWAY,
    sqlite3.SQLITE_NOTADB: AWAY,
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html: whole codes first, then classes.
_POSTGRESQL_SENTENCES = {
    "53100": NO_SPACE,
    "25006": READ_ONLY,
    "55P03": BUSY,
    "57014": BUSY,
    "40": BUSY,
    "08": AWAY,
    "53": AWAY,
    "57": AWAY,
    "58": AWAY,
}
_DISK_SENTENCES = {errno.ENOSPC: NO_SPACE, errno.EDQUOT: NO_SPACE, errno.EROFS: READ_ONLY}


def explain(error: BaseException | None) -> str | None:
    """One sentence for an error that will go away by itself or by an operator's hand; None for any other."""
    if isinstance(error, OSError):
        return _DISK_SENTENCES.get(error.errno or 0)
    if not isinstance(error, DatabaseError | InterfaceError):
        return None
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        # Without a code: the module's own complaint, not the database's.
        sentence = _SQLITE_SENTENCES.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    else:
        code = getattr(cause, "sqlstate", None) or ""
        sentence = _POSTGRESQL_SENTENCES.get(code) or _POSTGRESQL_SENTENCES.get(code[:2])
        if sentence is None and not code and isinstance(error, OperationalError | InterfaceError):
            # No code: there was no connection that could have sent one.
            sentence = AWAY
    if sentence is None and isinstance(error, ProgrammingError | OperationalError):
        sentence = not_migrated()
    return sentence


def not_migrated() -> str | None:
    """A sentence when tables or columns of this version are missing; None when all is there or nobody can tell."""
    try:
        missing = missing_migrations()
    except (DatabaseError, InterfaceError, ImproperlyConfigured):
        return None
    return describe_missing_migrations(missing) if missing else None


def say_what_is_missing() -> None:
    """One line in the log of a site that starts on a database without this version's tables."""
    try:
        if sentence := not_migrated():
            logger.error("%s Until then what needs the database answers 503.", sentence)
    finally:
        # This thread serves nothing.
        connection.close()


def describe_missing_migrations(missing: int) -> str:
    plural = "" if missing == 1 else "s"
    return f"The database lacks {missing} migration{plural} of this version: run `manage.py migrate` first."


def missing_migrations() -> int:
    """How many migrations of this version the database lacks. Raises DatabaseError when it cannot be asked."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def wants_no_page(request: HttpRequest) -> bool:
    """A script, a part of a page that polls, or a probe: for them an answer in JSON."""
    accepted = request.headers.get("Accept", "text/html")
    return bool(request.headers.get("HX-Request")) or "text/html" not in accepted


def unavailable_response(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """503 with the sentence, as JSON for a script and as a page for a browser; None for an error without one.

    Writes one line to the log, and none of Django's: a database that is away fails every request alike.
    """
    sentence = explain(error)
    if sentence is None:
        return None
    cause = str(error).strip().partition("\n")[0]
    logger.error("503 %s %s: %s (%s)", request.method, request.path, sentence, cause)
    message = f"{sentence} {WAIT}"
    response: HttpResponse
    if is_for_program(request):
        response = problem_response(503, "unavailable", message)
    elif wants_no_page(request):
        response = JsonResponse({"code": "unavailable", "message": message, "fields": {}}, status=503)
    else:
        # Without the request: what pages are made of may ask the database.
        response = HttpResponse(
            render_to_string("503.html", {"sentence": sentence, "wait": WAIT}), status=503
        )
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    # Django's own mark of an answer that log_response need not write down with its traceback.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
