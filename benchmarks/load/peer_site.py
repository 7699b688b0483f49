"""Label Studio beside ours: started from a virtual environment of its own, on a database of the same cluster.

Nothing of ours imports it; `peer_project.py` runs inside its environment. Its production server, two gunicorn
workers of eight threads each, with its token login.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from load.postgres import free_port

SETTING_UP = Path(__file__).with_name("peer_project.py")
START_TIMEOUT_S = 300


class LabelStudio:
    """`environment`: a virtual environment with label-studio, gunicorn and psycopg2; `folder`: where its files go."""

    def __init__(self, environment: Path, folder: Path, *, database_port: int, database: str):
        # Not resolved: the python of a virtual environment is a link.
        self.python = environment.absolute() / "bin" / "python"
        self.folder = folder
        self.port = free_port()
        self.variables = {
            **os.environ,
            "PYTHONPATH": str(self._package()),
            "DJANGO_SETTINGS_MODULE": "core.settings.label_studio",
            "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "COLLECT_ANALYTICS": "False",
            "LATEST_VERSION_CHECK": "False",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "DEBUG": "False",
            "LOG_LEVEL": "WARNING",
            "SECRET_KEY": "of a site that lives for minutes",
            "DJANGO_DB": "default",
            "POSTGRE_HOST": "127.0.0.1",
            "POSTGRE_PORT": str(database_port),
            "POSTGRE_NAME": database,
            "POSTGRE_USER": "roundtable",
            "POSTGRE_PASSWORD": "none",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def _package(self) -> Path:
        return next(self.python.parents[1].glob("lib/python*/site-packages/label_studio"))

    def _run(self, *command: str, text: str | None = None) -> str:
        with (self.folder / "setup.log").open("ab") as log:
            process = subprocess.run(
                # Without the script's own folder: it has modules of ours.
                [str(self.python), "-P", *command],
                cwd=self._package(),
                env=self.variables,
                input=text,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if process.returncode:
            raise SystemExit("Label Studio: " + (self.folder / "setup.log").read_text()[-3000:])
        return process.stdout

    def version(self) -> str:
        asks = "import importlib.metadata as m; print(m.version('label-studio'))"
        return subprocess.run(
            [str(self.python), "-c", asks], capture_output=True, text=True, check=True
        ).stdout.strip()

    def set_up(self, *, tasks: list[dict[str, str]], **options: int) -> dict[str, Any]:
        """Its tables, a project of copies of `tasks` and annotators: {project, accounts}."""
        self._run("manage.py", "migrate", "--verbosity", "0")
        output = self._run(str(SETTING_UP), text=json.dumps({"tasks": tasks, **options}))
        made: dict[str, Any] = json.loads(output.splitlines()[-1])
        return made

    def start(self) -> None:
        command = [str(self.python.with_name("gunicorn")), "--chdir", str(self._package())]
        command += ["--workers", "2", "--worker-class", "gthread", "--threads", "8", "--timeout", "300"]
        command += ["--bind", f"127.0.0.1:{self.port}", "core.wsgi:application"]
        with (self.folder / "site.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.variables, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=30).close()
                return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    log_text = (self.folder / "site.log").read_text(errors="replace")
                    raise SystemExit("Label Studio does not start:\n" + log_text[-3000:]) from None
                time.sleep(0.5)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
            self.process = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()
