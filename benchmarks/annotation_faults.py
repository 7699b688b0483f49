"""Ten thousand judgments while everything around the site fails in turn: is one lost, doubled or answered by a fault?

    .venv/bin/python benchmarks/annotation_faults.py

On PostgreSQL (an own cluster, fsync on) and on SQLite, twenty annotators judge without a pause over real HTTP, as the
work page does: what is not answered, or answered with 503, is sent again with the same key. Meanwhile, each at its
share of the judgments: web workers are killed with SIGKILL, the web server's parent too; the database is restarted,
crashed (PostgreSQL's immediate mode), frozen for 30 seconds (SQLite: its write lock is held by another process), and
its disk is filled for 20 seconds; and `manage.py backup` runs under that load. Afterwards the database is asked what
was lost, stored twice or over-assigned, the site is wiped, restored elsewhere, and every row of it compared.

The last line is JSON: for each database judgments, lost, doubled, over_assigned, drift, statuses, faults. The disk is
filled on a tmpfs, which only root can mount; for others that fault is left out, and said.
"""

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from annotation_load import play
from load.backup import back_up, compare_restored
from load.our_site import OurSite
from load.postgres import Cluster
from load.processes import children
from load.small_disk import SmallDisk

Figures = dict[str, Any]
# What PostgreSQL needs of a disk for 10,000 judgments, and what SQLite does, with room for its own work.
DISK_MB = 2000


class Faults(threading.Thread):
    """Each fault when its share of the judgments is stored; `log` says when, what, and what it found."""

    def __init__(self, plan: list[tuple[float, str, Callable[[], object]]], journal: Path, judgments: int):
        super().__init__(daemon=True)
        self.plan = sorted(plan, key=lambda entry: entry[0])
        self.journal, self.judgments = journal, judgments
        self.log: list[Figures] = []
        self.ended = threading.Event()
        self.problem: BaseException | None = None

    def stored(self) -> int:
        try:
            return self.journal.read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def run(self) -> None:
        try:
            for share, name, act in self.plan:
                while (stored := self.stored()) < share * self.judgments:
                    if self.ended.wait(0.1):
                        return
                begun = time.time()
                found = act()
                self.log.append({"at": stored, "fault": name, "took_s": round(time.time() - begun, 1)})
                print(f"  {stored:6} judgments: {name} ({self.log[-1]['took_s']} s)", flush=True)
                if isinstance(found, dict):
                    self.log[-1] |= found
        except (
            BaseException
        ) as problem:  # said by the main thread: a fault that could not be made is no result
            self.problem = problem
            raise


def kill_server(site: OurSite) -> None:
    """The web server itself, with SIGKILL: `serve` starts another."""
    for pid in children(site.pid):
        subprocess.run(["kill", "-9", str(pid)], check=False)


def restart(cluster: Cluster, mode: str) -> None:
    cluster.stop(mode)
    cluster.start()


def freeze(cluster: Cluster, seconds: float) -> None:
    stopped = cluster.freeze()
    time.sleep(seconds)
    cluster.thaw(stopped)


