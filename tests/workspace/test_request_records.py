"""Lines of the log without tokens, addresses for machines, readiness."""

import json
import logging
import time

import pytest
from django.conf import settings as django_settings
from django.db import connection

from workspace import readiness
from workspace.log_lines import LineFormatter
from workspace.members import invite
from workspace.readiness import CHECKS, check_readiness
from workspace.request_records import RequestRecordMiddleware

pytestmark = [pytest.mark.db, pytest.mark.django_db]
LINE = "%(levelname)s %(name)s %(message)s"


@pytest.fixture
def lines(settings):
    """Every line as the site's log has it."""
    written = []

    class Lines(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    handler = Lines()
    handler.setFormatter(LineFormatter(LINE))
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def look_again(settings, monkeypatch):
    """Each test sees the checks run, and gives a slow machine time for them."""
    readiness.forget_last_check()
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 120.0)
    yield
    readiness.forget_last_check()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Gone: /invitations/Ab3_-xyzABCDEFGH/", "Gone: /invitations/[token]/"),
        ("GET /login/?next=/invitations/Ab3_-xyzABCDEFGH/ 200", "GET /login/?next=/invitations/[token]/ 200"),
        ("/login/?next=%2Finvitations%2FAb3_-xyzABCDEFGH%2F", "/login/?next=%2Finvitations%2F[token]%2F"),
        (
            "two /invitations/aaaaaaaaaa/ /invitations/bbbbbbbbbb",
            "two /invitations/[token]/ /invitations/[token]",
        ),
        (
            "/projects/kitchen/people/invitations/17/withdraw/",
            "/projects/kitchen/people/invitations/17/withdraw/",
        ),
    ],
)
def test_a_line_has_no_token(text, written):
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (text,), None)
    assert LineFormatter("%(message)s").format(record) == written


def test_a_traceback_has_no_token_either():
    try:
        raise ValueError("at /invitations/Ab3_-xyzABCDEFGH/")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "bad", (), (ValueError, error, error.__traceback__)
        )
    text = LineFormatter("%(message)s").format(record)
    assert "Ab3_" not in text.replace('raise ValueError("at /invitations/Ab3_-xyzABCDEFGH/")', "")
    assert "ValueError: at /invitations/[token]/" in text


def test_a_usable_invitation_is_in_no_line_of_the_log_nor_in_another_address(
    client, project, max_, ada, lines
):
    _, token = invite(actor=max_, project=project, role="annotator")
    page = client.get(f"/invitations/{token}/")
    assert token not in page.content.decode()
    # What the page asks for names only the site in its Referer, which a proxy may log.
    assert page["Referrer-Policy"] == "strict-origin"
    client.post(f"/invitations/{token}/", {"username": "new", "password": "short"})
    client.put(f"/invitations/{token}/")
    client.handler.enforce_csrf_checks = True
    client.post(f"/invitations/{token}/", {})
    client.handler.enforce_csrf_checks = False
    assert any("/invitations/[token]/" in line for line in lines)
    assert not [line for line in lines if token in line]
    # Who has an account logs in first and comes back to it.
    answer = client.get("/invitations/")
    assert answer["Location"] == "/login/?next=/invitations/"
    answer = client.post(
        "/login/?next=/invitations/",
        {"username": "ada", "password": "correct horse battery", "next": "/invitations/"},
    )
    assert answer["Location"] == "/invitations/"
    assert client.get("/invitations/")["Location"] == f"/invitations/{token}/"
    client.cookies.pop("opened-invitation")
    assert client.get("/invitations/").status_code == 410


def test_a_line_a_request_says_what_who_and_whence(rf, client, settings, ada, project, lines):
    settings.ACCESS_LOG = True
    client.handler.load_middleware()
    client.force_login(ada)
    client.get("/projects/kitchen/annotate/?secret=1")
    client.get("/no%0Asuch%20page", HTTP_X_FORWARDED_FOR="203.0.113.9")
    access = [line.split() for line in lines if line.startswith("INFO roundtable.requests")]
    assert access[0][2:6] == ["GET", "/projects/kitchen/annotate/", "annotation:overview", "200"]
    assert access[0][7:] == ["ms", f"user={ada.pk}", "from=127.0.0.1"]
    assert access[1][2:6] == ["GET", "/no%0Asuch%20page", "none", "404"]
    assert len(access) == 2 and "secret" not in str(lines)


