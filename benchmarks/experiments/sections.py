"""The report's sections on what is measured beside the runs: gradients, histograms of the reward, alarms."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.experiments.charts import histograms
from benchmarks.experiments.gradients import ESTIMATES, FORMS, POLICIES
from benchmarks.experiments.intervals import interval
from benchmarks.experiments.studies import FOUND_ALL
from benchmarks.experiments.watched import NAMES, WINDOWS, first_alarms, gold_lost, gold_peak

Row = dict[str, Any]
STEPS_SHOWN = ("0", "5", "10", "20", "30", "40")


def _found(name: str) -> list[str]:
    return [f"*Here:* {FOUND_ALL[name]}"] if FOUND_ALL.get(name) else []


def _mean(values: Sequence[float], digits: int = 2) -> str:
    low, high = interval(values)
    return f"{statistics.fmean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def gradients(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = []
    for policy in POLICIES:
        own = [row["policies"][policy] for row in rows]
        for form in FORMS:
            traces = [one["forms"][form]["trace"] for one in own]
            ratios = [one["forms"][form]["trace"] / one["forms"]["return"]["trace"] for one in own]
            squared = statistics.fmean(one["forms"][form]["squared_mean"] for one in own)
            lines.append(
                f"| {policy} | {form} | {_mean(traces, 1)} | {_mean(ratios)} | {squared:.1f} "
                f"| {statistics.fmean(one['forms'][form]['cosine'] for one in own):.2f} |"
            )
    scores = "; ".join(
        f"{policy} {statistics.fmean(row['policies'][policy]['score_mean'] for row in rows):.2f}, "
        f"{statistics.fmean(row['policies'][policy]['score_std'] for row in rows):.2f}"
        for policy in POLICIES
    )
    return "\n\n".join(
        (
            "## How much the gradient varies",
            "*The paper (Secrets of RLHF I, equation 5):* return, reward to go and either less a baseline have the "
            "same "
            "mean; a baseline lowers the variance.",
            *_found("gradients"),
            f"{ESTIMATES} gradients of 128 answers, four to a question, at one policy: the fine-tuned one (*start*) "
            f"and "
            f"what 40 steps of PPO with a KL penalty of 0.05 make of it (*later*). Trace of the covariance of one "
            f"gradient "
            f"over all parameters; *ratio* to that of the raw return; squared length of the expected gradient, "
            f"unbiased; "
            f"cosine of the mean gradient with the raw return's. Mean and spread of the scores: {scores}.",
            "| policy | Phi | trace | ratio | squared mean | cosine |\n|---|---|---|---|---|---|\n"
            + "\n".join(lines),
        )
    )


def tails(rows: Sequence[Row], report: Path) -> str:
    """Histograms of the held-out scores in units of the start's spread, and two measures of the right tail."""
    if not rows:
        return ""
    shown, lines = [], []
    for name in NAMES:
        for step in STEPS_SHOWN:
            pooled, above, reach, skews = [], [], [], []
            for row in rows:
                start = np.array(row[name]["scores"]["0"])
                scores = np.array(row[name]["scores"][step])
                pooled += list((scores - start.mean()) / start.std())
                above.append(float((scores > row["limit"]).mean()))
                low, middle, high = np.quantile(scores, [0.05, 0.5, 0.95])
                reach.append(float((high - middle) / (middle - low)))
                skews.append(float(((scores - scores.mean()) ** 3).mean() / scores.std() ** 3))
            shown.append((f"{name}, step {step}", pooled))
            lines.append(
                f"| {name} | {step} | {statistics.fmean(pooled):.2f} | {_mean(above)} | {_mean(reach)} "
                f"| {_mean(skews)} |"
            )
    (report / "tails.svg").write_text(
        histograms(
            "Proxy reward of held-out questions", "spreads of the start", shown, columns=len(STEPS_SHOWN)
        )
    )
    return "\n\n".join(
        (
            "## The reward's histogram along a run",
            "*The paper (Secrets of RLHF I, 5.2 and figure 4):* the long tail of the reward comes with the collapse.",
            *_found("tails"),
            "The 128 held-out questions, one answer each with the same noise, at several steps; five seeds "
            "together, in "
            "spreads of the start's scores from their mean. *Above*: share of answers with a score above all that the "
            "reward model gave its own held-out pairs. *Reach*: the 95 % quantile's distance from the median "
            "against the "
            "5 % quantile's; above 1 the right tail is the longer one. `watched` is the command's name for it.",
            "![Histograms of the proxy reward, vanilla PPO above PPO-max](tails.svg)",
            "| run | step | mean | above | reach | skewness |\n|---|---|---|---|---|---|\n"
            + "\n".join(lines),
        )
    )


def alarms(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = []
    for name in NAMES:
        for row in sorted(rows, key=lambda row: row["seed"]):
            golds = [step["gold"] for step in row[name]["steps"]]
            cells = []
            for window in WINDOWS:
                raised = first_alarms(row[name]["steps"], window=window, limit=row["limit"])
                if not raised:
                    cells.append("none")
                    continue
                kind, step = min(raised.items(), key=lambda found: found[1])
                cells.append(f"{step} ({kind}), {100 * gold_lost(golds, step):.0f} %")
            lines.append(
                f"| {name} | {row['seed']} | {gold_peak(golds)} | {golds[-1]:.2f} | {' | '.join(cells)} |"
            )
    head = " | ".join(f"alarm, window {window}" for window in WINDOWS)
    return "\n\n".join(
        (
            "## When the alarm comes",
            "The product's alarms see no gold: a collapse is longer answers, a lower perplexity and a KL above 10 "
            "nats at "
            "once, over-optimisation a mean score above all that the reward model gave its held-out pairs.",
            *_found("alarms"),
            "The step of gold's peak (mean of three steps), and the step of the first alarm with the share of the gold "
            "gained up to the peak that is lost by then (100 %: back at the start). A window is how many steps an "
            "alarm "
            "takes the mean over; 10 is the product's, for runs of hundreds of steps.",
            f"| run | seed | gold's peak | gold at the end | {head} |\n|---|---|---|---|{'---|' * len(WINDOWS)}\n"
            + "\n".join(lines),
        )
    )
