"""The program refuses to start in a state nobody should run it in."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def check(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROUNDTABLE_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**clean, "ROUNDTABLE_DATA_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
    )


def values(tmp_path: Path, names: list[str], **environment: str) -> list[object]:
    """What the settings hold, as a fresh process reads them."""
    code = "import json; from config import settings; print(json.dumps([getattr(settings, n) for n in %r]))"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROUNDTABLE_", "DJANGO_"))}
    process = subprocess.run(
        [sys.executable, "-c", code % names],
        cwd=ROOT,
        env={**clean, "ROUNDTABLE_DATA_DIR": str(tmp_path), "ROUNDTABLE_DEBUG": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


def test_without_a_secret_the_program_refuses_to_start_and_says_what_to_set(tmp_path):
    process = check(tmp_path)
    assert process.returncode == 2
    assert len(process.stderr.splitlines()) == 1
    assert "ROUNDTABLE_SECRET_KEY" in process.stderr


def test_a_short_secret_is_refused_too(tmp_path):
    process = check(tmp_path, ROUNDTABLE_SECRET_KEY="short")
    assert process.returncode != 0
    assert "ROUNDTABLE_SECRET_KEY" in process.stderr


def test_with_a_secret_or_in_debug_it_starts(tmp_path):
    assert check(tmp_path, ROUNDTABLE_SECRET_KEY="x" * 50).returncode == 0
    assert check(tmp_path, ROUNDTABLE_DEBUG="1").returncode == 0


def test_a_data_folder_that_is_not_there_yet_is_made(tmp_path):
    process = check(tmp_path / "new" / "folder", ROUNDTABLE_SECRET_KEY="x" * 50)
    assert process.returncode == 0 and "unable to open" not in process.stderr, process.stderr
    assert (tmp_path / "new" / "folder").is_dir()


def test_the_secret_may_lie_in_the_data_folder(tmp_path):
    (tmp_path / "secret_key").write_text("y" * 50 + "\n")
    assert check(tmp_path).returncode == 0


def test_a_database_that_is_not_postgresql_is_refused_with_a_sentence(tmp_path):
    process = check(tmp_path, ROUNDTABLE_DEBUG="1", ROUNDTABLE_DATABASE_URL="mysql://u:p@127.0.0.1/x")
    assert process.returncode != 0
    assert "ROUNDTABLE_DATABASE_URL" in process.stderr


def test_the_older_names_of_variables_still_work_where_the_new_ones_are_not_set(tmp_path):
    old = {
        "ROUNDTABLE_RUN_DISK_FLOOR_MB": "7",
        "ROUNDTABLE_RUN_RETRY_CAP_SECONDS": "8",
        "ROUNDTABLE_RUN_PASS_ENVIRONMENT": "A_NAME,B_NAME",
        "ROUNDTABLE_INVITATION_DAYS": "9",
    }
    names = (
        "RUN_MIN_FREE_DISK_MB RUN_RETRY_MAX_SECONDS RUN_ENVIRONMENT_ALLOWLIST INVITATION_EXPIRY_DAYS".split()
    )
    assert values(tmp_path, names, **old) == [7, 8.0, ["A_NAME", "B_NAME"], 9]
    new = {"ROUNDTABLE_RUN_MIN_FREE_DISK_MB": "1", "ROUNDTABLE_INVITATION_EXPIRY_DAYS": "2"}
    assert values(tmp_path, names, **old, **new) == [1, 8.0, ["A_NAME", "B_NAME"], 2]


def test_the_database_s_password_can_come_from_a_file(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    names = ["DATABASES"]
    url = {"ROUNDTABLE_DATABASE_URL": "postgresql://roundtable@database/roundtable"}
    [databases] = values(tmp_path, names, ROUNDTABLE_DATABASE_PASSWORD_FILE=str(secret), **url)
    assert databases["default"]["PASSWORD"] == "p@ss/word"
    missing = str(tmp_path / "missing")
    process = check(
        tmp_path, ROUNDTABLE_SECRET_KEY="x" * 50, ROUNDTABLE_DATABASE_PASSWORD_FILE=missing, **url
    )
    assert process.returncode == 2
    assert process.stderr.strip() == (
        f"ROUNDTABLE_DATABASE_PASSWORD_FILE is '{missing}': it must be a file that can be read."
    )


def test_one_address_makes_a_site_that_is_safe_behind_a_proxy(tmp_path):
    names = (
        "ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS SESSION_COOKIE_NAME CSRF_COOKIE_NAME SESSION_COOKIE_SECURE "
        "CSRF_COOKIE_SECURE "
        "SECURE_SSL_REDIRECT SECURE_SSL_HOST SECURE_HSTS_SECONDS SECURE_PROXY_SSL_HEADER"
    ).split()
    behind = values(tmp_path, names, ROUNDTABLE_URL="https://desk.example.org:8443")
    assert behind == [
        ["desk.example.org", "127.0.0.1", "localhost", "[::1]"],
        ["https://desk.example.org:8443"],
        "__Host-sessionid", "__Host-csrftoken", True, True,
        True, "desk.example.org:8443", 31_536_000, ["HTTP_X_FORWARDED_PROTO", "https"],
    ]  # fmt: skip
    plain = values(tmp_path, names)
    assert plain == [
        ["127.0.0.1", "localhost", "[::1]"], [], "sessionid", "csrftoken", False, False, False, None, 0, None,
    ]  # fmt: skip
    older = values(tmp_path, names, ROUNDTABLE_ALLOWED_HOSTS="a.example.org", ROUNDTABLE_BEHIND_TLS="1")
    assert older[0] == ["a.example.org"] and older[2] == "__Host-sessionid" and older[6:8] == [True, None]
