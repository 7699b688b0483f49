"""The curves of over-optimisation (Gao et al. 2022, arXiv 2210.10760): gold gained against d = sqrt(KL), of best-of-n
and of PPO, with the coefficients fitted for each number of labels.
"""

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.best_of_n import LABELS, NUMBERS
from benchmarks.experiments.charts import Curve, panels
from benchmarks.experiments.studies import FOUND_ALL
from policy_training.training.best_of_n.best_answers import kl_bound

Row = dict[str, Any]
Point = tuple[float, float]  # (d, gold gained)
RESAMPLES = 1000
PPO_RUNS = {labels: "vanilla" if labels == 1000 else f"vanilla, {labels} labels" for labels in LABELS}
NEAREST = 0.1  # closer to the start nothing but noise is gained


def fit_best_of_n(points: Sequence[Point]) -> tuple[float, float]:
    """Least squares for alpha, beta of d (alpha - beta d): Gao et al. 2022, equation 1."""
    return _fit(points, lambda d: d)


def fit_ppo(points: Sequence[Point]) -> tuple[float, float]:
    """Least squares for alpha, beta of d (alpha - beta log d): Gao et al. 2022, equation 2."""
    return _fit(points, math.log)


def _fit(points: Sequence[Point], falls_by: Callable[[float], float]) -> tuple[float, float]:
    usable = [(d, gained) for d, gained in points if d > NEAREST]
    columns = np.array([[d, -d * falls_by(d)] for d, _ in usable])
    (alpha, beta), *_ = np.linalg.lstsq(columns, np.array([gained for _, gained in usable]), rcond=None)
    return float(alpha), float(beta)


def peak_best_of_n(alpha: float, beta: float) -> float:
    return alpha / (2 * beta) if beta > 0 else math.inf


def peak_ppo(alpha: float, beta: float) -> float:
    return math.exp(alpha / beta - 1) if beta > 0 else math.inf


