"""Annotators at work over real HTTP (login, CSRF token, permissions, audit), beside Label Studio in the same run.

    .venv/bin/python benchmarks/annotation_load.py --peer ../label-studio-venv

makes 100,000 tasks of two answers of 2,000 characters and overlap 3, on PostgreSQL (an own cluster) and on SQLite,
and plays annotators against each: 1, 10 and 50 who judge without a pause ("closed loop": submit, then fetch the task
after next, as the work page does); 50 who judge once a second each ("open loop": the clock goes on while they wait);
the same again while web workers are killed with SIGKILL. Afterwards the database is asked what was assigned too often,
lost or stored twice. The last line is JSON: cycles_ratio_50, cycles_per_s_50, open_next_p95_ms, open_submit_p95_ms,
over_assigned, lost, peer, and all figures under `databases`.

Label Studio comes from a virtual environment of its own (`python -m venv DIR; DIR/bin/pip install label-studio==1.23.2
gunicorn psycopg2-binary`; --peer DIR), or is a running one (--peer-url, --peer-project, --peer-tokens). With --growth
it measures ours alone, with 10,000 to 1,000,000 tasks and 10 to 1,000 annotators, and prints two tables. With
--everything it measures ours with all that a project can ask for (groups, skills, limits, quotas, known answers,
repeats, a training, a guideline to confirm, one more annotator), alternately with a plain one.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load.comparisons import comparisons, write_lines
from load.everything import measure_everything
from load.our_site import OurSite
from load.peer_site import LabelStudio
from load.postgres import Cluster
from load.processes import cpu_seconds, resident_mb

COLUMNS = (
    "cycles_per_s next_p50_ms next_p95_ms next_p99_ms submit_p50_ms submit_p95_ms submit_p99_ms "
    "site_cpu database_cpu client_cpu site_mb"
).split()
Figures = dict[str, Any]


def play(
    plan: Figures, *, site: int = 0, database: int = 0, meanwhile: Callable[[], object] | None = None
) -> Figures:
    """What the load generator's process says of a plan; with the CPU (in cores) of the two process trees."""
    before = [cpu_seconds(pid) if pid else 0.0 for pid in (site, database)]
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "load.client"],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if meanwhile is not None:
        threading.Thread(target=meanwhile, daemon=True).start()
    output, _ = process.communicate(json.dumps(plan))
    if process.returncode:
        raise SystemExit(f"The load generator failed on {plan['host']}:{plan['port']}.")
    took = time.monotonic() - begun
    figures: Figures = json.loads(output.splitlines()[-1])
    for name, pid, earlier in zip(("site_cpu", "database_cpu"), (site, database), before, strict=True):
        if pid:
            figures[name] = round((cpu_seconds(pid) - earlier) / took, 2)
    if site:
        figures["site_mb"] = round(resident_mb(site))
    return figures


def show(names: list[str], figures: Figures) -> None:
    row = [*names, *(str(figures.get(column, "")) for column in COLUMNS)]
    print(f"| {' | '.join(row)} |", flush=True)
    for trouble in ("unanswered", "ran_out", "refusals"):
        if figures.get(trouble):
            print(f"  {trouble}: {figures[trouble]} {figures['statuses']}", flush=True)


def header(*names: str) -> None:
    columns = [*names, *COLUMNS]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


@contextmanager
def empty_database(name: str) -> Iterator[tuple[Cluster | None, str]]:
    """(its cluster, its address) of a new PostgreSQL database; (None, "") for SQLite, a file in the data folder."""
    if name == "sqlite":
        yield None, ""
        return
    with Cluster() as cluster:
        yield cluster, cluster.create_database("roundtable")


def measure_ours(
    options: argparse.Namespace, name: str, cluster: Cluster | None, url: str, folder: Path
) -> Figures:
    results: Figures = {"closed": {}}
    accepted = folder / "accepted"
    with OurSite(folder, url, workers=options.workers) as site:
        begun = time.monotonic()
        filled = site.fill(
            tasks=options.tasks,
            annotators=options.annotators,
            overlap=options.overlap,
            answer_characters=options.answer_characters,
            logins=True,
        )
        results["fill_s"] = round(time.monotonic() - begun, 1)
        site.start()
        base = {"host": "127.0.0.1", "port": site.port, "site": "roundtable", **filled}
        base["accounts"] = play({**base, "act": "log_in"})["accounts"]
        base |= {"act": "run", "warmup": options.warmup, "accepted_file": str(accepted)}
        pids = {"site": site.pid, "database": cluster.pid if cluster else 0}
        for clients in options.clients:
            plan = {**base, "accounts": base["accounts"][:clients], "seconds": options.seconds}
            results["closed"][clients] = play(plan, **pids)
            show([name, f"ours, {clients} without a pause"], results["closed"][clients])
        rate = {**base, "interval": options.interval, "seconds": options.open_seconds}
        results["open"] = play(rate, **pids)
        show([name, f"ours, {options.annotators} every {options.interval:g} s"], results["open"])
        if options.kills:
            results["killed"] = play(rate, meanwhile=lambda: kill_workers(site, options), **pids)
            show([name, f"the same, {options.kills} workers killed"], results["killed"])
        if options.import_rows:
            results["importing"] = play_beside_import(site, options, rate, filled["project"], pids)
            show([name, f"the same, {options.import_rows} comparisons imported"], results["importing"])
        site.stop()
        results["counts"] = site.count(accepted)
        print(f"  {name}: {results['counts']}", flush=True)
    return results


