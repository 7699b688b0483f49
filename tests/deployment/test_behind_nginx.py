"""deploy/ as an operator has it: nginx with TLS before the units' commands, on PostgreSQL; judged, trained, killed."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest

from tests.deployment.https_client import HttpsClient
from tests.deployment.units import INSTALLED_PYTHON, ROOT, Unit

pytestmark = pytest.mark.slow
HOST = "desk.example.org"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, *, processes=()):
    deadline = time.monotonic() + 600
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        for process in processes:
            assert process.poll() is None, f"{what}: a process has ended with {process.returncode}"
        time.sleep(0.2)
    return found


class Machine:
    """A folder in the place of the machine that deploy/ speaks of: its paths, ports, database, nginx and units."""

    def __init__(self, folder: Path, database_url: str):
        self.folder, self.database_url = folder, database_url
        self.http_port, self.https_port, self.site_port = free_port(), free_port(), free_port()
        self.etc = folder / "etc"
        self.etc.mkdir()
        self.certificate, self.key = self.etc / "certificate.pem", self.etc / "key.pem"
        self.units: list[Unit] = []
        self.nginx: subprocess.Popen[bytes] | None = None

    def here(self, text: str) -> str:
        for installed, ours in (
            (INSTALLED_PYTHON, sys.executable),
            ("/opt/roundtable", str(ROOT)),
            ("/etc/roundtable", str(self.etc)),
            ("/var/lib/roundtable", str(self.folder / "data")),
            ("/var/cache/roundtable", str(self.folder / "cache")),
            ("/var/backups/roundtable", str(self.folder / "backups")),
            ("--port 8000", f"--port {self.site_port}"),
        ):
            text = text.replace(installed, ours)
        return text

    def write_environment(self) -> None:
        text = self.here((ROOT / "deploy" / "environment.example").read_text())
        text = text.replace("postgresql:///roundtable", f'"{self.database_url}"')
        text = text.replace(f"https://{HOST}", f"https://{HOST}:{self.https_port}")
        # Shorter than in life: a killed worker's run is taken over while the test waits.
        text += (
            "ROUNDTABLE_RUN_LEASE_SECONDS=6\nROUNDTABLE_RUN_RETRY_BASE_SECONDS=0\nROUNDTABLE_RUN_THREADS=1\n"
        )
        (self.etc / "environment").write_text(text)

    def start_nginx(self) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
             "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", self.key, "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        site = (ROOT / "deploy" / "nginx.conf").read_text()
        site = re.sub(r"listen \[::\].*\n", "", site)
        site = site.replace("listen 80;", f"listen 127.0.0.1:{self.http_port};")
        site = site.replace("listen 443 ", f"listen 127.0.0.1:{self.https_port} ")
        site = site.replace("127.0.0.1:8000", f"127.0.0.1:{self.site_port}")
        site = site.replace("/var/log/nginx/", f"{self.folder}/")
        site = re.sub(r"/etc/letsencrypt/\S+fullchain.pem", str(self.certificate), site)
        site = re.sub(r"/etc/letsencrypt/\S+privkey.pem", str(self.key), site)
        (self.etc / "site.conf").write_text(site)
        folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in folders)
        (self.etc / "nginx.conf").write_text(
            ("user root;\n" if os.getuid() == 0 else "")
            + f"daemon off;\npid {self.folder}/nginx.pid;\nerror_log {self.folder}/nginx.log;\nevents {{}}\n"
            + f"http {{\naccess_log {self.folder}/access.log;\n{temporary}include {self.etc}/site.conf;\n}}\n"
        )
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert nginx, "nginx is missing: `.ci/system-packages nginx` installs it or says how"
        self.nginx = subprocess.Popen([nginx, "-c", self.etc / "nginx.conf", "-e", self.folder / "nginx.log"])

    def unit(self, name: str) -> Unit:
        unit = Unit(name, self.here, self.folder / f"{name}.log")
        self.units.append(unit)
        return unit

    def command(self, *words: str) -> str:
        """What deploy/roundtable, as this machine's user, prints."""
        script = self.folder / "roundtable"
        text = (ROOT / "deploy" / "roundtable").read_text().replace("runuser -u roundtable -- ", "")
        script.write_text(self.here(text))
        script.chmod(0o755)
        environment = {"PATH": os.environ["PATH"]}
        done = subprocess.run([script, *words], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def client(self, **options) -> HttpsClient:
        return HttpsClient(HOST, self.https_port, self.certificate, **options)

    def value(self, statement: str):
        """The first column of the first row."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(statement).fetchone()
            return row and row[0]

    def end(self) -> None:
        for process in (*(unit.process for unit in self.units), self.nginx):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait()


@pytest.fixture
def machine(tmp_path):
    # Its standard input ends the cluster when it is closed.
    announce = 'echo "$ROUNDTABLE_DATABASE_URL"; cat'
    with subprocess.Popen(
        [ROOT / ".ci" / "with-postgres", "bash", "-c", announce],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as cluster:  # fmt: skip
        database_url = cluster.stdout.readline().strip()
        assert database_url, "PostgreSQL is missing: `.ci/system-packages postgresql` installs it or says how"
        made = Machine(tmp_path, database_url)
        yield made
        made.end()
        cluster.communicate()


def log_in(client: HttpsClient, username: str, password: str) -> int:
    client.ask("GET", "/login/")
    form = {
        "csrfmiddlewaretoken": client.cookie("csrftoken").value,
        "username": username,
        "password": password,
    }
    return client.ask(
        "POST", "/login/", urlencode(form).encode(),
        Content_Type="application/x-www-form-urlencoded", Origin=client.origin,
    ).status  # fmt: skip


def judge_one(client: HttpsClient, project: str) -> bool:
    """The next task's answer A is the better one; False when there is no task."""
    headers = {
        "Content_Type": "application/json", "Accept": "application/json", "Origin": client.origin,
        "X_CSRFToken": client.cookie("csrftoken").value,
    }  # fmt: skip
    annotate = f"/projects/{project}/annotate"
    answer = client.ask("POST", f"{annotate}/next/", b"{}", **headers)
    assert answer.status == 200, answer
    task = json.loads(answer.body)
    if task["public_id"] is None:
        return False
    judgment = {
        "tiers": [["A"], ["B"]], "strengths": [2], "rationale": "", "flags": [], "seconds": 3.0,
        "idempotency_key": uuid.uuid4().hex, "guideline_version": task["guideline"]["version"],
        "settings_version": task["settings_version"], "revise": False,
    }  # fmt: skip
    answer = client.ask(
        "POST", f"{annotate}/tasks/{task['public_id']}/submit/", json.dumps(judgment).encode(), **headers
    )
    assert answer.status == 201, answer
    return True


def test_the_units_behind_nginx_serve_judge_train_and_survive_a_killed_worker(machine):
    machine.write_environment()
    machine.start_nginx()
    site, worker = machine.unit("roundtable.service"), machine.unit("roundtable-worker@.service")
    backup = machine.unit("roundtable-backup.service")
    assert "the PostgreSQL database roundtable (tables made" in machine.command("-m", "config.prepare")
    site.start()
    client = machine.client()

    def ready():
        with suppress(OSError, http.client.HTTPException):
            return client.ask("GET", "/healthz").status == 200

    wait_until(ready, "the site does not answer through nginx", processes=(site.process, machine.nginx))

    # Plain http is sent on; static files are compressed and kept for years.
    plain = http.client.HTTPConnection("127.0.0.1", machine.http_port, timeout=240)
    plain.request("GET", "/login/?next=/", headers={"Host": HOST})
    redirect = plain.getresponse()
    redirect.read()
    assert (redirect.status, redirect.headers["Location"]) == (301, f"https://{HOST}/login/?next=/")
    page = client.ask("GET", "/login/")
    assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
    static = re.search(rb'href="(/static/[^"]+\.css)"', page.body)[1].decode()
    file = client.ask("GET", static, Accept_Encoding="gzip, br")
    assert (file.status, file.headers["Content-Encoding"]) == (200, "br")
    assert file.headers["Cache-Control"] == "max-age=315360000, public, immutable"

    # What opens the site to who has it is in no log of nginx, whether the site answers or not (below).
    token = "QmFzZTY0LXRva2VuLW9mLWFuLWludml0YXRpb24tMTI"
    client.ask("GET", f"/invitations/{token}/?from={token}")
    client.ask("GET", f"/login/?next=/invitations/{token}/", Referer=f"{client.origin}/invitations/{token}/")
    plain.request("GET", f"/invitations/{token}/", headers={"Host": HOST})
    assert plain.getresponse().read()

    # A project, whose first policy a worker trains; the worker is killed in between and started again by its unit.
    filling = subprocess.Popen(
        [sys.executable, "-m", "tests.deployment.small_project"],
        cwd=ROOT, env=worker.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    project = json.loads(filling.stdout.readline())
    worker.start()
    wait_until(lambda: machine.value("SELECT pid FROM runs_run WHERE pid IS NOT NULL"), "no trainer starts")
    worker.process.send_signal(signal.SIGKILL)
    worker.process.wait()
    worker.start()
    assert json.loads(filling.stdout.readline()) == {"round": 1}
    assert filling.wait() == 0
    trained = "SELECT attempt FROM runs_run WHERE state = 'done' ORDER BY id"
    assert machine.value(trained) == 2

    # People log in over TLS; a wrong password is counted for the address that nginx heard, whatever the client claims.
    stranger = machine.client(comes_from="127.0.0.5")
    stranger.ask("GET", "/login/")
    form = {
        "csrfmiddlewaretoken": stranger.cookie("csrftoken").value,
        "username": "nobody",
        "password": "wrong",
    }
    refused = stranger.ask(
        "POST", "/login/", urlencode(form).encode(), Content_Type="application/x-www-form-urlencoded",
        Origin=stranger.origin, X_Forwarded_For="203.0.113.9",
    )  # fmt: skip
    assert refused.status == 200  # the form again, with a sentence
    assert "Wrong password or name: 'nobody' from 127.0.0.5" in site.log.read_text()
    assert log_in(client, project["username"], project["password"]) == 302
    for name in ("sessionid", "csrftoken"):
        cookie = client.cookie(name)
        assert cookie["secure"] and cookie["path"] == "/" and f"__Host-{name}" in client.cookies
    foreign = client.ask(
        "POST",
        "/password/",
        b"",
        Content_Type="application/x-www-form-urlencoded",
        Origin="https://evil.example",
    )
    assert foreign.status == 403

    # The round: sampled, judged by its annotator through nginx, trained and scored by the worker.
    stage = "SELECT stage FROM rounds_round WHERE number = 1"

    def at(wanted):
        assert machine.value(stage) != "failed", machine.value(
            "SELECT error FROM rounds_round WHERE number = 1"
        )
        return machine.value(stage) == wanted

    wait_until(lambda: at("annotating"), "the round is not sampled", processes=(worker.process,))
    wait_until(
        lambda: not judge_one(client, project["project"]) or not at("annotating"), "judging does not end"
    )
    wait_until(lambda: at("done"), "the round does not end", processes=(worker.process, site.process))
    judged = "SELECT count(*) FROM annotation_judgment j JOIN rounds_round r ON r.number = 1 JOIN annotation_task t"
    assert machine.value(f"{judged} ON t.id = j.task_id AND t.batch_id = r.batch_id") >= 6

    # The nightly unit's command, and the end: SIGTERM to each main process.
    assert backup.start().wait() == 0, backup.log.read_text()
    assert "1 projects" in backup.log.read_text()
    assert (worker.stop(), site.stop()) == (0, 0)
    assert client.ask("GET", f"/invitations/{token}/").status == 502
    machine.end()
    logs = {path.name: path.read_text() for path in machine.folder.glob("*.log")}
    assert [name for name, text in logs.items() if token in text] == []
    paths = re.findall(r'"GET (/invitations/\S*) HTTP', logs["roundtable.log"])
    assert paths == ["/invitations/[token]"] * 3 and logs["access.log"] == ""
    said = site.log.read_text() + worker.log.read_text()
    assert "Traceback" not in said, said
