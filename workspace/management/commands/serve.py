"""manage.py serve: the site, with as many web workers as there are cores."""

import json
import socket
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from workspace.commands import require_migrated_database
from workspace.web_server import WebServerOptions, default_workers, serve, web_server_command


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
        "Serve the site until stopped (Ctrl-C or SIGTERM lets what is being answered end). Put a proxy that speaks TLS "
        "and buffers requests, such as nginx, before it where others than this machine reach it."
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
            "--workers", type=_at_least_one, help="web worker processes (default: one for each core)"
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
        connection.close()
        _require_static_files()
        server = WebServerOptions(
            host=options["host"],
            port=options["port"],
            socket=options["socket"],
            workers=options["workers"] or default_workers(),
            threads=options["threads"],
            access_log=options["access_log"],
        )
        _require_free_place(server)
        processes = "1 web worker" if server.workers == 1 else f"{server.workers} web workers"
        self.stdout.write(f"Serving {server.address} with {processes} of {server.threads} threads.")
        self.stdout.flush()
        if status := serve(web_server_command(server), say=self.stderr.write):
            raise CommandError(
                f"The web server ended as soon as it began (status {status}): what it said stands above.",
                returncode=1,
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


def _require_static_files() -> None:
    """Raises CommandError when files that pages name have not been collected, or not since the program was changed."""
    if "Manifest" not in settings.STORAGES["staticfiles"]["BACKEND"]:
        return
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    remedy = "run `manage.py collectstatic --noinput` (`make setup` does)."
    try:
        collected = json.loads(manifest.read_text())["paths"]
    except FileNotFoundError as error:
        raise CommandError(
            f"The static files have not been collected into {settings.STATIC_ROOT}: {remedy}", returncode=2
        ) from error
    names = (
        f"{storage.prefix}/{name}" if getattr(storage, "prefix", None) else name
        for finder in get_finders()
        for name, storage in finder.list(ignore_patterns=None)
    )
    if missing := sorted(name for name in names if name not in collected):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CommandError(
            f"The static files were collected by another version ({missing[0]}{more} missing): {remedy}",
            returncode=2,
        )