def play_beside_import(
    site: OurSite, options: argparse.Namespace, plan: Figures, project: str, pids: dict[str, int]
) -> Figures:
    """The plan while a file is imported into the same project by a command; with the import's seconds."""
    source = site.folder.parent / f"import-{options.import_rows}.jsonl"
    write_lines(source, comparisons(options.import_rows))
    ended = threading.Event()
    took = 0.0

    def import_file() -> None:
        nonlocal took
        time.sleep(options.warmup)
        begun = time.monotonic()
        try:
            site.run("manage.py", "import_comparisons", project, str(source), "--format", "trl")
        finally:
            took = time.monotonic() - begun
            ended.set()

    figures = play(plan, meanwhile=import_file, **pids)
    ended.wait()
    return figures | {"import_s": round(took, 1)}


def kill_workers(site: OurSite, options: argparse.Namespace) -> None:
    chance = random.Random(7)
    pause = options.open_seconds / (options.kills + 1)
    time.sleep(options.warmup)
    for _ in range(options.kills):
        time.sleep(pause)
        site.kill_a_worker(chance)


def peer_tasks(size: int) -> list[dict[str, str]]:
    """A hundred tasks with as much text as ours."""
    chance = random.Random(1)
    words = ["".join(chance.choice("abcdefghij") for _ in range(chance.randint(2, 9))) for _ in range(2000)]

    def text(characters: int) -> str:
        return ("copy-0 " + " ".join(chance.choice(words) for _ in range(characters // 6)))[:characters]

    return [{"prompt": text(200), "a": text(size), "b": text(size)} for _ in range(100)]


def measure_peer(options: argparse.Namespace, cluster: Cluster | None, folder: Path) -> Figures:
    """Label Studio's closed loops, on a second database of the same cluster; of a running one at its address."""
    base: Figures = {"act": "run", "site": "label-studio", "warmup": options.warmup}
    results: Figures = {"closed": {}}
    with running_peer(options, cluster, folder) as (address, pids):
        base |= address
        for clients in options.clients:
            plan = {**base, "accounts": base["accounts"][:clients], "seconds": options.seconds}
            results["closed"][clients] = play(plan, **pids)
            show(["postgresql", f"{base['name']}, {clients} without a pause"], results["closed"][clients])
    results["name"] = base["name"]
    return results


@contextmanager
def running_peer(
    options: argparse.Namespace, cluster: Cluster | None, folder: Path
) -> Iterator[tuple[Figures, dict[str, int]]]:
    if options.peer_url:
        parts = urllib.parse.urlsplit(options.peer_url)
        accounts = [{"token": token} for token in options.peer_tokens.read_text().split()]
        address = {"host": parts.hostname, "port": parts.port or 80, "project": options.peer_project}
        yield {**address, "accounts": accounts, "name": "Label Studio"}, {}
        return
    assert cluster is not None, "Label Studio is measured on PostgreSQL"
    cluster.create_database("label_studio")
    with LabelStudio(options.peer, folder, database_port=cluster.port, database="label_studio") as peer:
        made = peer.set_up(
            tasks=peer_tasks(options.answer_characters),
            copies=max(1, options.tasks // 100) - 1,
            annotators=max(options.clients),
            overlap=options.overlap,
        )
        peer.start()
        name = f"Label Studio {peer.version()}"
        yield (
            {"host": "127.0.0.1", "port": peer.port, "name": name, **made},
            {"site": peer.pid, "database": cluster.pid},
        )


def compare(options: argparse.Namespace, folder: Path) -> Figures:
    measured: Figures = {}
    peer: Figures = {}
    header("database", "load")
    for name in options.databases:
        with empty_database(name) as (cluster, url):
            if (options.peer and cluster) or (options.peer_url and not peer):
                peer = measure_peer(options, cluster, folder / "peer")
            measured[name] = measure_ours(options, name, cluster, url, folder / name)
    first = measured[options.databases[0]]
    most = max(options.clients)
    ours = first["closed"][most]["cycles_per_s"]
    theirs = peer["closed"][most]["cycles_per_s"] if peer else None
    totals = {
        name: sum(results["counts"][name] for results in measured.values())
        for name in ("over_assigned", "lost", "doubled")
    }
    return {
        f"cycles_ratio_{most}": round(ours / theirs, 2) if theirs else None,
        f"cycles_per_s_{most}": ours,
        "open_next_p95_ms": first["open"]["next_p95_ms"],
        "open_submit_p95_ms": first["open"]["submit_p95_ms"],
        **totals,
        "peer": peer or None,
        "databases": measured,
    }


def grow(options: argparse.Namespace, folder: Path) -> Figures:
    """Ours alone: ever more tasks with `--annotators` people, then ever more people with `--tasks` tasks."""
    sizes = [(tasks, options.annotators) for tasks in options.growth_tasks]
    sizes += [(options.tasks, people) for people in options.growth_annotators]
    rows: list[Figures] = []
    header("database", "tasks", "annotators", "load")
    for name in options.databases:
        for number, (tasks, people) in enumerate(sizes):
            with empty_database(name) as (cluster, url):
                results = grow_to(options, name, cluster, url, folder / f"{name}-{number}", tasks, people)
            rows.append({"database": name, "tasks": tasks, "annotators": people, **results})
    return {"growth": rows}


def grow_to(
    options: argparse.Namespace,
    name: str,
    cluster: Cluster | None,
    url: str,
    folder: Path,
    tasks: int,
    people: int,
) -> Figures:
    """Everybody without a pause, then everybody at a rate that makes `--annotators` judgments an interval in all."""
    with OurSite(folder, url, workers=options.workers) as site:
        filled = site.fill(
            tasks=tasks,
            annotators=people,
            overlap=options.overlap,
            answer_characters=options.answer_characters,
        )
        site.start()
        plan = {"host": "127.0.0.1", "port": site.port, "site": "roundtable", "act": "run", **filled}
        plan |= {"warmup": options.warmup, "seconds": options.seconds}
        pids = {"site": site.pid, "database": cluster.pid if cluster else 0}
        closed = play(plan, **pids)
        show([name, f"{tasks:,}", f"{people:,}", "without a pause"], closed)
        rate = {
            **plan,
            "interval": options.interval * people / options.annotators,
            "seconds": options.open_seconds,
        }
        at_a_rate = play(rate, **pids)
        show([name, f"{tasks:,}", f"{people:,}", f"{options.annotators / options.interval:g}/s"], at_a_rate)
    shutil.rmtree(folder)
    return {"closed": closed, "open": at_a_rate}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"])
    add("--tasks", type=int, default=100_000)
    add("--annotators", type=int, default=50, help="of the open loop (default: 50)")
    add("--clients", type=int, nargs="+", default=[1, 10, 50], help="of the closed loops (default: 1 10 50)")
    add("--overlap", type=int, default=3)
    add("--answer-characters", type=int, default=2000)
    add("--seconds", type=float, default=15.0, help="of a closed loop (default: 15)")
    add("--open-seconds", type=float, default=30.0, help="of an open loop (default: 30)")
    add("--interval", type=float, default=1.0, help="seconds between a person's judgments in the open loop")
    add("--warmup", type=float, default=3.0, help="seconds before a measurement begins (default: 3)")
    add(
        "--kills",
        type=int,
        default=3,
        help="web workers killed in the second open loop (default: 3; 0: none)",
    )
    add(
        "--import-rows",
        type=int,
        default=0,
        help="comparisons imported into the project during another open loop (default: 0: none)",
    )
    add("--workers", type=int, help="web workers (default: what the site takes by itself)")
    add(
        "--peer", type=Path, help="a virtual environment with Label Studio; without it ours alone is measured"
    )
    add("--peer-url", help="of a running Label Studio, with --peer-project and --peer-tokens")
    add("--peer-project", type=int)
    add("--peer-tokens", type=Path, help="a file with one token a line, one for each client")
    add("--growth", action="store_true", help="the two tables of growth instead")
    add("--everything", action="store_true", help="all that can be asked for, beside a plain site, instead")
    add("--rounds", type=int, default=3, help="of --everything (default: 3)")
    add("--growth-tasks", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    add("--growth-annotators", type=int, nargs="*", default=[10, 100, 1000])
    add("--out", type=Path, help="write the JSON line into this file as well")
    options = parser.parse_args()
    if options.peer_url and not (options.peer_project and options.peer_tokens):
        parser.error("--peer-url needs --peer-project and --peer-tokens")
    options.annotators = max(options.annotators, 1 if options.growth else max(options.clients))
    return options


def main() -> None:
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="roundtable-load-") as folder:
        if options.everything:
            header("database", "load")
            results = measure_everything(options, Path(folder), play, show, empty_database)
        else:
            results = (grow if options.growth else compare)(options, Path(folder))
    results["load_average"] = os.getloadavg()
    line = json.dumps(results)
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
