"""`make setup`: where it writes, what it leaves as it is, what it says."""

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import OperationalError

from config.prepare import close_to_others, wait_for_database, write_secret_key

ROOT = Path(__file__).resolve().parents[2]


def prepare(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROUNDTABLE_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "-m", "config.prepare", *words],
        cwd=ROOT,
        env={**clean, "DJANGO_SETTINGS_MODULE": "tests.config.small_site", **environment},
        capture_output=True,
        text=True,
    )


def test_the_key_is_its_owners_alone_and_stays(tmp_path):
    folder = tmp_path / "a" / "b"
    write_secret_key(folder)
    key = folder / "secret_key"
    text = key.read_text()
    assert len(text.strip()) >= 32 and key.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    write_secret_key(folder)
    assert key.read_text() == text
    key.write_text("")  # of a disk that was full
    write_secret_key(folder)
    assert len(key.read_text().strip()) >= 32 and key.read_text() != text
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_a_folder_that_was_open_to_everybody_is_closed(tmp_path):
    folder = tmp_path / "var"
    folder.mkdir()
    (folder / "secret_key").write_text("key")
    folder.chmod(0o755)
    (folder / "secret_key").chmod(0o644)
    close_to_others(folder, 0o077)
    assert (mode(folder), mode(folder / "secret_key")) == (0o700, 0o600)
    close_to_others(folder, 0o007)  # ROUNDTABLE_FILE_ACCESS=GROUP
    assert (mode(folder), mode(folder / "secret_key")) == (0o2770, 0o640)


WRITES = """
import os, subprocess, sqlite3, sys
os.umask(0o022)
import django; django.setup()
from django.conf import settings
from django.core.management import call_command
from learning.interface.atomic_files import write_json_atomically
from learning.interface.run_directory import RunDirectory
data = settings.DATA_DIR
call_command("migrate", "contenttypes", verbosity=0)
RunDirectory.create(data / "runs" / "a", command="x", config={}, inputs={})
write_json_atomically(data / "runs" / "a" / "status.json", {})
subprocess.run(["touch", data / "by_a_child"], check=True)
"""


@pytest.mark.parametrize(("access", "closed"), [("", 0o077), ("group", 0o007)])
def test_nothing_that_is_written_is_for_everybody(tmp_path, access, closed):
    """The database, a run's folder, and what a child process writes, from a shell whose umask is 022."""
    environment = {
        "ROUNDTABLE_DATA_DIR": str(tmp_path / "var"), "ROUNDTABLE_FILE_ACCESS": access,
        "ROUNDTABLE_SECRET_KEY": "k" * 40, "DJANGO_SETTINGS_MODULE": "tests.config.small_site",
    }  # fmt: skip
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ROUNDTABLE_")}
    done = subprocess.run(
        [sys.executable, "-c", WRITES], cwd=ROOT, env=clean | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written = [tmp_path / "var", *(tmp_path / "var").rglob("*")]
    assert {"roundtable.sqlite3", "status.json", "config.json", "by_a_child", "inputs"} <= {
        p.name for p in written
    }
    assert [str(path) for path in written if mode(path) & closed] == []
    if access:
        assert all(mode(path) & 0o060 == 0o060 for path in written if path.suffix != ".sqlite3")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.slow
def test_setting_up_obeys_the_data_folder_does_nothing_twice_and_says_what_to_set(tmp_path):
    folder = tmp_path / "elsewhere"
    process = prepare(ROUNDTABLE_DATA_DIR=str(folder))
    assert process.returncode == 0, process.stderr
    assert "(tables made, static files collected)" in process.stdout
    assert "ROUNDTABLE_URL=" in process.stdout and str(folder) in process.stdout
    collected = folder / "static" / "staticfiles.json"
    key, made = (folder / "secret_key").read_text(), collected.stat().st_mtime_ns
    with sqlite3.connect(folder / "roundtable.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM annotation_judgment").fetchone() == (0,)
    again = prepare(ROUNDTABLE_DATA_DIR=str(folder), ROUNDTABLE_URL="https://desk.example.org")
    assert again.returncode == 0, again.stderr
    assert "(nothing was to be done)" in again.stdout and "ROUNDTABLE_URL=" not in again.stdout
    assert (folder / "secret_key").read_text() == key and collected.stat().st_mtime_ns == made
    # What is to be done next is done by the same process, in the same folder.
    say = "import os; print('then', os.getcwd())"
    then = prepare("--quiet", "--then", "-c", say, ROUNDTABLE_DATA_DIR=str(folder))
    assert then.stdout == f"then {ROOT}\n"
    # An upgrade brings other static files: they are collected again.
    (folder / "static" / ".collected").write_text("of another version")
    assert "(static files collected)" in prepare(ROUNDTABLE_DATA_DIR=str(folder)).stdout


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        url = f"postgresql://nobody:pass-word@127.0.0.1:{listener.getsockname()[1]}/none"
        process = prepare(ROUNDTABLE_DATA_DIR=str(tmp_path), ROUNDTABLE_DATABASE_URL=url)
    assert process.returncode == 1
    assert len(process.stderr.splitlines()) == 1 and "pass-word" not in process.stderr
    assert process.stderr.startswith("The database does not answer.")


def test_a_database_that_is_starting_is_waited_for_and_said_once(monkeypatch, capsys):
    answers = [
        OperationalError("refused"),
        OperationalError("refused"),
        OperationalError("starting up"),
        None,
    ]

    def connect():
        if error := answers.pop(0):
            raise error

    monkeypatch.setattr("config.prepare.connection.ensure_connection", connect, raising=False)
    monkeypatch.setattr("config.prepare.time.sleep", lambda seconds: None)
    wait_for_database(3600)
    assert answers == []
    said = capsys.readouterr().err.splitlines()
    assert said == ["Waiting for the database. (refused)", "Waiting for the database. (starting up)"]


def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    process = prepare(ROUNDTABLE_DATA_DIR=str(tmp_path / "file" / "data"))
    assert process.returncode == 1
    assert len(process.stderr.splitlines()) == 1 and "Nothing can be written" in process.stderr


def test_make_setup_asks_this_module_whatever_was_set_up_before():
    """Not a rule with a file of `make` that says "done": the data folder may be another one today."""
    plan = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "setup"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert plan.splitlines()[-1].endswith("python -m config.prepare")


@pytest.mark.db
@pytest.mark.slow
def test_another_database_is_set_up_too(tmp_path, django_db_blocker):
    """The second time, with a database that is empty, the tables are made there."""
    from django.conf import settings
    from django.db import connection

    if connection.vendor != "postgresql":
        url = ""
        folders = [tmp_path / "one", tmp_path / "two"]
    else:
        with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS setup_elsewhere")
            cursor.execute("CREATE DATABASE setup_elsewhere")
        parts = settings.DATABASES["default"]
        url = f"postgresql://{parts['USER']}@{quote(parts['HOST'], safe='')}:{parts['PORT']}/setup_elsewhere"
        folders = [tmp_path / "one", tmp_path / "one"]
    assert "tables made" in prepare(ROUNDTABLE_DATA_DIR=str(folders[0])).stdout
    second = prepare(ROUNDTABLE_DATA_DIR=str(folders[1]), ROUNDTABLE_DATABASE_URL=url)
    assert "tables made" in second.stdout, second.stderr
    assert ("PostgreSQL database setup_elsewhere" in second.stdout) == bool(url)
    if url:
        with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
            cursor.execute("DROP DATABASE setup_elsewhere")