def resampled(
    runs: Sequence[Sequence[Point]], fit: Callable[[Sequence[Point]], tuple[float, float]]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """95 % intervals of alpha and beta; whole seeds are drawn again, since points of a run belong together."""
    rng = random.Random(0)
    found = [
        fit([point for run in rng.choices(runs, k=len(runs)) for point in run]) for _ in range(RESAMPLES)
    ]
    alphas, betas = (sorted(values) for values in zip(*found, strict=True))
    low, high = int(0.025 * RESAMPLES), int(0.975 * RESAMPLES) - 1
    return (alphas[low], alphas[high]), (betas[low], betas[high])


def section(by_name: Mapping[str, Sequence[Row]], measured: Sequence[Row], report: Path) -> str:
    """`measured`: the rows of best_of_n, one a seed. Writes its pictures into `report`."""
    best_curves, ppo_curves, lines, coefficients = [], [], [], []
    for labels in LABELS:
        rows = by_name.get(PPO_RUNS[labels], ())
        if not rows or not measured:
            continue
        own = [row["labels"][str(labels)] for row in measured]
        best = [
            [
                (math.sqrt(kl_bound(n)), gold - one["gold"][0])
                for n, gold in zip(NUMBERS, one["gold"], strict=True)
            ]
            for one in own
        ]
        ppo = [
            [
                (math.sqrt(max(step["kl"], 0.0)), step["gold"] - row["steps"][0]["gold"])
                for step in row["steps"]
            ]
            for row in rows
        ]
        fits = {
            "best of n": (*fit_best_of_n(_all(best)), *resampled(best, fit_best_of_n)),
            "PPO": (*fit_ppo(_all(ppo)), *resampled(ppo, fit_ppo)),
        }
        coefficients.append((labels, fits))
        best_curves.append((f"{labels} labels", _best_curves(best, own, fits["best of n"])))
        ppo_curves.append((f"{labels} labels", _ppo_curves(ppo, fits["PPO"])))
        lines.append(_line(labels, own, fits, rows))
    if not lines:
        return ""
    (report / "over_optimisation.svg").write_text(
        panels("Gold gained by PPO against sqrt(KL)", "sqrt(KL)", ppo_curves, columns=3)
    )
    (report / "best_of_n.svg").write_text(
        panels("Gold and proxy gained by best-of-n against sqrt(KL)", "sqrt(KL)", best_curves, columns=3)
    )
    (report / "coefficients.svg").write_text(_coefficients(coefficients))
    return "\n\n".join(
        part
        for part in (
            "## The curves of over-optimisation",
            "*The paper (Gao et al. 2022):* with d = sqrt(KL) gold gained is d (alpha - beta d) for best-of-n and "
            "d (alpha - beta log d) under reinforcement learning; alpha and beta change smoothly with the reward "
            "model's "
            "data and size, and the peak lies further right the more of both there is. Reinforcement learning "
            "spends far "
            "more KL than best-of-n for the same gain.",
            f"*Here:* {FOUND_ALL['over_optimisation']}" if FOUND_ALL.get("over_optimisation") else "",
            f"Best-of-n: {len(measured)} reward models for each number of labels choose among 512 answers to each "
            f"of 128 "
            f"held-out questions ({100 * statistics.fmean(row['distinct'] for row in measured):.0f} % of them "
            "distinct), n = 1 to 256, by the estimator over all draws from the pool; KL is log n - (n - 1)/n. PPO: the "
            "steps of vanilla PPO. Intervals: 95 %, seeds resampled. `best_of_n` is the command's name for it.",
            "Best-of-n:",
            "![Gold and proxy gained by best-of-n against sqrt(KL), with the fitted curves](best_of_n.svg)",
            "PPO:",
            "![Gold gained by PPO against sqrt(KL), with the fitted curves](over_optimisation.svg)",
            "| labels | accuracy | best of n: alpha | beta | peak at d | best n | PPO: alpha | beta | peak at d | "
            "best gold "
            "of a step |\n|---|---|---|---|---|---|---|---|---|---|\n" + "\n".join(lines),
            "![The fitted coefficients against the number of labels](coefficients.svg)",
        )
        if part
    )


def _all(runs: Sequence[Sequence[Point]]) -> list[Point]:
    return [point for run in runs for point in run]


def _best_curves(
    best: Sequence[Sequence[Point]], own: Sequence[Row], fitted: tuple[Any, ...]
) -> dict[str, Curve]:
    ds = [d for d, _ in best[0]]
    alpha, beta = fitted[:2]
    proxies = [[value - one["proxy"][0] for value in one["proxy"]] for one in own]
    golds = [[gained for _, gained in run] for run in best]
    return {
        "gold": _over_seeds(ds, golds),
        "fitted to gold": Curve(ds, [d * (alpha - beta * d) for d in ds]),
        "proxy": _over_seeds(ds, proxies),
    }


def _over_seeds(ds: Sequence[float], of_seeds: Sequence[Sequence[float]]) -> Curve:
    columns = list(zip(*of_seeds, strict=True))
    return Curve(
        ds, [statistics.fmean(c) for c in columns], [min(c) for c in columns], [max(c) for c in columns]
    )


def _ppo_curves(ppo: Sequence[Sequence[Point]], fitted: tuple[Any, ...]) -> dict[str, Curve]:
    points = sorted(point for point in _all(ppo) if point[0] > NEAREST)
    alpha, beta = fitted[:2]
    return {
        "gold": Curve([d for d, _ in points], [gained for _, gained in points]),
        "fitted to gold": Curve(
            [d for d, _ in points], [d * (alpha - beta * math.log(d)) for d, _ in points]
        ),
    }


def _line(labels: int, own: Sequence[Row], fits: Mapping[str, tuple[Any, ...]], rows: Sequence[Row]) -> str:
    def shown(place: int, kind: str) -> str:
        value, (low, high) = fits[kind][place], fits[kind][2 + place]
        return f"{value:.2f} ({low:.2f} to {high:.2f})"

    golds = [statistics.fmean(one["gold"][place] for one in own) for place in range(len(NUMBERS))]
    best = NUMBERS[golds.index(max(golds))]
    step = statistics.fmean(max(step["gold"] for step in row["steps"]) for row in rows)
    return (
        f"| {labels} | {statistics.fmean(one['accuracy'] for one in own):.3f} "
        f"| {shown(0, 'best of n')} | {shown(1, 'best of n')} | {peak_best_of_n(*fits['best of n'][:2]):.2f} "
        f"| {best}: {max(golds):.2f} "
        f"| {shown(0, 'PPO')} | {shown(1, 'PPO')} | {peak_ppo(*fits['PPO'][:2]):.2f} | {step:.2f} |"
    )


def _coefficients(found: Sequence[tuple[int, Mapping[str, tuple[Any, ...]]]]) -> str:
    xs = [math.log10(labels) for labels, _ in found]
    return panels(
        "Coefficients against the number of labels",
        "log10 labels",
        [
            (
                name,
                {
                    kind: Curve(
                        xs,
                        [fits[kind][place] for _, fits in found],
                        [fits[kind][2 + place][0] for _, fits in found],
                        [fits[kind][2 + place][1] for _, fits in found],
                    )
                    for kind in ("best of n", "PPO")
                },
            )
            for place, name in enumerate(("alpha", "beta"))
        ],
        columns=2,
    )
