"""One round of the demo for several seeds, each from an empty data folder; prints a table.

.venv/bin/python benchmarks/bench_demo.py [--seeds 0 1 2]
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    "judgments reward_model_accuracy reward_before reward_after "
    "gold_before gold_after gold_sd gain_in_sd kl new_tasks seconds"
).split()


def run_demo(seed: int) -> dict[str, float]:
    """The JSON line of one demo. Raises CalledProcessError when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "ROUNDTABLE_DATA_DIR": folder,
            "ROUNDTABLE_SECRET_KEY": secrets.token_urlsafe(40),
        }
        for command in (["migrate", "--verbosity", "0"], ["collectstatic", "--noinput", "--verbosity", "0"]):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
        demo = [sys.executable, "manage.py", "demo", "--rounds", "1", "--exit", "--seed", str(seed)]
        output = subprocess.run(
            demo, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    metrics = json.loads(output.strip().splitlines()[-1])
    metrics["gain_in_sd"] = (metrics["gold_after"] - metrics["gold_before"]) / metrics["gold_sd"]
    return metrics


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    print(f"| seed | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}", flush=True)
    for seed in parser.parse_args().seeds:
        metrics = run_demo(seed)
        print(f"| {seed} | {' | '.join(f'{metrics[name]:.4g}' for name in COLUMNS)} |", flush=True)


if __name__ == "__main__":
    main()
