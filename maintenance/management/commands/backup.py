"""manage.py backup DIR [--keep N] [--with-secret-key] | --list | --verify [--at NAME]"""

import json
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from maintenance.backups.database_dumps import dump_fault
from maintenance.backups.making import make_backup
from maintenance.backups.manifest import Manifest, find_manifests, read_manifest, verify_backup
from maintenance.backups.object_store import ObjectStore
from workspace.commands import require_migrated_database
from workspace.errors import ActionError

# As of a backup program's "made, but some of it could not be read".
EXIT_WITH_FAULTS = 3


def at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


class Command(BaseCommand):
    help = (
        "Back up the whole site (database, datasets, models, run directories) into DIR while it is in use. Content "
        "that an earlier backup in DIR has is not stored twice. The last line is the backup's name. Exit code 3: made, "
        "but the database names files that were missing or changed already (`manage.py reconcile`)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "folder", metavar="DIR", type=Path, help="a folder of its own, best on another disk"
        )
        parser.add_argument(
            "--keep", type=at_least_one, metavar="N", help="afterwards drop all backups but the newest N"
        )
        parser.add_argument(
            "--with-secret-key",
            action="store_true",
            help="take the file secret_key, too: who has the backup can then forge sessions of the site",
        )
        parser.add_argument("--list", action="store_true", help="make none; list those in DIR")
        parser.add_argument(
            "--verify",
            action="store_true",
            help="make none; read those in DIR (or --at) and compare every hash",
        )
        parser.add_argument("--at", metavar="NAME", help="of --verify: this backup alone")
        parser.add_argument("--json", action="store_true", help="of --list: one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["list"]:
                self._list(options["folder"], as_json=options["json"])
            elif options["verify"]:
                self._verify(options["folder"], options["at"])
            else:
                self._make(options)
        except ActionError as error:
            raise CommandError(str(error), returncode=2) from error

    def _make(self, options: dict[str, Any]) -> None:
        require_migrated_database()
        made = make_backup(
            options["folder"],
            with_secret_key=options["with_secret_key"],
            keep=options["keep"],
            say=self._say if options["verbosity"] else lambda sentence: None,
        )
        manifest = made.manifest
        if options["verbosity"]:
            self.stdout.write(
                f"{_describe(manifest)}; {made.bytes_copied / 1e6:,.1f} MB were read and copied, the rest was there."
            )
            if made.dropped:
                self.stdout.write(
                    f"Dropped {', '.join(made.dropped)}: {made.bytes_freed / 1e6:,.1f} MB freed."
                )
            if not manifest.has_secret_key:
                self.stdout.write(
                    "The secret key is not in it: keep it elsewhere, or people log in anew after a restore."
                )
        self.stdout.write(manifest.name)
        if manifest.faults:
            for sentence in manifest.faults:
                self.stderr.write(sentence)
            raise CommandError(
                f"The backup {manifest.name} was made, but {len(manifest.faults)} of the files that the database names "
                "were missing or changed before: see `manage.py reconcile`.",
                returncode=EXIT_WITH_FAULTS,
            )

    def _list(self, folder: Path, *, as_json: bool) -> None:
        manifests = find_manifests(folder)
        for manifest in manifests:
            if as_json:
                self.stdout.write(
                    json.dumps(
                        {
                            "name": manifest.name,
                            "created_at": manifest.created_at,
                            "version": manifest.version,
                            "database": manifest.database.vendor,
                            "rows": manifest.database.rows,
                            "files": sum(1 for _ in manifest.all_files()),
                            "bytes": manifest.size,
                            "faults": list(manifest.faults),
                            "secret_key": manifest.has_secret_key,
                        }
                    )
                )
            else:
                self.stdout.write(f"{_describe(manifest)}; version {manifest.version}.")
        if not manifests and not as_json:
            self.stdout.write(f"{folder} has no backup yet.")

    def _verify(self, folder: Path, at: str | None) -> None:
        store = ObjectStore.open(folder)
        manifests = [read_manifest(store, at)] if at else find_manifests(folder)
        if not manifests:
            raise CommandError(f"{folder} has no backup.", returncode=1)
        bad = 0
        for manifest in manifests:
            faults = verify_backup(store, manifest)
            dump = store.path(manifest.database.sha256)
            if not faults and (fault := dump_fault(manifest.database.vendor, dump)):
                faults = [f"{manifest.name}: {fault}"]
            for fault in faults:
                self.stdout.write(fault)
            if not faults:
                self.stdout.write(f"{_describe(manifest)}: whole.")
            bad += bool(faults)
        if bad:
            plural = "" if bad == 1 else "s"
            raise CommandError(
                f"{bad} backup{plural} of {len(manifests)} damaged: what is missing cannot be restored from there; "
                "make a new backup.",
                returncode=1,
            )

    def _say(self, sentence: str) -> None:
        self.stderr.write(f"{sentence} ...")


def _describe(manifest: Manifest) -> str:
    files = sum(1 for _ in manifest.all_files())
    rows = manifest.database.rows
    projects, judgments = rows.get("workspace_project", 0), rows.get("annotation_judgment", 0)
    return (
        f"{manifest.name}: {projects:,} projects, {judgments:,} judgments ({manifest.database.vendor}), "
        f"{files:,} files, {manifest.size / 1e6:,.1f} MB"
    )
