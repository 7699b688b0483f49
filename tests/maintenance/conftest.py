"""Sites that are backed up, wiped and restored elsewhere: another data folder, and of PostgreSQL another database."""

import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection
from psycopg.rows import dict_row

from tests.annotation.conftest import make_annotators, make_batch  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "site"
    settings.DATA_DIR.mkdir()
    return settings.DATA_DIR


def server(name: str) -> str:
    of = connection.settings_dict
    return f"postgresql://{of['USER']}@{quote(of['HOST'], safe='')}:{of['PORT']}/{name}"


class Site:
    """An installation that is reached through its commands alone."""

    def __init__(self, data_dir: Path, database_url: str) -> None:
        self.data_dir, self.database_url = data_dir, database_url
        data_dir.mkdir(parents=True, exist_ok=True)

    def manage(self, *arguments: object, expected: int = 0) -> str:
        env = os.environ | {
            "ROUNDTABLE_DATA_DIR": str(self.data_dir),
            "ROUNDTABLE_SECRET_KEY": "x" * 40,
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        env.pop("ROUNDTABLE_DATABASE_URL", None)
        if self.database_url:
            env["ROUNDTABLE_DATABASE_URL"] = self.database_url
        done = subprocess.run(
            [sys.executable, "manage.py", *map(str, arguments)],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == expected, done.stdout + done.stderr[-3000:]
        return done.stdout + done.stderr

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All of a table, in an order of its own content."""
        sql = f'SELECT * FROM "{table}"'
        if self.database_url:
            with psycopg.connect(self.database_url, row_factory=dict_row) as other:
                found = other.execute(sql).fetchall()
        else:
            with closing(sqlite3.connect(self.data_dir / "roundtable.sqlite3")) as other:
                other.row_factory = sqlite3.Row
                found = [dict(row) for row in other.execute(sql)]
        return sorted(found, key=repr)


@pytest.fixture
def this_site(data_dir, transactional_db):
    """The tests' own database and data folder, as a site of commands sees it."""
    site = Site(
        data_dir, server(connection.settings_dict["NAME"]) if connection.vendor == "postgresql" else ""
    )
    if not site.database_url:
        # Commands of the site expect the file there.
        (data_dir / "roundtable.sqlite3").symlink_to(connection.settings_dict["NAME"])
    return site


@pytest.fixture
def new_site(tmp_path, transactional_db):
    """An empty one, elsewhere. Its database is dropped at the end."""
    if connection.vendor == "sqlite":
        yield Site(tmp_path / "elsewhere" / "new", "")
        return
    name = f"restored_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server("postgres"), autocommit=True) as postgres:
        postgres.execute(f"CREATE DATABASE {name}")
    yield Site(tmp_path / "elsewhere" / "new", server(name))
    with psycopg.connect(server("postgres"), autocommit=True) as postgres:
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_folder(settings, tmp_path):
    """Makes the tests' own process a site whose data folder is empty."""

    def make(name):
        settings.DATA_DIR = tmp_path / name
        settings.DATA_DIR.mkdir()
        assert django_settings.DATA_DIR == settings.DATA_DIR
        return settings.DATA_DIR

    return make