def hold_write_lock(database: Path, seconds: float) -> None:
    """What a program does to SQLite that writes for long."""
    holder = sqlite3.connect(database, timeout=120, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    holder.execute("ROLLBACK")
    holder.close()


def fill_disk(disk: SmallDisk, seconds: float, cluster: Cluster | None) -> None:
    disk.keep_full(seconds)
    disk.free()
    if cluster is not None:
        # A server that could not write its log has ended; who runs one has it started again when there is room.
        cluster.start_if_stopped()


def measure(options: argparse.Namespace, name: str, folder: Path) -> Figures:
    with ExitStack() as stack:
        disk = stack.enter_context(SmallDisk(DISK_MB)) if SmallDisk.is_possible() else None
        if disk is None:
            print("  The disk is not filled: mounting a small one needs root.", flush=True)
        cluster = url = None
        # The database is what lies on the small disk: PostgreSQL's whole folder, or the site's with SQLite.
        if name == "postgresql":
            cluster = stack.enter_context(Cluster(disk.folder / "data" if disk else None))
            url = cluster.create_database("roundtable")
        data = disk.folder / "site" if disk and not cluster else folder / "site"
        site = stack.enter_context(OurSite(data, url or ""))
        filled = site.fill(
            # A fifth more than are judged: nobody runs out at the end.
            tasks=int(options.judgments / 3 * 1.2) + 200,
            annotators=options.annotators,
            overlap=3,
            answer_characters=1000,
        )
        site.start()
        journal = folder / "journal"
        plan = {"act": "run", "site": "roundtable", "host": "127.0.0.1", "port": site.port, **filled}
        plan |= {"warmup": 0, "seconds": 3600, "max_cycles": options.judgments, "accepted_file": str(journal)}
        faults = Faults(list_faults(options, site, cluster, disk, folder), journal, options.judgments)
        begun = time.monotonic()
        faults.start()
        played = play(plan, site=site.pid, database=cluster.pid if cluster else 0)
        faults.ended.set()
        faults.join()
        if faults.problem:
            raise SystemExit(f"A fault could not be made: {faults.problem!r}")
        took = time.monotonic() - begun
        # A worker may still be busy with what nobody waits for.
        site.stop()
        counts = site.count(journal)
        other = {status: n for status, n in played["statuses"].items() if not is_expected(status)}
        results = {
            **counts,
            "seconds": round(took, 1),
            "statuses": played["statuses"],
            "unexpected": other,
            "refusals": played["refusals"],
            "faults": faults.log,
        }
        if backup := next((entry for entry in faults.log if entry["fault"] == "backup"), None):
            results["restored"] = compare_restored(site, folder, folder / "backup", journal, backup, cluster)
        print(f"  {name}: {counts}; statuses {played['statuses']}", flush=True)
    return results


def is_expected(status: str) -> bool:
    """An answer of 2xx, 4xx or 503; or none, where the process that was to give it was killed."""
    return not status.isdigit() or status[0] in "24" or status == "503"


def list_faults(
    options: argparse.Namespace, site: OurSite, cluster: Cluster | None, disk: SmallDisk | None, folder: Path
) -> list[tuple[float, str, Callable[[], object]]]:
    chance = random.Random(3)
    faults: list[tuple[float, str, Callable[[], object]]] = [
        (share / 100, "a web worker killed", lambda: site.kill_a_worker(chance))
        for share in (5, 10, 15, 35, 55, 75, 95)
    ]
    faults.append((0.20, "the web server killed", lambda: kill_server(site)))
    faults.append((0.65, "backup", lambda: back_up(site, folder / "backup", folder / "journal")))
    if cluster is not None:
        faults += [
            (0.30, "the database restarted", lambda: restart(cluster, "fast")),
            (0.40, "the database crashed", lambda: restart(cluster, "immediate")),
            (0.50, "the database frozen", lambda: freeze(cluster, options.frozen)),
        ]
    else:
        database = site.folder / "roundtable.sqlite3"
        faults.append(
            (0.50, "the database's write lock held", lambda: hold_write_lock(database, options.frozen))
        )
    if disk is not None:
        faults.append((0.85, "the disk full", lambda: fill_disk(disk, options.full, cluster)))
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"])
    add("--judgments", type=int, default=10_000)
    add("--annotators", type=int, default=20)
    add("--frozen", type=float, default=30.0, help="seconds for which the database is frozen (default: 30)")
    add("--full", type=float, default=20.0, help="seconds for which its disk is full (default: 20)")
    options = parser.parse_args()
    results: Figures = {}
    for name in options.databases:
        print(f"{name}:", flush=True)
        folder = Path(tempfile.mkdtemp(prefix="roundtable-faults-"))
        try:
            results[name] = measure(options, name, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(results))
    sys.exit(int(any(map(is_bad, results.values()))))


def is_bad(found: Figures) -> bool:
    first, second = found["restored"]["first"], found["restored"]["second"]
    return any(
        [
            *(found[what] for what in ("lost", "doubled", "over_assigned", "drift", "unexpected")),
            *(part["promised_but_missing"] for part in (first, second)),
            *(part["append_only_rows_that_differ"] for part in (first, second)),
            second["tables_that_differ"],
        ]
    )


if __name__ == "__main__":
    main()
