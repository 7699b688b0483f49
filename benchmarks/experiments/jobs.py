"""Which runs are still to do, and how one is done in a process of its own."""

import json
import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments import best_of_n, direct, runs
from benchmarks.experiments.configurations import CONFIGURATIONS, LEARN_DIRECTLY
from benchmarks.experiments.materials import Materials
from benchmarks.experiments.measurements import MEASUREMENTS
from benchmarks.experiments.studies import STUDIES

Job = tuple[str, int, Path]  # (configuration or measurement, seed, folder)


def read_results(folder: Path) -> list[dict[str, Any]]:
    """A line that a stopped command left half written is no result."""
    path, rows = folder / "results.jsonl", []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def job_key(name: str, seed: int) -> str:
    if name in MEASUREMENTS:
        return MEASUREMENTS[name].key(name, seed)
    return runs.run_key(CONFIGURATIONS[name], seed)


def missing(studies: Iterable[str], seeds: int, folder: Path) -> list[Job]:
    """Of these studies and measurements, for every seed."""
    done = {row["key"] for row in read_results(folder)}
    names = dict.fromkeys(
        name
        for study in studies
        for name in (STUDIES[study].configurations if study in STUDIES else (study,))
    )
    return [
        (name, seed, folder) for seed in range(seeds) for name in names if job_key(name, seed) not in done
    ]


def execute_job(job: Job) -> dict[str, Any]:
    name, seed, folder = job
    try:
        if name in MEASUREMENTS:
            row = {"measurement": name, "seed": seed, "key": job_key(name, seed)}
            return row | MEASUREMENTS[name].execute(seed, folder)
        configuration = CONFIGURATIONS[name]
        own = direct if configuration.recipe in LEARN_DIRECTLY else runs
        return own.execute(configuration, seed, folder)
    except Exception as error:  # one configuration that fails keeps no other from running
        return {"configuration": name, "seed": seed, "error": f"{type(error).__name__}: {error}"}


def summary_of(row: dict[str, Any]) -> str:
    """A line to follow the command by."""
    if "measurement" in row:
        return f"{row['measurement']}, seed {row['seed']}"
    end = row["end"]
    return (
        f"{row['configuration']}, seed {row['seed']}: gold {end['gold']:.2f}, proxy {end['proxy']:.2f}, "
        f"KL {end['kl']:.1f}, {row['seconds']:.0f} s"
    )


def quiet() -> None:
    os.environ["TQDM_DISABLE"] = "1"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def prepare(folder: Path, jobs: Sequence[Job]) -> None:
    """What several processes would otherwise make at the same time."""

    materials = Materials(folder / "materials")
    materials.prepare()
    for name, seed, _ in jobs:
        if name in MEASUREMENTS:
            for labels in MEASUREMENTS[name].labels:
                materials.reward_model(seed, labels=labels)
        else:
            own = CONFIGURATIONS[name]
            materials.reward_model(seed, labels=own.labels, epochs=own.epochs)
    if any(name == "best_of_n" for name, _, _ in jobs):
        best_of_n.prepare(materials)
