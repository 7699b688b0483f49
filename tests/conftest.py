"""The cast and what every test stands on."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations as PostgreSQLOperations
from django.db.backends.sqlite3.base import DatabaseOperations as SQLiteOperations
from hypothesis import HealthCheck, settings

# Playwright's synchronous API runs an event loop in the test's thread; Django would refuse the ORM there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
# Two torch threads on busy cores are slower than one, and results depend on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A busy machine draws slowly; that says nothing about the code under test.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-examples",
        type=int,
        default=2,
        help="of each operation of the API so many requests that its schema allows, and as many that it forbids",
    )


@pytest.fixture(autouse=True, scope="session")
def flush_past_append_only_triggers() -> Iterator[None]:
    """A transactional test empties every table at its end, by DELETE on SQLite and TRUNCATE on PostgreSQL, which the
    triggers refuse.

    So the triggers step aside for the flush alone.
    """
    original = SQLiteOperations.execute_sql_flush, PostgreSQLOperations.execute_sql_flush

    def flush_sqlite(self: SQLiteOperations, sql_list: list[str]) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
            for name, _ in triggers:
                cursor.execute(f'DROP TRIGGER "{name}"')
        try:
            original[0](self, sql_list)
        finally:
            with self.connection.cursor() as cursor:
                for _, sql in triggers:
                    cursor.execute(sql)

    def flush_postgresql(self: PostgreSQLOperations, sql_list: list[str]) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "WHERE t.tgname LIKE '%%_no_truncate'",
                [],
            )
            triggers = cursor.fetchall()
        switch = [f"ALTER TABLE {table} {{}} TRIGGER {name}" for table, name in triggers]
        off, on = ([statement.format(word) for statement in switch] for word in ("DISABLE", "ENABLE"))
        original[1](self, [*off, *sql_list, *on])  # in one transaction

    SQLiteOperations.execute_sql_flush = flush_sqlite  # type: ignore[method-assign]
    PostgreSQLOperations.execute_sql_flush = flush_postgresql  # type: ignore[method-assign]
    yield
    SQLiteOperations.execute_sql_flush, PostgreSQLOperations.execute_sql_flush = original  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def repeatable_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's salt is random, and now and then 60 prompts of a random one have no two for validation."""
    from workspace import models

    numbers = itertools.count()
    monkeypatch.setattr(models, "random_split_salt", lambda: f"salt-of-the-tests-{next(numbers)}")


@pytest.fixture
def make_user(db):
    from workspace.models import User

    def make(username: str, **fields):
        return User.objects.create_user(username=username, password="correct horse battery", **fields)

    return make


@pytest.fixture
def max_(make_user):
    """Max manages."""
    return make_user("max")


@pytest.fixture
def project(max_):
    from workspace.actions import create_project

    return create_project(actor=max_, name="Kitchen", guideline="Prefer the answer that helps.")


@pytest.fixture
def criterion(project):
    return project.criteria.get()


@pytest.fixture
def ada(make_user, project, max_):
    """Ada annotates."""
    from workspace.actions import set_role

    user = make_user("ada")
    set_role(actor=max_, project=project, user=user, role="annotator")
    return user


@pytest.fixture
def ruth(make_user, project, max_):
    """Ruth reviews."""
    from workspace.actions import set_role

    user = make_user("ruth")
    set_role(actor=max_, project=project, user=user, role="reviewer")
    return user


@pytest.fixture
def olga(make_user):
    """Olga is an outsider: she manages another project."""
    from workspace.actions import create_project

    user = make_user("olga")
    create_project(actor=user, name="Garden")
    return user


@pytest.fixture
def program(client):
    """Calls the API as a program of somebody: by a token of theirs, for one project or (None) all of them."""
    import json

    from workspace.tokens.actions import create_token

    def of(person, project=None, *, scope="write", role="manager"):
        _, token = create_token(actor=person, project=project, name="program", scope=scope, role=role, days=1)

        def call(method, address, body=None, **headers):
            sent = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
            address = address if address.startswith("http") else f"/api/v1/{address}"
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.generic(
                method, address, headers={"Authorization": f"Bearer {token}"} | headers, **sent
            )

        return call

    return of


@pytest.fixture(scope="session")
def shared_data() -> Path | None:
    """The folder of real data, or None where it is absent; tests then run on generated data alone."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ROUNDTABLE_SHARED_DATA", default))
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def browser():
    """Debian's or the system's Chromium; its console errors and CSP reports fail a test (see `page`)."""
    from playwright.sync_api import sync_playwright

    executable = os.environ.get("ROUNDTABLE_CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    complaints = page.complaints
    context.close()
    assert complaints == []
