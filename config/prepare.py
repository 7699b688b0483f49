"""`make setup`, second half: the data folder, its secret key, the database's tables, the static files.

    python -m config.prepare [--quiet] [--wait SECONDS] [--then COMMAND...]

A module of its own because `manage.py` does not start without a secret key. It obeys the same variables as the site
and can be run at any time, by an upgrade too: what is done already is left as it is. `--wait` tries again while the
database does not answer; `--then manage.py serve` becomes that command of Python once all is done. Exit code 2 and one
sentence when a setting is wrong, 1 when the database or the folder cannot be used.
"""

import argparse
import hashlib
import os
import secrets
import stat
import sys
import tempfile
import time
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from config.environment import SETTINGS, Environment

STAMP = ".collected"  # in STATIC_ROOT: what the files there were collected from


def write_secret_key(data_dir: Path) -> None:
    """A secret key that only its owner can read, unless there is one."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / "secret_key"
    if path.is_file() and path.stat().st_size:
        return
    with tempfile.NamedTemporaryFile("w", dir=data_dir, prefix=".secret_key-") as file:  # mode 0600
        file.write(secrets.token_urlsafe(48) + "\n")
        file.flush()
        path.unlink(missing_ok=True)  # an empty one
        try:
            # Never over a key that another process has written meanwhile.
            os.link(file.name, path)
        except FileExistsError:
            return


def close_to_others(data_dir: Path, umask: int) -> None:
    """The folder as its setting says, also where an earlier version left it open to everybody; only its owner can."""
    wanted = 0o777 & ~umask
    if wanted & 0o070:
        wanted |= stat.S_ISGID  # what is made in it belongs to its group
    modes = {
        data_dir: wanted,
        data_dir / "secret_key": 0o640 & ~umask,
        data_dir / "roundtable.sqlite3": 0o660 & ~umask,  # SQLite itself gives a group no more than reading
    }
    for path, mode in modes.items():
        if path.exists() and path.stat().st_uid == os.geteuid() and stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def migrate() -> bool:
    """Makes the tables of this version; False when they are there."""
    from workspace.unavailable import missing_migrations  # noqa: PLC0415 (needs Django set up)

    if not missing_migrations():
        return False
    call_command("migrate", verbosity=0)
    return True


def collect_static_files() -> bool:
    """Copies, names and compresses what pages load; False when the same files were collected before."""
    from django.conf import settings  # noqa: PLC0415

    from workspace.static_files import files_to_collect  # noqa: PLC0415

    digest = hashlib.sha256()
    for address, name, storage in files_to_collect():
        digest.update(f"{address}\0".encode())
        with storage.open(name) as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    stamp = Path(settings.STATIC_ROOT) / STAMP
    manifest = stamp.with_name("staticfiles.json")
    if manifest.is_file() and stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return False
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(digest.hexdigest())
    return True


def what_to_set() -> list[str]:
    """What a site that others reach still needs, a line each."""
    wanted = {
        "URL": ("https://desk.example.org", "the address people type; a proxy speaks TLS there"),
        "DATABASE_URL": ("postgresql://user:password@host/name", "for more than a handful of people at once"),
    }
    environment = Environment()
    return [
        f"  {f'{SETTINGS[name].variable}={example}':<64} {why}"
        for name, (example, why) in wanted.items()
        if not environment.is_set(name)
    ]


def prepare(*, quiet: bool, wait_seconds: float = 0) -> None:
    """Raises ImproperlyConfigured, CommandError, DatabaseError or OSError."""
    environment = Environment()
    data_dir = Path(environment.read("DATA_DIR") or Path(__file__).resolve().parent.parent / "var").resolve()
    if not environment.read("SECRET_KEY"):
        write_secret_key(data_dir)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django  # noqa: PLC0415 (the settings are read here, after the key is there)

    django.setup()
    from django.conf import settings  # noqa: PLC0415

    wait_for_database(wait_seconds)
    migrated, collected = migrate(), collect_static_files()
    close_to_others(data_dir, settings.FILE_UMASK)
    if quiet:
        return
    done = [word for word, was in (("tables made", migrated), ("static files collected", collected)) if was]
    # The name of the database alone: its address may hold a password.
    name = connection.settings_dict["NAME"]
    database = f"the PostgreSQL database {name}" if connection.vendor == "postgresql" else str(name)
    print(f"Ready: data in {data_dir}, {database} ({', '.join(done) or 'nothing was to be done'}).")
    if missing := what_to_set():
        print("For a site that others reach, set as well (all settings: docs/settings.md):")
        print("\n".join(missing))
    print(
        "Next: .venv/bin/python manage.py createsuperuser, then manage.py serve and manage.py worker (README.md)."
    )


def wait_for_database(seconds: float) -> None:
    """Until it answers, or the time is over: what it says then is for who asks next."""
    deadline, said = time.monotonic() + seconds, ""
    while True:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if time.monotonic() >= deadline:
                return
            reason = str(error).strip().partition("\n")[0]
            if reason != said:
                print(f"Waiting for the database. ({reason})", file=sys.stderr, flush=True)
            said = reason
            time.sleep(0.5)
        else:
            return


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m config.prepare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing when all went well")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="for a database that is starting"
    )
    parser.add_argument(
        "--then", nargs=argparse.REMAINDER, default=[], metavar="COMMAND", help="what to become"
    )
    options = parser.parse_args(arguments)
    if (code := try_to_prepare(quiet=options.quiet, wait_seconds=options.wait)) or not options.then:
        return code
    connection.close()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *options.then])


def try_to_prepare(*, quiet: bool, wait_seconds: float) -> int:
    """The exit code; what is wrong is said on standard error."""
    try:
        prepare(quiet=quiet, wait_seconds=wait_seconds)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 2
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.returncode
    except (DatabaseError, InterfaceError, OSError) as error:
        from workspace.unavailable import explain  # noqa: PLC0415

        reason = str(error).strip().partition("\n")[0]
        sentence = explain(error)
        if sentence is None and not isinstance(error, OSError):
            raise
        print(f"{sentence} ({reason})" if sentence else f"Nothing can be written: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
