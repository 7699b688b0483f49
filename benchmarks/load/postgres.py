"""A PostgreSQL cluster of one's own: temporary folder, private port, gone at the end.

With its default settings, fsync included. (`.ci/with-postgres` turns fsync off, and a fault run stops and freezes
the server by hand.)
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from load.processes import children


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """`data`: where its files lie (None: in a temporary folder)."""

    def __init__(self, data: Path | None = None):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        if not found:
            raise SystemExit("PostgreSQL is not installed: `.ci/system-packages postgresql` says how.")
        self.bin = found[-1]
        self.folder = Path(tempfile.mkdtemp(prefix="roundtable-cluster-"))
        self.data = data or self.folder / "data"
        self.port = free_port()

    def _run(self, *command: str) -> None:
        """As the server's own user where we are root: it refuses to run as root."""
        as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        process = subprocess.run(
            [*as_user, *command], cwd="/", capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if process.returncode:
            raise RuntimeError(f"{command[0]}: {process.stdout}{process.stderr}")

    def _control(self, *arguments: str) -> None:
        # Its log goes to a file: a pipe would stay open as long as the server runs.
        self._run(
            f"{self.bin}/pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", *arguments
        )

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self._control("-t", "60", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._control("-m", mode, "stop")

    def start_if_stopped(self) -> None:
        try:
            self._control("status")
        except RuntimeError:
            self.start()

    def create_database(self, name: str) -> str:
        """Its address."""
        self._run(f"{self.bin}/createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "roundtable", name)
        return f"postgresql://roundtable@127.0.0.1:{self.port}/{name}"

    def drop_database(self, name: str) -> None:
        self._run(
            f"{self.bin}/dropdb", "--force", "-h", "127.0.0.1", "-p", str(self.port), "-U", "roundtable", name
        )

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def freeze(self) -> list[int]:
        """SIGSTOP for the server and all its processes; give the result to `thaw`."""
        stopped = [self.pid, *children(self.pid)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        return stopped

    def thaw(self, stopped: list[int]) -> None:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run(
            f"{self.bin}/initdb",
            "-D",
            str(self.data),
            "-U",
            "roundtable",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        )
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        try:
            self.stop("immediate")
        except RuntimeError as error:
            print(error)
        shutil.rmtree(self.folder, ignore_errors=True)
