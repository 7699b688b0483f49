"""The section that holds the recipes against each other: gold against KL and against seconds."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments.best_of_n import NUMBERS
from benchmarks.experiments.charts import Curve, panels
from benchmarks.experiments.intervals import interval
from benchmarks.experiments.studies import Study
from policy_training.training.best_of_n.best_answers import kl_bound

Row = dict[str, Any]
SHOWN_AS = {
    "A2C, 1 epoch": "A2C",
    "clipped ratio, 1 epoch": "PPO, KL 0.05, one update a step",
    "KL 0.05": "PPO, KL 0.05",
    "max": "PPO-max",
}
SAMPLED_N = 16  # of the row without training


def section(study: Study, there: Mapping[str, Sequence[Row]], measured: Sequence[Row], report: Path) -> str:
    """`measured`: the rows of best_of_n, one a seed."""
    curves = {SHOWN_AS.get(name, name): _over(rows) for name, rows in there.items()}
    against_kl = {name: Curve(curve["kl"], curve["gold"]) for name, curve in curves.items()}
    if measured:
        against_kl["best-of-n sampling"] = Curve(
            [math.sqrt(kl_bound(n)) for n in NUMBERS],
            [
                statistics.fmean(row["labels"]["1000"]["gold"][place] for row in measured)
                for place in range(len(NUMBERS))
            ],
        )
    against_seconds = {name: Curve(curve["seconds"], curve["gold"]) for name, curve in curves.items()}
    (report / "comparison.svg").write_text(
        panels(
            study.title,
            "",
            [("gold against sqrt(KL)", against_kl), ("gold against seconds", against_seconds)],
            columns=2,
            size=(420, 300),
        )
    )
    lines = [_line(SHOWN_AS.get(name, name), rows) for name, rows in there.items()]
    if measured:
        lines.append(_sampled(measured))
    return "\n\n".join(
        part
        for part in (
            f"## {study.title}",
            f"*The papers:* {study.paper}",
            f"*Here:* {study.found}" if study.found else "",
            "The budget: 1,000 labels, seen three times by the reward model, by DPO (which sees nothing else) and by "
            "top-tier SFT (the answers put first); 40 steps of 128 sampled answers for the recipes with rollouts, and "
            "26 answers to each of 192 questions for best-of-n. PPO-max samples more (see the column), since its "
            "critic learns alone at first. A step makes as many updates as the recipe's preset: REINFORCE, GRPO and "
            "A2C one, RLOO two, PPO four. GRPO has groups of 4 answers here instead of 64. All policies learn at "
            "1e-3. Seconds are of one processor, without the training of the reward "
            "model (best-of-n also answers held-out questions in them). In the picture the recipes with rollouts are "
            "measured on the questions they learn from, the "
            "others on "
            "the held-out ones; in the table all on the held-out ones. Where a run knows the seconds of the whole "
            "alone, the picture spreads them evenly over its steps.",
            f"![{study.title}: gold against sqrt(KL) and against seconds](comparison.svg)",
            "| recipe | seeds | sampled | gold | proxy | KL | text | s |\n|---|---|---|---|---|---|---|---|\n"
            + "\n".join(lines),
        )
        if part
    )


def _over(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Means over the seeds at each step that is measured; a step counts with its own KL and its own seconds."""
    length = min(len(row["steps"]) for row in rows)

    def means(of: Callable[[Row, int], float]) -> list[float]:
        return [statistics.fmean(of(row, place) for row in rows) for place in range(length)]

    return {
        "kl": means(lambda row, place: math.sqrt(max(row["steps"][place]["kl"], 0.0))),
        "gold": means(lambda row, place: row["steps"][place]["gold"]),
        "seconds": means(_seconds),
    }


def _seconds(row: Row, place: int) -> float:
    """Up to this step. Results of before knew only the whole run's, which are spread evenly over its steps."""
    evenly = row["seconds"] * (place + 1) / len(row["steps"])
    return float(row["steps"][place].get("seconds", evenly))


def _line(name: str, rows: Sequence[Row]) -> str:
    def shown(of: Callable[[Row], float], digits: int = 1) -> str:
        values = [of(row) for row in rows]
        low, high = interval(values)
        return f"{statistics.fmean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    return (
        f"| {name} | {len(rows)} | {statistics.fmean(row['sampled'] for row in rows):,.0f} "
        f"| {shown(lambda row: row['end']['gold'], 2)} "
        f"| {statistics.fmean(row['end']['proxy'] for row in rows):.2f} | {shown(lambda row: row['end']['kl'])} "
        f"| {statistics.fmean(row['text_perplexity'] for row in rows):.2f} | {shown(lambda row: row['seconds'])} |"
    )


def _sampled(measured: Sequence[Row]) -> str:
    place = NUMBERS.index(SAMPLED_N)
    own = [row["labels"]["1000"] for row in measured]
    low, high = interval([one["gold"][place] for one in own])
    return (
        f"| best-of-{SAMPLED_N} sampling, no training | {len(own)} | "
        f"| {statistics.fmean(one['gold'][place] for one in own):.2f} ({low:.2f} to {high:.2f}) "
        f"| {statistics.fmean(one['proxy'][place] for one in own):.2f} | {kl_bound(SAMPLED_N):.1f} | 2.1 | |"
    )