def test_nothing_is_recorded_unless_it_was_asked_for(settings):
    from django.core.exceptions import MiddlewareNotUsed

    assert not django_settings.ACCESS_LOG and not django_settings.METRICS_TOKEN
    with pytest.raises(MiddlewareNotUsed):
        RequestRecordMiddleware(lambda request: None)


def test_machines_ask_under_any_name_and_without_tls(client, settings):
    settings.ALLOWED_HOSTS = ["desk.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    client.handler.load_middleware()
    for address in ("/healthz", "/readyz"):
        assert client.get(address, HTTP_HOST="10.1.2.3:8000").status_code == 200, address
    assert client.get("/login/", HTTP_HOST="10.1.2.3:8000").status_code == 400


def test_a_site_that_is_ready_says_so_check_by_check(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    names = ["static_files", "data_folder", "disk", "database", "migrations"]
    assert answer.json() == {
        "status": "ready",
        "checks": {name: {"ok": True, "message": ""} for name in names},
    }
    assert "no-store" in answer["Cache-Control"]


def failed(client):
    readiness.forget_last_check()
    answer = client.get("/readyz")
    checks = json.loads(answer.content)["checks"]
    return answer.status_code, {name: check["message"] for name, check in checks.items() if not check["ok"]}


def test_what_is_missing_is_named_without_secrets(client, settings, tmp_path, monkeypatch):
    settings.DATA_DIR = tmp_path / "gone"
    status, reasons = failed(client)
    assert status == 503 and set(reasons) == {"data_folder", "disk"}
    assert reasons["data_folder"] == "The data folder takes no files: No such file or directory."
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(readiness, "MIN_FREE_DISK_MB", 10**12)
    status, reasons = failed(client)
    assert status == 503 and set(reasons) == {"disk"}
    monkeypatch.setattr(readiness, "MIN_FREE_DISK_MB", 0)
    manifest = "whitenoise.storage.CompressedManifestStaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": manifest}}
    settings.STATIC_ROOT = tmp_path / "static"
    status, reasons = failed(client)
    assert status == 503 and set(reasons) == {"static_files"}
    assert str(tmp_path) not in reasons["static_files"] and "collectstatic" in reasons["static_files"]
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "staticfiles.json").write_text('{"paths": {"js/old.js": "js/old.1.js"}}')
    status, reasons = failed(client)
    assert status == 503 and "collected by another version" in reasons["static_files"]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_or_lacks_tables_is_named(client, monkeypatch):
    monkeypatch.setattr(readiness, "not_migrated", lambda: "The database lacks 2 migrations of this version.")
    assert failed(client) == (503, {"migrations": "The database lacks 2 migrations of this version."})
    monkeypatch.undo()
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 120.0)
    connection.close()
    if connection.vendor == "postgresql":
        monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    else:
        monkeypatch.setitem(connection.settings_dict, "NAME", "/nowhere/at/all.sqlite3")
    status, reasons = failed(client)
    assert status == 503 and reasons["database"] == "The database does not answer."
    assert set(reasons) == {"database", "migrations"}


def test_a_check_that_hangs_is_not_waited_for_and_not_started_twice(monkeypatch):
    import threading

    go_on, begun = threading.Event(), []

    def hang():
        begun.append(time.monotonic())
        go_on.wait(120)
        return ""

    monkeypatch.setitem(CHECKS, "database", hang)
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 0.05)
    readiness.forget_last_check()
    try:
        for _ in range(3):
            late = check_readiness()
            assert late["database"] == late["migrations"] == "No answer within 0.05 seconds."
        assert len(begun) <= 1
    finally:
        go_on.set()
        assert readiness._last is not None
        readiness._last.thread.join(120)
