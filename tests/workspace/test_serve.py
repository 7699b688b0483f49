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
    site.terminate()
    said, _ = site.communicate()
    assert site.returncode == 0, said
    assert not [pid for pid in last if Path(f"/proc/{pid}").exists()]
    assert health(port) is None
