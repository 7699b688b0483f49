"""Data in and out at size: imports, freezing, exports; beside Label Studio's import and export in the same run.

    .venv/bin/python benchmarks/data.py --peer ../label-studio-venv

imports 100,000 comparisons (a TRL file), makes a million judgments of them (copies, by the database), freezes these,
and exports the frozen dataset as records to Parquet and as TRL's pairs to JSON Lines; on PostgreSQL (an own cluster)
and on SQLite, each step in a process of its own. Then 10,000 judged tasks go in and out on both sides. The last line is
JSON: parquet_s, jsonl_s, peak_mb (the larger of both exports, above the floor of imports), import_100k_s (the slower
database), export_ratio and import_ratio (Label Studio's seconds over ours, on PostgreSQL), api_p95_ms (pages of 50 rows
of the API's lists, by filters too, one request at a time; the slower database), and every step under `databases`.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from annotation_load import empty_database
from load.api_lists import measure_lists
from load.comparisons import comparisons, write_lines
from load.our_site import OurSite
from load.peer_site import LabelStudio
from load.postgres import Cluster

STEPS = Path(__file__).with_name("load") / "data_steps.py"
Figures = dict[str, Any]


def run_step(site: OurSite, database: str, *words: str) -> Figures:
    figures: Figures = json.loads(site.run(str(STEPS), *words).splitlines()[-1])
    print(f"| {database} | {' '.join(words[:1] + words[3:])} | {figures} |", flush=True)
    return figures


def measure_ours(options: argparse.Namespace, database: str, url: str, folder: Path) -> Figures:
    """Every step's seconds and megabytes; the exports' files are compared with nothing here, and deleted."""
    source = folder.parent / f"{options.comparisons}.jsonl"
    if not source.exists():
        write_lines(source, comparisons(options.comparisons))
    with OurSite(folder, url) as site:
        run_step(site, database, "create")
        found = {"import": run_step(site, database, "import", str(source))}
        if options.judgments > options.comparisons:
            run_step(site, database, "copy", "--judgments", str(options.judgments))
        found["freeze"] = run_step(site, database, "freeze", "all")
        parquet, lines = str(folder / "parquet"), str(folder / "jsonl")
        found["parquet"] = run_step(site, database, "export", "all", parquet)
        jsonl = ("--format", "trl", "--files", "jsonl")
        found["jsonl"] = run_step(site, database, "export", "all", lines, *jsonl)
        for folder_out in (parquet, lines):
            shutil.rmtree(folder_out)
        site.start()
        asked = json.loads(site.run(str(STEPS), "ask").splitlines()[-1])
        found["api"] = measure_lists(site.port, asked["project"], asked["session"], asked["found"])
        print(f"| {database} | lists of the API | {found['api']} |", flush=True)
    return found


def measure_peer(options: argparse.Namespace, cluster: Cluster, folder: Path) -> Figures:
    """The same judged pairs in and out: Label Studio over its API, ours by its steps, both on this cluster."""
    rows = list(comparisons(options.peer_rows))
    source = folder / "peer.jsonl"
    write_lines(source, iter(rows))
    with OurSite(folder / "ours", cluster.create_database("ours_beside_peer")) as site:
        run_step(site, "postgresql", "create")
        ours = {"import": run_step(site, "postgresql", "import", str(source))["seconds"]}
        out = ("export", "", str(folder / "beside"), "--format", "trl", "--files", "jsonl")
        ours["export"] = run_step(site, "postgresql", *out)["seconds"]
    cluster.create_database("label_studio")
    with LabelStudio(
        options.peer, folder / "peer", database_port=cluster.port, database="label_studio"
    ) as peer:
        made = peer.set_up(tasks=[{"prompt": "q", "a": "a", "b": "b"}], copies=0, annotators=1, overlap=1)
        peer.start()
        api = f"http://127.0.0.1:{peer.port}/api/projects/{made['project']}"
        token = made["accounts"][0]["token"]
        tasks = [
            {
                "data": {"prompt": row["prompt"], "a": row["chosen"], "b": row["rejected"]},
                "annotations": [{"result": [JUDGED]}],
            }
            for row in rows
        ]
        theirs = {}
        theirs["import"], _ = timed_call(f"{api}/import?commit_to_project=true", token, tasks)
        theirs["export"], exported = timed_call(f"{api}/export?exportType=JSON", token)
        judged = sum(1 for task in json.loads(exported) if task["annotations"])
        name = f"Label Studio {peer.version()}"
    print(f"| {name} | {theirs} | ours {ours} | {judged} judged tasks exported |", flush=True)
    if judged < options.peer_rows:
        raise SystemExit(f"{name} exported {judged} of {options.peer_rows} judged tasks: nothing to compare.")
    return {"name": name, "theirs": theirs, "ours": ours}


JUDGED = {
    "from_name": "pw",
    "to_name": "a,b",
    "type": "pairwise",
    "value": {"selected": "left"},
}


def timed_call(address: str, token: str, body: Any = None) -> tuple[float, bytes]:
    request = urllib.request.Request(
        address,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
    )
    begun = time.monotonic()
    with urllib.request.urlopen(request, timeout=900) as answer:
        content = answer.read()
    return round(time.monotonic() - begun, 2), content


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"])
    add("--comparisons", type=int, default=100_000, help="imported (default: 100000)")
    add("--judgments", type=int, default=1_000_000, help="frozen and exported (default: 1000000)")
    add(
        "--peer", type=Path, help="a virtual environment with Label Studio; without it ours alone is measured"
    )
    add("--peer-rows", type=int, default=10_000)
    add("--out", type=Path, help="write the JSON line into this file as well")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    measured: dict[str, Figures] = {}
    peer: Figures | None = None
    with tempfile.TemporaryDirectory(prefix="roundtable-data-") as name:
        folder = Path(name)
        for database in options.databases:
            with empty_database(database) as (cluster, url):
                measured[database] = measure_ours(options, database, url, folder / database)
                if options.peer and cluster:
                    peer = measure_peer(options, cluster, folder)
    exports = [figures[step] for figures in measured.values() for step in ("parquet", "jsonl")]
    results = {
        "parquet_s": max(figures["parquet"]["seconds"] for figures in measured.values()),
        "jsonl_s": max(figures["jsonl"]["seconds"] for figures in measured.values()),
        "peak_mb": max(export["peak_mb"] for export in exports),
        "import_100k_s": max(figures["import"]["seconds"] for figures in measured.values()),
        "export_ratio": ratio(peer, "export"),
        "import_ratio": ratio(peer, "import"),
        "api_p95_ms": max(figures["api"]["p95_ms"] for figures in measured.values()),
        "judgments": options.judgments,
        "comparisons": options.comparisons,
        "peer": peer,
        "databases": measured,
        "load_average": os.getloadavg(),
    }
    line = json.dumps(results)
    if options.out:
        options.out.write_text(line + "\n")
    print(line)


def ratio(peer: Figures | None, step: str) -> float | None:
    """How many times our seconds the peer takes."""
    return round(peer["theirs"][step] / peer["ours"][step], 2) if peer else None


if __name__ == "__main__":
    main()
