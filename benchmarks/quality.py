"""Agreement and annotator models of 100,000 judgments, as a worker measures them: seconds and memory of the run.

    .venv/bin/python benchmarks/quality.py

33,334 tasks of two answers, three judgments each by 200 annotators who are able, guess, turn answers round or prefer a
side (annotator_models.simulate), with ties and grades, on PostgreSQL (an own cluster) and on SQLite. The last line is
JSON: measure_s (from the run's start to its end, its process's start included; the slower database), cpu_s, peak_mb.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from annotation_load import empty_database
from load.our_site import OurSite

STEPS = Path(__file__).with_name("load") / "quality_steps.py"


def run_step(site: OurSite, *words: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(site.run(str(STEPS), *words).splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--databases", nargs="+", default=["postgresql", "sqlite"], choices=["postgresql", "sqlite"]
    )
    parser.add_argument("--judgments", type=int, default=100_000)
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="roundtable-quality-") as name:
        for database in options.databases:
            with (
                empty_database(database) as (_, url),
                OurSite(Path(name) / database, url) as site,
            ):
                tasks = -(-options.judgments // 3)
                site.fill(tasks=tasks, annotators=200, overlap=3, answer_characters=400)
                judged = run_step(site, "judge")
                found[database] = run_step(site, "measure")
                print(f"| {database} | judged {judged} | {found[database]} |", flush=True)
    slowest = {key: max(row[key] for row in found.values()) for key in ("measure_s", "cpu_s", "peak_mb")}
    print(json.dumps({**slowest, "databases": found}))


if __name__ == "__main__":
    main()
