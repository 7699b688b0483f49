"""`manage.py check --deploy` names what is missing, by the settings that an operator can set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.db import OperationalError

from workspace import deploy_checks
from workspace.models import User

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ready(settings, tmp_path, monkeypatch, db):
    """A site of which nothing is to be said."""
    tmp_path.chmod(0o700)
    settings.SITE_URL = "https://desk.example.org"
    settings.ALLOWED_HOSTS = ["desk.example.org", "127.0.0.1", "localhost", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://desk.example.org"]
    settings.BEHIND_TLS, settings.SECURE_HSTS_SECONDS = True, 31_536_000
    settings.SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl"
    settings.DATA_DIR = tmp_path
    settings.PROXY_COUNT = 1
    # Tests run where and as whom they run.
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(deploy_checks, "TEMPORARY", ())
    User.objects.create_superuser("root", password="correct horse battery")


def told():
    return {
        message.id: message for message in run_checks(tags=["roundtable"], include_deployment_checks=True)
    }


def not_sqlite(found):
    """What the database at hand adds by itself: SQLite under a public name."""
    return {name for name in found if name != "roundtable.W024"}


def test_a_site_that_is_ready_is_told_nothing(ready):
    assert not_sqlite(told()) == set()


@pytest.mark.parametrize(
    ("changes", "name", "hint"),
    [
        ({"DEBUG": True}, "roundtable.E010", "Unset it"),
        ({"ALLOWED_HOSTS": ["localhost"]}, "roundtable.W011", "ROUNDTABLE_URL"),
        ({"BEHIND_TLS": False, "CSRF_TRUSTED_ORIGINS": []}, "roundtable.W012", "ROUNDTABLE_URL=https://"),
        ({"ALLOWED_HOSTS": ["*"]}, "roundtable.W013", "Name the hosts"),
        ({"BEHIND_TLS": False, "ALLOWED_HOSTS": ["localhost"]}, "roundtable.W014", "ROUNDTABLE_BEHIND_TLS=0"),
        ({"SITE_URL": ""}, "roundtable.W015", "ROUNDTABLE_URL"),
        ({"PROXY_COUNT": 0}, "roundtable.W028", "ROUNDTABLE_PROXY_COUNT"),
        ({"SECURE_HSTS_SECONDS": 0}, "roundtable.W016", "https works"),
        (
            {"SECRET_KEY": "0123456789abcdefghijklmnopqrstuv"},
            "roundtable.W017",
            "ROUNDTABLE_SECRET_KEY_FALLBACKS",
        ),
        ({"SECRET_KEY": "ab" * 40}, "roundtable.W017", "secrets.token_urlsafe"),
        ({"DATA_DIR": Path("/nowhere/at/all")}, "roundtable.E018", "ROUNDTABLE_DATA_DIR"),
        ({"RUN_MIN_FREE_DISK_MB": 10**9}, "roundtable.W021", "ROUNDTABLE_RUN_MIN_FREE_DISK_MB"),
    ],
)
def test_each_thing_that_is_missing_has_its_sentence_and_hint(ready, settings, changes, name, hint):
    for setting, value in changes.items():
        setattr(settings, setting, value)
    found = told()
    assert name in found
    assert found[name].msg.endswith(".") and hint in found[name].hint


def test_root_and_folders_for_temporary_files_are_told(ready, settings, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(deploy_checks, "TEMPORARY", (settings.DATA_DIR.parent,))
    assert {"roundtable.W020", "roundtable.W022"} <= set(told())


def test_a_site_without_an_operator_or_tables_or_database_is_told_so(ready, monkeypatch):
    User.objects.update(is_active=False)
    assert "createsuperuser" in told()["roundtable.W026"].hint
    monkeypatch.setattr(deploy_checks, "missing_migrations", lambda: 2)
    assert "lacks 2 migrations" in told()["roundtable.E025"].msg

    def away():
        raise OperationalError("connection refused")

    monkeypatch.setattr(deploy_checks, "missing_migrations", away)
    assert told()["roundtable.E027"].msg == "The database does not answer."


def test_sqlite_on_a_network_file_system_is_an_error(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\n"
        "disk /srv ext4 rw 0 0\n"
        "host:/export /srv/shared\\040data nfs4 rw 0 0\n"
        "disk /srv/shared\\040data/local ext4 rw 0 0\n"
    )
    kinds = {
        "/srv/shared data/roundtable.sqlite3": "nfs4",
        "/srv/shared data/local/roundtable.sqlite3": "ext4",
        "/srv/shared/roundtable.sqlite3": "ext4",
        "/var/lib/roundtable.sqlite3": "overlay",
    }
    assert {path: deploy_checks.file_system_of(Path(path), mounts) for path in kinds} == kinds
    assert deploy_checks.file_system_of(Path("/x"), tmp_path / "none") == ""
    assert "nfs4" in deploy_checks.NETWORK_FILE_SYSTEMS


def test_the_command_tells_our_names_and_none_of_djangos_settings(tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROUNDTABLE_", "DJANGO_"))}
    process = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy"],
        cwd=ROOT,
        env=clean | {"ROUNDTABLE_DATA_DIR": str(tmp_path), "ROUNDTABLE_SECRET_KEY": "x" * 40,
                     "ROUNDTABLE_ALLOWED_HOSTS": "desk.example.org"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert process.returncode == 1  # an unmigrated database is an error
    for name in ("E025", "W012", "W017", "W024", "W001"):
        assert f"(roundtable.{name})" in process.stderr, name
    assert "security." not in process.stderr
