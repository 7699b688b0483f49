"""Our site with all that a project can ask of annotators, beside a plain one, alternately in the same minutes.

Each is loaded while the other waits, so that what else the machine does meets both alike.
"""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from load.our_site import OurSite
from load.postgres import Cluster

Figures = dict[str, Any]
NAMES = ("plain", "everything")


def measure_everything(
    options: argparse.Namespace,
    folder: Path,
    play: Callable[..., Figures],
    show: Callable[[list[str], Figures], None],
    empty_database: Callable[[str], AbstractContextManager[tuple[Cluster | None, str]]],
) -> Figures:
    """By database: medians over the rounds of both, what everything costs (plain / everything), and the counts."""
    results: Figures = {}
    for database in options.databases:
        with ExitStack() as open_things:
            sites, plans, pids = {}, {}, {}
            for name in NAMES:
                cluster, url = open_things.enter_context(empty_database(database))
                home = folder / f"{database}-{name}"
                site = open_things.enter_context(OurSite(home, url, workers=options.workers))
                filled = site.fill(
                    tasks=options.tasks,
                    annotators=options.annotators,
                    overlap=options.overlap,
                    answer_characters=options.answer_characters,
                    everything=name == "everything",
                )
                site.start()
                sites[name] = site
                plans[name] = {
                    "host": "127.0.0.1", "port": site.port, "site": "roundtable", "act": "run", **filled,
                    "warmup": options.warmup, "accepted_file": str(home / "accepted"),
                }  # fmt: skip
                pids[name] = {"site": site.pid, "database": cluster.pid if cluster else 0}
            found: dict[str, dict[str, list[Figures]]] = {name: {} for name in NAMES}
            for number in range(options.rounds):
                for load, more in _loads(options):
                    # Turns change, so that neither is always the one after a rest.
                    for name in NAMES if number % 2 == 0 else NAMES[::-1]:
                        accounts = plans[name]["accounts"][: more.get("clients")]
                        figures = play({**plans[name], **more, "accounts": accounts}, **pids[name])
                        show([database, f"{name}, {load}"], figures)
                        found[name].setdefault(load, []).append(figures)
                sites["everything"].prepare_repeats()
            results[database] = _summary(found)
            for name, site in sites.items():
                site.stop()
                results[database][f"counts_{name}"] = counts = site.count(
                    folder / f"{database}-{name}" / "accepted"
                )
                print(f"  {database}, {name}: {counts}", flush=True)
            print(f"  {database}: {results[database]['ratios']}", flush=True)
    return results


def _loads(options: argparse.Namespace) -> list[tuple[str, Figures]]:
    closed = [
        (f"{clients} without a pause", {"clients": clients, "seconds": options.seconds})
        for clients in options.clients
    ]
    rate = {"interval": options.interval, "seconds": options.open_seconds}
    return [*closed, (f"{options.annotators} every {options.interval:g} s", rate)]


def _summary(found: dict[str, dict[str, list[Figures]]]) -> Figures:
    """Medians of the rounds; ratios above 1 are what everything costs."""
    wanted = ("cycles_per_s", "next_p50_ms", "next_p95_ms", "submit_p50_ms", "submit_p95_ms", "site_cpu")
    medians = {
        name: {
            load: {
                key: round(median(run[key] for run in runs if run.get(key) is not None), 2) for key in wanted
            }
            for load, runs in by_load.items()
        }
        for name, by_load in found.items()
    }
    ratios = {
        load: {
            "cycles_per_s": round(figures["cycles_per_s"] / medians["everything"][load]["cycles_per_s"], 3),
            "submit_p50_ms": round(
                medians["everything"][load]["submit_p50_ms"] / figures["submit_p50_ms"], 3
            ),
        }
        for load, figures in medians["plain"].items()
    }
    return {"medians": medians, "ratios": ratios}
