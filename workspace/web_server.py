"""The web server as one process that keeps it up: granian, started again when it ends by itself.

Granian starts a dead worker process again, but takes two deaths within a few seconds for a fault of the application and
ends. A site that is served for years comes back then, too.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings

# One that ends sooner than this after its start has not served: a taken port, a setting granian does not know.
NEVER_SERVED_SECONDS = 3.0
RESTART_DELAY_SECONDS = 1.0
GRACE_SECONDS = 20.0  # for requests that are being answered when the server is stopped


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
    access_log: bool

    @property
    def address(self) -> str:
        return f"the socket {self.socket}" if self.socket else f"http://{self.host}:{self.port}/"


def default_workers() -> int:
    """One worker process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def web_server_command(options: WebServerOptions) -> list[str]:
    place = (
        ["--uds", options.socket] if options.socket else ["--host", options.host, "--port", str(options.port)]
    )
    processes = ["--workers", str(options.workers), "--blocking-threads", str(options.threads)]
    # The browser's work page keeps its connection; what may be served over it is HTTP/1 alone.
    behaviour = [
        "--interface",
        "wsgi",
        "--http",
        "1",
        "--no-ws",
        "--respawn-failed-workers",
        "--log-level",
        "warning",
    ]
    if options.access_log:
        behaviour.append("--access-log")
    return [sys.executable, "-m", "granian", *place, *processes, *behaviour, "config.wsgi:application"]


def serve(command: Sequence[str], *, say: Callable[[str], None]) -> int:
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
            process = subprocess.Popen(command, cwd=settings.BASE_DIR, start_new_session=True)
            if stopped:
                process.send_signal(signal.SIGTERM)
            status = process.wait()
            if stopped:
                break
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


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of the server outlives it, nor this process."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
