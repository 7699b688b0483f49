"""A database that is away, full, read-only, locked or not migrated: 503 and one sentence, one line in the log."""

import errno
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connection
from django.urls import reverse
from django.utils import timezone

from workspace import unavailable

ROOT = Path(__file__).resolve().parents[2]
HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}
JSON = {"HTTP_ACCEPT": "application/json"}


@contextmanager
def away(monkeypatch):
    """The database's address leads nowhere."""
    connection.close()
    with monkeypatch.context() as patch:
        if connection.vendor == "postgresql":
            patch.setitem(connection.settings_dict, "PORT", "1")
            patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        else:
            patch.setitem(connection.settings_dict, "NAME", "/nowhere/at/all.sqlite3")
        yield
        connection.close()


@contextmanager
def read_only(monkeypatch):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET default_transaction_read_only = on")
        else:
            cursor.execute("PRAGMA query_only = 1")
    yield
    connection.close()


@contextmanager
def full(monkeypatch):
    """SQLite may not grow by a page, and the pages of the sessions' table have no room for another row."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0] + 20}")
    with pytest.raises(OperationalError, match="full"):
        for number in range(1000):
            Session.objects.create(
                session_key=f"{number:032}",
                session_data="x" * 3800,
                expire_date=timezone.now() + timedelta(days=1),
            )
    yield
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 4294967294")
    connection.close()


@contextmanager
def locked(monkeypatch):
    """Another program holds SQLite's write lock for longer than anybody waits."""
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
        with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        connection.close()


SENTENCES = {
    away: "The database does not answer.",
    read_only: "The disk or the database takes no changes now (it is read-only).",
    full: "The disk is full: nothing can be saved until there is room.",
    locked: "The database is busy and did not answer in time.",
}

# A full disk and a lock are made by SQLite's own means.
STATES = [away, read_only] + [full, locked] * (settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))


@pytest.mark.db
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_login_is_answered_503_in_one_sentence_and_one_line_of_the_log(
    state, client, make_user, monkeypatch, caplog
):
    make_user("ada")
    client.raise_request_exception = False
    form = {"username": "ada", "password": "correct horse battery"}
    with state(monkeypatch):
        page = client.post(reverse("workspace:login"), form, **HTML)
        script = client.post(reverse("workspace:login"), form, **JSON)
    assert (page.status_code, page["Retry-After"], page["Content-Type"]) == (
        503,
        "10",
        "text/html; charset=utf-8",
    )
    assert SENTENCES[state] in page.content.decode().replace("&#x27;", "'")
    assert b"Traceback" not in page.content
    assert (script.status_code, script["Retry-After"]) == (503, "10")
    assert script.json() == {
        "code": "unavailable",
        "message": f"{SENTENCES[state]} Nothing that was saved is lost; try again in a little while.",
        "fields": {},
    }
    lines = [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    assert [record.name for record in lines] == ["workspace.unavailable"] * 2
    assert all(record.exc_info is None and "\n" not in record.getMessage() for record in lines)
    assert lines[0].getMessage().startswith(f"503 POST /login/: {SENTENCES[state]} (")
    # Back again: the same request is answered as ever.
    assert client.post(reverse("workspace:login"), form, **HTML).status_code == 302


@pytest.mark.db
@pytest.mark.django_db(transaction=True)
def test_health_and_every_page_of_the_project_answer_503_while_the_database_is_away(
    client, ada, project, monkeypatch
):
    client.force_login(ada)
    client.raise_request_exception = False
    addresses = [
        "/healthz",
        "/",
        "/projects/kitchen/",
        "/projects/kitchen/annotate/",
        "/projects/kitchen/rounds/",
        "/operators/",
    ]
    with away(monkeypatch):
        answers = {address: client.get(address, **HTML).status_code for address in addresses}
        submit = client.post("/projects/kitchen/annotate/next/", {}, content_type="application/json", **JSON)
    assert answers == dict.fromkeys(addresses, 503)
    assert (submit.status_code, submit.json()["code"]) == (503, "unavailable")


def caused(kind: type[Exception], cause: BaseException) -> Exception:
    error = kind("told by Django")
    error.__cause__ = cause
    return error


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("told by SQLite")
    error.sqlite_errorcode = code
    return error


class PostgresqlError(Exception):
    def __init__(self, sqlstate: str | None):
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), unavailable.NO_SPACE),
        (OSError(errno.EROFS, "Read-only file system"), unavailable.READ_ONLY),
        (FileNotFoundError(errno.ENOENT, "No such file"), None),
        (ValueError("a fault of ours"), None),
        # SQLITE_IOERR_WRITE and SQLITE_BUSY_SNAPSHOT: extended codes.
        (caused(OperationalError, sqlite_error(778)), unavailable.AWAY),
        (caused(OperationalError, sqlite_error(517)), unavailable.BUSY),
        (caused(DatabaseError, sqlite_error(11)), unavailable.AWAY),
        (caused(OperationalError, PostgresqlError(None)), unavailable.AWAY),
        (caused(InterfaceError, PostgresqlError(None)), unavailable.AWAY),
        (caused(OperationalError, PostgresqlError("53100")), unavailable.NO_SPACE),
        (caused(OperationalError, PostgresqlError("53300")), unavailable.AWAY),
        (caused(OperationalError, PostgresqlError("57P01")), unavailable.AWAY),
        (caused(OperationalError, PostgresqlError("57014")), unavailable.BUSY),
        (caused(OperationalError, PostgresqlError("40P01")), unavailable.BUSY),
        (caused(DatabaseError, PostgresqlError("25006")), unavailable.READ_ONLY),
        (caused(DatabaseError, PostgresqlError("25P02")), None),
    ],
)
def test_what_goes_away_by_itself_has_a_sentence_and_a_fault_of_ours_has_none(error, sentence):
    assert unavailable.explain(error) == sentence


@pytest.mark.db
@pytest.mark.django_db
@pytest.mark.parametrize("kind", [OperationalError, ProgrammingError])
def test_a_missing_table_is_missing_migrations_only_where_migrations_are_missing(kind):
    error = caused(kind, sqlite_error(1) if kind is OperationalError else PostgresqlError("42P01"))
    assert unavailable.explain(error) is None
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'demo' OR name = '0001_initial'")
        cursor.execute("SELECT COUNT(*) FROM django_migrations")
    assert unavailable.explain(error).endswith("of this version: run `manage.py migrate` first.")


def test_a_fault_of_ours_stays_a_500_and_a_script_hears_of_it_in_json(rf):
    from workspace.views import server_error

    answer = server_error(rf.post("/", **JSON))
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/json")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROUNDTABLE_")}
    environment |= {"ROUNDTABLE_DATA_DIR": str(folder), "ROUNDTABLE_SECRET_KEY": "s" * 40}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def test_a_command_on_an_empty_database_says_so_in_one_sentence(tmp_path):
    done = command(tmp_path, "manage.py", "reconcile", "--skip-checks")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("The database lacks ") and "run `manage.py migrate` first." in line


def test_a_site_that_starts_on_an_empty_database_says_so_in_its_log(tmp_path):
    done = command(tmp_path, "-c", "import config.wsgi")
    assert done.returncode == 0
    [line] = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert "The database lacks " in line and line.endswith("Until then what needs the database answers 503.")
