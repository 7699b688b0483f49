"""A backup of a site in use, and whether what is restored from it elsewhere is the same."""

import json
import shutil
from pathlib import Path
from typing import Any

from load.our_site import OurSite
from load.postgres import Cluster

ROWS = Path(__file__).with_name("rows.py")


def back_up(site: OurSite, folder: Path, journal: Path) -> dict[str, Any]:
    """{backup, acknowledged}: its name, and how many judgments had been answered for before it began."""
    acknowledged = len(journal.read_text().split())
    return {
        "backup": site.run("manage.py", "backup", str(folder)).splitlines()[-1],
        "acknowledged": acknowledged,
    }


def compare_restored(
    site: OurSite, folder: Path, backups: Path, journal: Path, made: dict[str, Any], cluster: Cluster | None
) -> dict[str, Any]:
    """The site (stopped) is backed up once more and wiped; both backups are restored in other places.

    Of the second every row of every table must be there; the first must hold every judgment that was answered for
    before it began, and nothing in its append-only tables that the site did not have.
    """
    live = read_rows(site)
    second = site.run("manage.py", "backup", str(backups)).splitlines()[-1]
    shutil.rmtree(site.folder)
    if cluster is not None:
        cluster.drop_database("roundtable")
    promised = journal.read_text().split()[: made["acknowledged"]]
    found: dict[str, Any] = {}
    for name, place in ((made["backup"], "first"), (second, "second")):
        url = cluster.create_database(f"restored_{place}") if cluster else ""
        restored = OurSite(folder / f"restored-{place}", url)
        restored.folder.mkdir()
        restored.run("manage.py", "restore", str(backups), "--at", name)
        rows = read_rows(restored)
        reconciled = restored.run("manage.py", "reconcile").strip()
        found[place] = {"reconcile": reconciled, **compare(rows, live, promised)}
    return found


def read_rows(site: OurSite) -> dict[str, dict[str, str]]:
    """Table -> key of a row -> hash of the row; and of the judgments their idempotency keys."""
    rows: dict[str, dict[str, str]] = json.loads(site.run(str(ROWS)).splitlines()[-1])
    return rows


def compare(
    rows: dict[str, dict[str, str]], live: dict[str, dict[str, str]], promised: list[str]
) -> dict[str, Any]:
    kept = ("annotation_judgment", "workspace_auditevent")
    return {
        "judgments": len(rows["annotation_judgment"]),
        "promised": len(promised),
        "promised_but_missing": len(set(promised) - set(rows["idempotency_keys"])),
        "append_only_rows_that_differ": sum(
            live[table].get(key) != row for table in kept for key, row in rows[table].items()
        ),
        "tables": len(rows),
        "tables_that_differ": [table for table in live if rows.get(table) != live[table]],
    }
