"""Which runs are still to do, and how one is done in a process of its own."""

import json
import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments.configurations import CONFIGURATIONS
from benchmarks.experiments.materials import Materials
from benchmarks.experiments.runs import execute, run_key
from benchmarks.experiments.studies import STUDIES

Job = tuple[str, int, Path]


def read_results(folder: Path) -> list[dict[str, Any]]:
    """A line that a stopped command left half written is no result."""
    path, rows = folder / "results.jsonl", []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def missing(studies: Iterable[str], seeds: int, folder: Path) -> list[Job]:
    done = {row["key"] for row in read_results(folder)}
    names = dict.fromkeys(name for study in studies for name in STUDIES[study].configurations)
    return [
        (name, seed, folder)
        for seed in range(seeds)
        for name in names
        if run_key(CONFIGURATIONS[name], seed) not in done
    ]


def execute_job(job: Job) -> dict[str, Any]:
    name, seed, folder = job
    try:
        return execute(CONFIGURATIONS[name], seed, folder)
    except Exception as error:  # one configuration that fails keeps no other from running
        return {"configuration": name, "seed": seed, "error": f"{type(error).__name__}: {error}"}


def quiet() -> None:
    os.environ["TQDM_DISABLE"] = "1"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def prepare(folder: Path, jobs: Sequence[Job]) -> None:
    """What several processes would otherwise make at the same time."""

    materials = Materials(folder / "materials")
    materials.prepare()
    for name, seed, _ in jobs:
        configuration = CONFIGURATIONS[name]
        materials.reward_model(seed, labels=configuration.labels, epochs=configuration.epochs)
