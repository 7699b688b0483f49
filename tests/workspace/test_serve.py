"""manage.py serve as an operator has it: a process of its own, its web workers killed, stopped by SIGTERM."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manage(tmp_path):
    """Starts `manage.py WORDS` on an own data folder; what still runs at the end is killed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROUNDTABLE_")}
    environment |= {"ROUNDTABLE_DATA_DIR": str(tmp_path), "ROUNDTABLE_SECRET_KEY": "s" * 50}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def health(port):
    """The status of /healthz; None while nobody answers."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.status
    return None


def wait_until(condition, what):
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def children(pid):
    """The processes under this one, the nearest first."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def alive(pids):
    """Those that run; one that is dead and not yet waited for does not."""
    found = []
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
                found.append(pid)
    return found


def test_an_unmigrated_database_and_missing_static_files_are_one_sentence(manage):
    process = manage("serve", "--port", str(free_port()))
    said, _ = process.communicate()
    assert process.returncode == 2
    assert "run `manage.py migrate` first" in said and "Traceback" not in said


@pytest.mark.slow
def test_the_site_comes_back_when_its_web_workers_are_killed_and_ends_when_asked(manage):
    assert manage("migrate", "--verbosity", "0").wait() == 0
    port = free_port()
    early = manage("serve", "--port", str(port))
    said, _ = early.communicate()
    assert early.returncode == 2
    assert "The static files have not been collected" in said
    assert manage("collectstatic", "--noinput", "--verbosity", "0").wait() == 0
    site = manage("serve", "--port", str(port), "--workers", "2")
    wait_until(lambda: health(port) == 200, "the site does not answer")
    second = manage("serve", "--port", str(port))
    said, _ = second.communicate()
    assert second.returncode == 1
    assert said.strip() == (
        f"CommandError: http://127.0.0.1:{port}/ cannot be served: Address already in use; name another with --host or "
        "--port."
    )
    server, *workers = children(site.pid)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    # Dead twice within seconds: granian itself gives up, and is started again.
    wait_until(lambda: health(port) == 200, "the site does not answer after its workers were killed")
    for pid in children(site.pid)[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: health(port) == 200, "the site does not answer after its workers were killed again")
    last = children(site.pid)
    # Asked to stop while the body of a request is on its way: the request is answered, and then the site ends.
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(240)
        client.sendall(
            b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Cookie: csrftoken=" + b"c" * 32 + b"\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"
        )
        # Said when the application reads the body, in which it looks for the token.
        assert client.recv(4096).startswith(b"HTTP/1.1 100 Continue")
        site.terminate()
        wait_until(lambda: health(port) is None, "new requests are still answered")
        client.sendall(b"username=x")
        assert client.recv(4096).startswith(b"HTTP/1.1 403")  # a form without its token
    said, _ = site.communicate()
    assert site.returncode == 0, said
    assert not [pid for pid in last if Path(f"/proc/{pid}").exists()]
    assert health(port) is None
    # Killed with -9, it can end nobody: what it started ends by itself, and the port is free.
    for kill_granian_too in (False, True):
        site = manage("serve", "--port", str(port), "--workers", "2")
        wait_until(lambda: health(port) == 200, "the site does not answer a third time")
        wait_until(lambda: len(children(site.pid)) >= 3, "the web workers have not started")  # noqa: B023
        family = children(site.pid)
        os.kill(site.pid, signal.SIGKILL)
        if kill_granian_too:
            os.kill(family[0], signal.SIGKILL)
        wait_until(lambda: not alive(family), "processes outlive the killed command")  # noqa: B023
        assert health(port) is None


def test_a_server_that_does_not_end_when_asked_is_ended(tmp_path):
    """As granian hangs when it is stopped while one of its workers is starting."""
    deaf = (
        "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('deaf', flush=True); time.sleep(99)"
    )
    script = tmp_path / "serving.py"
    script.write_text(
        "import sys; from workspace import web_server\n"
        "web_server.GRACE_SECONDS = 0.3\n"
        f"sys.exit(web_server.serve([sys.executable, '-c', {deaf!r}], say=print))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    process = subprocess.Popen(
        [sys.executable, str(script)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "deaf\n"
    process.terminate()
    assert process.wait(240) == 0
    # Nobody holds the other end any more.
    assert process.stdout.read() == ""
