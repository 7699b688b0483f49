"""Our site as an operator starts it, on a database and a data folder of its own."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from load.postgres import free_port
from load.processes import children, command_line

ROOT = Path(__file__).resolve().parents[2]
FILLING = Path(__file__).with_name("filling.py")
START_TIMEOUT_S = 60


class OurSite:
    """Files in `folder`; SQLite without a database address. `workers`: web workers, None for the default."""

    def __init__(self, folder: Path, database_url: str = "", *, workers: int | None = None):
        self.folder = folder
        self.workers = workers
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ROUNDTABLE_")},
            "ROUNDTABLE_DATA_DIR": str(folder),
            "ROUNDTABLE_SECRET_KEY": secrets.token_urlsafe(40),
        }
        if database_url:
            self.environment["ROUNDTABLE_DATABASE_URL"] = database_url
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *command: str) -> str:
        """A command of ours in the site's environment; its output."""
        process = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return process.stdout

    def prepare(self) -> None:
        self.run("manage.py", "migrate", "--verbosity", "0")
        # The sites of one run share their static files.
        static = self.folder.parent / "static"
        static.mkdir(exist_ok=True)
        (self.folder / "static").symlink_to(static)
        if not any(static.iterdir()):
            self.run("manage.py", "collectstatic", "--noinput", "--verbosity", "0")

    def fill(self, **options: Any) -> dict[str, Any]:
        """{project, page_version, accounts}: see filling.py."""
        logins = [f"--{name}" for name in ("logins", "everything") if options.pop(name, False)]
        words = [
            word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        filled = json.loads(self.run(str(FILLING), "fill", *words, *logins).splitlines()[-1])
        if filled.pop("drift"):
            raise RuntimeError("The filled project's counters do not agree: filling.py is behind the models.")
        return filled

    def prepare_repeats(self) -> None:
        """As a worker does every twenty seconds."""
        self.run(str(FILLING), "repeats")

    def count(self, accepted_file: Path) -> dict[str, Any]:
        output = self.run(str(FILLING), "count", "--accepted", str(accepted_file))
        counts: dict[str, Any] = json.loads(output.splitlines()[-1])
        return counts

    def _command(self) -> list[str]:
        serve = subprocess.run(
            [sys.executable, "manage.py", "serve", "--help"],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
        )
        port = ["--port", str(self.port)]
        if serve.returncode == 0:
            return ["manage.py", "serve", *port, *(["--workers", str(self.workers)] if self.workers else [])]
        cores = len(os.sched_getaffinity(0)) if "ROUNDTABLE_DATABASE_URL" in self.environment else 1
        options = ["--interface", "wsgi", "--workers", str(self.workers or cores), "--blocking-threads", "8"]
        options += ["--respawn-failed-workers", "--log-level", "warning"]
        return ["-m", "granian", *port, *options, "config.wsgi:application"]

    def start(self) -> None:
        with (self.folder / "site.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._command()], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise SystemExit("The site does not start:\n" + self.log()[-3000:]) from None
                time.sleep(0.1)

    def log(self) -> str:
        return (self.folder / "site.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def web_workers(self) -> list[int]:
        """The processes that answer requests: the leaves of the tree, without Python's bookkeeper."""
        found, waiting = [], [self.pid]
        while waiting:
            below = [pid for pid in children(waiting.pop()) if "resource_tracker" not in command_line(pid)]
            for pid in below:
                if any("resource_tracker" not in command_line(child) for child in children(pid)):
                    waiting.append(pid)
                else:
                    found.append(pid)
        return found

    def kill_a_worker(self, chance: random.Random) -> bool:
        """SIGKILL for one web worker; whether there was one."""
        if not (workers := self.web_workers()):
            return False
        os.kill(chance.choice(workers), signal.SIGKILL)
        return True

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()
