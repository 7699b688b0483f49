"""Our reward-model training with its defaults beside TRL's RewardTrainer, in one run.

    .venv/bin/python benchmarks/reward_model.py --peer var/trl

64 prompts of 64 to 256 tokens with rankings of K = 2, 4 and 8 responses of 16 to 128 tokens; a Llama of 4 layers of
width 256 with 4,096 tokens; one thread, fp32, random weights, the same for both. Ours learns from each ranking as one
comparison and keeps every default. TRL learns from pairs, 8 a step (its default), without gradient checkpointing
(which recomputes), from one random pair of each prompt: what a pair costs it does not depend on K. The two take
turns, `--repeats` times, each time in new processes.

The unit is pairs, C(K, 2) of a ranking, a second of the processor, from the beginning of the first step to the end of
the last: with one thread and nothing else on the machine that is a second by the clock, and beside other work it
still is what the training takes. The table has both. Memory is the peak of the resident memory of the whole process,
on our side with checkpoint and saving, above that of the same process when everything is imported and nothing loaded.
The last line is JSON: k2_ratio, k4_ratio, k8_ratio (ours / TRL's, of medians), memory_ratio (the largest of the K's)
and the figures behind them.

TRL comes from a virtual environment of its own, `python3 -m venv var/trl` and `var/trl/bin/pip install trl==1.16.0
torch==2.13.0`. Without --peer ours alone is measured.
"""

import argparse
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainers.processes import Report, machine_load, prepare, run_ours, run_peer, summary, take_turns
from trainers.synthetic import SMALL, Sizes, make_pairs, make_rankings

# Small enough that the losses of a run are those of the starting weights: both sides must have the same.
LEARNING_RATE = 1e-6


def main() -> None:
    options = parse()
    sizes = replace(
        SMALL if options.small else Sizes(), prompts=options.prompts or (6 if options.small else 64)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batch = {"max_micro_batch_tokens": options.micro_batch} if options.micro_batch else {}
        prepare(
            folder,
            "reward_model",
            sizes,
            options.responses,
            steps=options.epochs,
            learning_rate=LEARNING_RATE,
            batch=batch,
        )
        print(f"Before: {machine_load()}.", flush=True)

        def ours(count: int) -> Report:
            report = run_ours("reward_model", folder, count)
            pairs = sizes.prompts * math.comb(count, 2)
            losses = [step["loss"] for step in report["metrics"]]
            comparisons = sum(step["comparisons"] for step in report["metrics"])
            return report | {"units": pairs * comparisons / sizes.prompts, "loss": losses[0]}

        def peer(count: int) -> Report:
            pairs = make_pairs(make_rankings(sizes, count), per_prompt=1)
            return run_peer(options.peer, "trl_reward_model.py", folder, peer_job(folder, pairs, options))

        found = take_turns(options.responses, options.repeats, ours, peer if options.peer else None)
    example = found[options.responses[0]][0][0]
    print(f"After: {machine_load()}. Our micro-batches: {example['batch']}; {example['layout']} rows.\n")
    table, figures = summary(found, "K", "pairs")
    print(table, flush=True)
    if options.peer and 2 in found:
        require_same_loss(found[2][0][0]["loss"], found[2][1][0]["loss"])
    print(json.dumps(figures))


def peer_job(folder: Path, pairs: list[Any], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "model": str(folder / "reward_model"),
        "pairs": pairs,
        "pairs_per_step": options.peer_pairs_per_step,
        "gradient_checkpointing": options.peer_gradient_checkpointing,
        "learning_rate": LEARNING_RATE,
    }


def require_same_loss(ours: float, peer: float) -> None:
    """With K = 2 both see the same pairs with the same weights. Raises SystemExit where their losses differ."""
    if abs(ours - peer) > 1e-3:
        raise SystemExit(f"K = 2: our loss is {ours:.5f} and TRL's is {peer:.5f}: this is not the same work.")
    print(f"\nThe mean loss of the K = 2 pairs: {ours:.5f} and {peer:.5f}.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--peer", type=Path, help="a virtual environment with TRL; without it ours alone is measured")
    add("--responses", type=int, nargs="+", default=[2, 4, 8], help="K of the rankings")
    add("--repeats", type=int, default=3, help="how often the two take turns")
    add("--epochs", type=int, default=1, help="how often ours learns from every ranking in a run")
    add("--prompts", type=int, help="how many rankings")
    add("--micro-batch", type=int, help="tokens of our forward passes, in place of the default")
    add("--peer-pairs-per-step", type=int, default=8)
    add("--peer-gradient-checkpointing", action="store_true")
    add("--small", action="store_true", help="tiny models and texts: only shows that the script runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
