"""The two processes that the demo starts: the web server and a worker."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


def free_port(wanted: int) -> int:
    """The wanted port, or the next free one above it."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"No free port between {wanted} and {wanted + 49}: say another one with --port.")


@contextmanager
def run_processes(*commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that live as long as the block; they are asked to stop, then made to."""
    log = (settings.DATA_DIR / "demonstration.log").open("ab")
    processes = [
        subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=log, stderr=log, start_new_session=True)
        for command in commands
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.close()


def web_server_command(port: int) -> list[str]:
    # One process: SQLite has one writer anyway, and threads share its page cache.
    options = ["--interface", "rsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    options += ["--http", "1", "--no-ws", "--log-level", "warning"]
    return [sys.executable, "-m", "granian", *options, "config.rsgi:application"]


def worker_command() -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"]
