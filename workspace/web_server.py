"""The web server as one process that keeps it up: granian, started again when it ends by itself.

Granian starts a dead worker process again, but takes two deaths within a few seconds for a fault of the application and
ends. A site that is served for years comes back then, too.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import connection

from workspace.whole_requests import THREADS_VARIABLE

# Database connections that the web workers leave to job workers, commands, backups and an operator's psql.
CONNECTIONS_FOR_OTHERS = 10
CONNECTIONS_AT_ONCE = 4096  # requests that a web worker has in hand at most
# One that ends sooner than this after its start has not served: a taken port, a setting granian does not know.
NEVER_SERVED_SECONDS = 3.0
RESTART_DELAY_SECONDS = 1.0
# For requests that are being answered when the server is stopped, and for granian: a worker that it started a moment
# before may miss the signal, and granian waits for that worker for ever.
GRACE_SECONDS = 20.0
STOP_CHECK_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, kw_only=True)
class WebServerOptions:
    """`threads`: of each worker process, each with a database connection of its own. `socket`: a path, instead of host
    and port.
    """

    host: str
    port: int
    socket: str | None
    workers: int
    threads: int

    @property
    def address(self) -> str:
        return f"the socket {self.socket}" if self.socket else f"http://{self.host}:{self.port}/"


def default_workers() -> int:
    """One worker process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_database_connections() -> int | None:
    """How many the web workers may have between them; None where the database sets no bound (SQLite)."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings"
            " WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')"
        )
        return max(1, cursor.fetchone()[0] - CONNECTIONS_FOR_OTHERS)


def web_server_command(options: WebServerOptions) -> list[str]:
    place = (
        ["--uds", options.socket] if options.socket else ["--host", options.host, "--port", str(options.port)]
    )
    # A request that is still coming, or waits for a thread, is one of `backpressure`; it holds no thread.
    processes = ["--workers", str(options.workers), "--backpressure", str(CONNECTIONS_AT_ONCE)]
    # The browser's work page keeps its connection; what may be served over it is HTTP/1 alone.
    behaviour = [
        "--interface",
        "rsgi",
        "--http",
        "1",
        "--no-ws",
        "--respawn-failed-workers",
        "--log-level",
        "warning",
        "--log-config",
        str(settings.BASE_DIR / "config" / "web_server_log.json"),
    ]
    return [sys.executable, "-m", "granian", *place, *processes, *behaviour, "config.rsgi:application"]


def web_server_environment(options: WebServerOptions) -> dict[str, str]:
    return {**os.environ, THREADS_VARIABLE: str(options.threads)}


def serve(
    command: Sequence[str], *, say: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> int:
    """Runs the server until SIGTERM or SIGINT, starting it again when it ends by itself; 0 after a signal, otherwise
    the exit status of a server that never served.
    """
    stopped = False
    process: subprocess.Popen[bytes] | None = None

    def stop(signum: int, frame: object) -> None:
        nonlocal stopped
        stopped = True
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not stopped:
            begun = time.monotonic()
            # A session of its own: Ctrl-C in a terminal reaches it through `stop` alone.
            process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=environment,
                start_new_session=True,
                preexec_fn=partial(end_with_parent, os.getpid()),
            )
            if stopped:
                process.send_signal(signal.SIGTERM)
            while not stopped and process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_CHECK_SECONDS)
            if stopped:
                break
            status = process.wait()
            _end(process)
            if time.monotonic() - begun < NEVER_SERVED_SECONDS:
                return status or 1
            say(f"The web server ended by itself (status {status}); starting it again.")
            time.sleep(RESTART_DELAY_SECONDS)
        return 0
    finally:
        if process is not None:
            _end(process)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def end_with_parent(parent: int) -> None:
    """The calling process is killed when its parent, whose pid this is, ends in any way, SIGKILL included. On Linux;
    elsewhere an orphan must be ended by hand.

    By SIGKILL: asked to end in a bad moment granian and its web workers wait for ever, with Python's lock in hand, so
    that no thread of theirs could end them either, and whoever would is gone.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before this was asked for
        os.kill(os.getpid(), signal.SIGKILL)


def web_worker_ends_with_its_server() -> None:
    """For each process that imports the WSGI application: a web worker of granian never outlives granian and holds the
    port. Other servers' processes, which multiprocessing did not start, are left alone.
    """
    if server := multiprocessing.parent_process():
        end_with_parent(server.pid or 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of the server outlives it, nor this process."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
