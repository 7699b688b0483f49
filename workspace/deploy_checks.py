"""`manage.py check --deploy`: what an operator must know of a site that others reach, by the names of our settings.

Django's own checks of the same things are silenced in config/settings.py: they name settings that nobody can set here.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection

from workspace.models import User
from workspace.static_files import describe_missing_static_files
from workspace.unavailable import describe_missing_migrations, explain, missing_migrations

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", ".localhost"}
NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "lustre",
    "ceph",
    "glusterfs",
    "afs",
}
TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
KEY_CHARACTERS = 50  # as many as Django makes


def deploy_check(check: Callable[[], Iterator[CheckMessage]]) -> None:
    @register("roundtable", deploy=True)
    def run(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
        return list(check())


@deploy_check
def address() -> Iterator[CheckMessage]:
    public = sorted(set(settings.ALLOWED_HOSTS) - LOOPBACK)
    if settings.DEBUG:
        yield Error(
            "ROUNDTABLE_DEBUG is on: visitors see tracebacks with settings and data, and no secret key is asked for.",
            hint="Unset it.",
            id="roundtable.E010",
        )
    if not public:
        yield Warning(
            "Only this machine's own browser can open the site: no other host name is allowed.",
            hint="Set ROUNDTABLE_URL to the address people type, as https://desk.example.org.",
            id="roundtable.W011",
        )
    elif not settings.BEHIND_TLS:
        yield Warning(
            f"The site is open under {', '.join(public)} without TLS: passwords and sessions travel in clear text.",
            hint="Put a proxy that speaks TLS before it and set ROUNDTABLE_URL=https://... (docs/deploy.md).",
            id="roundtable.W012",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ROUNDTABLE_ALLOWED_HOSTS has *: a visitor chooses the host name of links that the site makes.",
            hint="Name the hosts, or set ROUNDTABLE_URL alone.",
            id="roundtable.W013",
        )
    https = [origin for origin in settings.CSRF_TRUSTED_ORIGINS if origin.startswith("https:")]
    if https and not settings.BEHIND_TLS:
        yield Warning(
            f"People come by {https[0]}, and the site is told that nothing speaks TLS before it: its cookies are "
            "insecure and its links begin with http.",
            hint="Set ROUNDTABLE_URL to that address and do not set ROUNDTABLE_BEHIND_TLS=0.",
            id="roundtable.W014",
        )
    if settings.BEHIND_TLS and not settings.SITE_URL:
        yield Warning(
            "The site is behind TLS and does not know its address: links in invitations depend on what the proxy "
            "passes on as Host.",
            hint="Set ROUNDTABLE_URL to the address people type.",
            id="roundtable.W015",
        )
    if settings.BEHIND_TLS and not settings.SECURE_HSTS_SECONDS:
        yield Warning(
            "ROUNDTABLE_HSTS_SECONDS is 0: a browser's first request of a day may go over http, where it can be read.",
            hint="Unset it once https works.",
            id="roundtable.W016",
        )
    if settings.BEHIND_TLS and not settings.PROXY_COUNT:
        yield Warning(
            "All visitors have the proxy's address: a few wrong passwords of one close the login for all.",
            hint="Set ROUNDTABLE_PROXY_COUNT to the number of proxies before the site, mostly 1, and let them send "
            "X-Forwarded-For.",
            id="roundtable.W028",
        )


@deploy_check
def secret_key() -> Iterator[CheckMessage]:
    if len(settings.SECRET_KEY) < KEY_CHARACTERS or len(set(settings.SECRET_KEY)) < 10:
        yield Warning(
            f"The secret key is short or monotonous: it should be {KEY_CHARACTERS} random characters or more.",
            hint="Make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`; name the old one in "
            "ROUNDTABLE_SECRET_KEY_FALLBACKS for three days, and nobody is logged out.",
            id="roundtable.W017",
        )


@deploy_check
def data_folder() -> Iterator[CheckMessage]:
    folder = Path(settings.DATA_DIR)
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Error(
            f"The data folder {folder} is missing or cannot be written by this user.",
            hint="Make it, owned by the user that runs site and workers, or set ROUNDTABLE_DATA_DIR.",
            id="roundtable.E018",
        )
        return
    if any(place in folder.parents for place in TEMPORARY):
        yield Warning(
            f"The data folder {folder} is in a folder for temporary files, which may be emptied.",
            hint="Set ROUNDTABLE_DATA_DIR to a folder that stays, as /var/lib/roundtable.",
            id="roundtable.W020",
        )
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < settings.RUN_MIN_FREE_DISK_MB:
        yield Warning(
            f"{free_mb} MB are free under {folder}: workers start nothing below {settings.RUN_MIN_FREE_DISK_MB} MB.",
            hint="Free some, or lower ROUNDTABLE_RUN_MIN_FREE_DISK_MB.",
            id="roundtable.W021",
        )
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        yield Warning(
            "This user is root: a fault of the program could do anything to the machine.",
            hint="Run site and workers as a user of their own that owns the data folder.",
            id="roundtable.W022",
        )


@deploy_check
def database() -> Iterator[CheckMessage]:
    if connection.vendor == "sqlite":
        path = Path(settings.DATABASES["default"]["NAME"])
        file_system = file_system_of(path)
        if file_system in NETWORK_FILE_SYSTEMS:
            yield Error(
                f"The SQLite database {path} is on a network file system ({file_system}), where its locks do not "
                "hold: several machines would destroy it.",
                hint="Set ROUNDTABLE_DATABASE_URL=postgresql://...; the data folder may stay shared.",
                id="roundtable.E023",
            )
        elif set(settings.ALLOWED_HOSTS) - LOOPBACK:
            yield Warning(
                "The database is SQLite: good for one machine and a handful of people; site and workers on several "
                "machines cannot share it.",
                hint="Set ROUNDTABLE_DATABASE_URL=postgresql://... .",
                id="roundtable.W024",
            )
    try:
        if missing := missing_migrations():
            yield Error(describe_missing_migrations(missing), id="roundtable.E025")
        elif not User.objects.filter(is_superuser=True, is_active=True).exists():
            yield Warning(
                "There is no operator yet: nobody can open a project.",
                hint="Make one with `manage.py createsuperuser`.",
                id="roundtable.W026",
            )
    except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
        reason = str(error).strip().partition("\n")[0]
        yield Error(explain(error) or "The database cannot be read.", hint=reason, id="roundtable.E027")


@deploy_check
def static_files() -> Iterator[CheckMessage]:
    if sentence := describe_missing_static_files():
        yield Warning(sentence, hint="A machine with workers only needs none.", id="roundtable.W001")


def file_system_of(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of file system that holds a path, as the kernel names it; "" where that cannot be told."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    places = [(fields[1].replace("\\040", " "), fields[2]) for fields in map(str.split, lines)]
    holding = [(place, kind) for place, kind in places if path == Path(place) or Path(place) in path.parents]
    # The innermost; of two on one place the later one hides the other.
    return max(enumerate(holding), key=lambda item: (len(item[1][0]), item[0]))[1][1] if holding else ""
