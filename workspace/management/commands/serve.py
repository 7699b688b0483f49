"""manage.py serve: the site, with as many web workers as there are cores."""

import logging
import os
import shutil
import socket
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from workspace.commands import require_migrated_database
from workspace.static_files import describe_missing_static_files
from workspace.web_server import (
    WebServerOptions,
    default_workers,
    most_database_connections,
    serve,
    web_server_command,
    web_server_environment,
)
from workspace.whole_requests import WAITING_THREADS

logger = logging.getLogger(__name__)


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text} is no whole number above 0")
    return number


class Command(BaseCommand):
    help = (
        "Serve the site until stopped (Ctrl-C or SIGTERM lets what is being answered end). Put a proxy that speaks "
        "TLS, such as nginx, before it where others than this machine reach it, and set ROUNDTABLE_URL."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="the address to listen on (default: this machine only)"
        )
        parser.add_argument("--port", type=_at_least_one, default=8000)
        parser.add_argument(
            "--socket", metavar="PATH", help="listen on a Unix socket instead of host and port"
        )
        parser.add_argument(
            "--workers",
            type=_at_least_one,
            help="web worker processes (default: one for each core that PostgreSQL has connections for)",
        )
        parser.add_argument(
            "--threads",
            type=_at_least_one,
            default=4,
            help="threads of each worker, each with one database connection (default: 4)",
        )
        parser.add_argument("--access-log", action="store_true", help="write a line for each request")

    def handle(self, *args: Any, **options: Any) -> None:
        require_migrated_database()
        workers = _fitting_workers(options["workers"], options["threads"])
        connection.close()
        if sentence := describe_missing_static_files():
            raise CommandError(sentence, returncode=2)
        server = WebServerOptions(
            host=options["host"],
            port=options["port"],
            socket=options["socket"],
            workers=workers,
            threads=options["threads"],
        )
        _require_free_place(server)
        processes = "1 web worker" if server.workers == 1 else f"{server.workers} web workers"
        self.stdout.write(f"Serving {server.address} with {processes} of {server.threads} threads.")
        self.stdout.flush()
        if options["access_log"]:
            os.environ["ROUNDTABLE_ACCESS_LOG"] = "1"
        with _shared_counts():
            status = serve(
                web_server_command(server), environment=web_server_environment(server), say=logger.warning
            )
        if status:
            raise CommandError(
                f"The web server ended as soon as it began (status {status}): what it said stands above.",
                returncode=1,
            )


@contextmanager
def _shared_counts() -> Iterator[None]:
    """A folder in which the web workers count requests together, while there is a page that shows them."""
    if not settings.METRICS_TOKEN:
        yield
        return
    folder = tempfile.mkdtemp(prefix="roundtable-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fitting_workers(asked: int | None, threads: int) -> int:
    """As many as were asked for, or one for each core while the database has a connection for every thread.

    Raises CommandError when it has not for those that were asked for.
    """
    workers = asked or default_workers()
    most = most_database_connections()
    connections = threads + WAITING_THREADS  # of a worker
    if most is None or workers * connections <= most:
        return workers
    if asked is None and connections <= most:
        return most // connections
    raise CommandError(
        f"{workers} web workers of {threads} threads, and {WAITING_THREADS} for answers of other programs, need "
        f"{workers * connections} database connections, and PostgreSQL has "
        f"{most} for them: ask for fewer with --workers or --threads, or raise its max_connections.",
        returncode=2,
    )


def _require_free_place(server: WebServerOptions) -> None:
    """Raises CommandError when the port cannot be had: granian would share it with whoever has it."""
    if server.socket:
        return
    with socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET) as probe:
        # As granian binds, so that a port that was just left is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
        except OSError as error:
            raise CommandError(
                f"{server.address} cannot be served: {error.strerror}; name another with --host or --port.",
                returncode=1,
            ) from error
