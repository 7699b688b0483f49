"""What is watched along a run: the proxy's scores on a fixed set of prompts at several steps (the figures of Secrets of
RLHF I on the reward's long tail), and the measures that the alarms look at, beside gold.

Both runs are those of the study "collapse": looking changes nothing about them.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.experiments.configurations import CONFIGURATIONS, Configuration
from benchmarks.experiments.materials import Materials, run_in_process
from benchmarks.experiments.runs import answers_kept, mean_gold
from learning.interface.record_schemas import PROMPTS, TEXTS
from policy_training.training.alarms.alarms import OBJECTIVE, WATCHED, AlarmWatch, RewardLimits
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.ppo import recipe as ppo

NAMES = ("vanilla", "max")
EVERY = 5  # steps between two looks at the held-out prompts
WINDOWS = (3, 5, 10)  # steps that an alarm takes the mean over; 10 is the product's

SETTINGS = (NAMES, EVERY)


def execute(seed: int, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    materials = Materials(folder / "materials")
    reward_model, _ = materials.reward_model(seed)
    limit = json.loads((Path(reward_model) / "config.json").read_text())["reward_range"][1]
    return {"limit": limit} | {
        name: watch(CONFIGURATIONS[name], seed, materials, folder / "runs" / f"watched-{name}-{seed}")
        for name in NAMES
    }


def watch(configuration: Configuration, seed: int, materials: Materials, path: Path) -> dict[str, Any]:
    """Of a run of PPO: `scores` of the held-out questions by step, the measures of all `steps`, its `alarms`."""
    options = configuration.options(materials, seed)
    options = replace(options, evaluation=replace(options.evaluation, evaluate_every_steps=EVERY))
    inputs: dict[str, Any] = {"prompts": (materials.prompts(), PROMPTS)}
    if options.algorithm.ptx_coefficient:
        inputs["texts"] = (materials.texts(), TEXTS)
    try:
        with answers_kept(ppo) as kept:
            result = run_in_process(ppo, path, options, **inputs)
        metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    finally:
        shutil.rmtree(path, ignore_errors=True)
    gold = {reported.step: mean_gold(reported.answers) for reported in kept}
    lines = [line for line in metrics if line["phase"] == "policy"]
    scores = {0: result["scores_before"]}
    scores |= {
        place: line["eval_scores"] for place, line in enumerate(lines, start=1) if "eval_scores" in line
    }
    return {
        "scores": {str(step): [round(score, 3) for score in found] for step, found in scores.items()},
        "steps": [
            {measure: line[measure] for measure in (*WATCHED, OBJECTIVE) if measure in line}
            | {"gold": gold[line["step"]]}
            for line in lines
        ],
        "alarms": result["alarms"],
    }


def first_alarms(steps: Sequence[Mapping[str, Any]], *, window: int, limit: float | None) -> dict[str, int]:
    """Kind of alarm -> the step that raises it, as the product's watch says of these measures."""
    watch, options = AlarmWatch(), AlarmOptions(window=window)
    for place, measures in enumerate(steps, start=1):
        watch.look(measures, options, step=place, limits=RewardLimits(score=limit))
    return dict(watch.raised)


def gold_peak(golds: Sequence[float], *, over: int = 3) -> int:
    """The step, from 1, in the middle of the `over` whose mean gold is largest: one step's mean is noisy."""
    means = [sum(golds[place : place + over]) / over for place in range(len(golds) - over + 1)]
    return means.index(max(means)) + 1 + over // 2


def gold_lost(golds: Sequence[float], step: int, *, over: int = 3) -> float:
    """Share of (peak - start) that is lost at a step, by means over `over` steps; negative: more than the peak's."""
    at = sum(golds[max(0, step - over) : step]) / min(over, step)
    peak = gold_peak(golds, over=over)
    top = sum(golds[peak - 1 - over // 2 : peak + over // 2]) / over
    return (top - at) / (top - golds[0])
