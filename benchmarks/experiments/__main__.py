"""The experiments of "Secrets of RLHF in Large Language Models, Part I" (Zheng et al. 2023) and their neighbours, in a
world small enough for a laptop: which ingredient keeps PPO from collapsing, and what it costs.

    .venv/bin/python -m benchmarks.experiments --processes 2 --report docs/experiments     # all studies, five seeds
    .venv/bin/python -m benchmarks.experiments collapse --seeds 2 --processes 2            # one study
    .venv/bin/python -m benchmarks.experiments --only-report docs/experiments              # text and pictures alone

Every run is one line of FOLDER/results.jsonl; what stands there is not run again, so the command may be stopped and
started as one likes. Trainings are the product's own recipes, and gold is the demonstration's judge without noise.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
from pathlib import Path

from benchmarks.experiments.jobs import execute_job, missing, prepare, quiet, read_results, summary_of
from benchmarks.experiments.measurements import MEASUREMENTS
from benchmarks.experiments.report import write_report
from benchmarks.experiments.studies import STUDIES

ALL = [*STUDIES, *MEASUREMENTS]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(ALL)} (default: all)")
    add("--seeds", type=int, default=5, help="from 0 on (default: 5)")
    add("--processes", type=int, default=1, help="each with one thread (default: 1)")
    add(
        "--folder",
        type=Path,
        default=Path("var/experiments"),
        help="of models and results (default: var/experiments)",
    )
    add(
        "--report", type=Path, metavar="FOLDER", help="write a page with pictures into this folder at the end"
    )
    add("--only-report", type=Path, metavar="FOLDER", help="the same of what has run, and run nothing")
    options = parser.parse_args()
    if unknown := sorted(set(options.studies) - set(ALL)):
        parser.error(f"no study {', '.join(unknown)}; there are {', '.join(ALL)}")
    for name in ("seeds", "processes"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return options


def main() -> int:
    options = parse_options()
    studies = options.studies or ALL
    folder = options.folder.resolve()
    if options.only_report:
        write_report(read_results(folder), options.only_report, folder)
        return 0
    (folder / "materials").mkdir(parents=True, exist_ok=True)
    jobs = missing(studies, options.seeds, folder)
    print(f"{len(jobs)} runs to do", flush=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    quiet()
    prepare(folder, jobs)
    # Seed by seed, in any order within one: stopped early, every study has something.
    jobs.sort(key=lambda job: (job[1], random.Random(job[0]).random()))
    failed = 0
    with multiprocessing.get_context("spawn").Pool(options.processes, initializer=quiet) as pool:
        for place, row in enumerate(pool.imap_unordered(execute_job, jobs), start=1):
            if "error" in row:
                failed += 1
                print(
                    f"{row['configuration']}, seed {row['seed']}: {row['error']}", file=sys.stderr, flush=True
                )
                continue
            with open(folder / "results.jsonl", "a") as results:
                results.write(json.dumps(row) + "\n")
            print(f"{place}/{len(jobs)} {summary_of(row)}", flush=True)
    if options.report:
        write_report(read_results(folder), options.report, folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
