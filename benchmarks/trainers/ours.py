"""Our recipe on a run directory, with a stopwatch around its steps; otherwise what `python -m ... RUN_DIR` does.

python -m benchmarks.trainers.ours reward_model|ppo RUN_DIR REPORT.json
"""

import json
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from transformers.models.llama import modeling_llama  # noqa: F401  (counted as idle, as on the peer's side)

from benchmarks.trainers.stopwatch import Stopwatch
from learning.recipe_runner import run_recipe
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import PPOConfig
from rewardmodel.training import train
from rewardmodel.training.config import RewardModelConfig

RECIPES: dict[str, tuple[Any, str, Any]] = {
    "reward_model": (train, "train_step", RewardModelConfig),
    "ppo": (ppo, "ppo_step", PPOConfig),
}


def timed(step: Callable[..., Any], stopwatch: Stopwatch) -> Callable[..., Any]:
    def timed_step(*arguments: Any, **named: Any) -> Any:
        stopwatch.step_begins()
        done = step(*arguments, **named)
        stopwatch.step_ends()
        return done

    return timed_step


def main() -> None:
    recipe, run_directory, report = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    module, step_name, options = RECIPES[recipe]
    config = json.loads((Path(run_directory) / "config.json").read_text())
    stopwatch = Stopwatch(config["options"]["runtime"]["device"])
    setattr(module, step_name, timed(getattr(module, step_name), stopwatch))

    @wraps(module.main)
    def measured(context: Any) -> Mapping[str, Any]:
        result = module.main(context)
        lines = (Path(run_directory) / "metrics.jsonl").read_text().splitlines()
        # Read again: the run has written its environment into it.
        config = json.loads((Path(run_directory) / "config.json").read_text())
        # What the run took where an option says "auto" stands beside its environment.
        batch = config["options"]["batch"] | {"resolved": config["environment"].get("resolved", {})}
        stopwatch.write(
            report, metrics=[json.loads(line) for line in lines], batch=batch, layout=result["layout"]
        )
        return result

    run_recipe(measured, options, [run_directory])


if __name__ == "__main__":
    main()
