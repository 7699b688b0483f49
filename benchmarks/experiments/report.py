"""The report of what has run: a table and a picture for each study, and what all runs say together."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.experiments import comparison, over_optimisation, sections, support
from benchmarks.experiments.charts import Curve, panels
from benchmarks.experiments.configurations import CONFIGURATIONS, LEARN_DIRECTLY
from benchmarks.experiments.intervals import interval
from benchmarks.experiments.measurements import MEASUREMENTS
from benchmarks.experiments.runs import run_key
from benchmarks.experiments.studies import FOUND_ALL, STUDIES, Study

Row = dict[str, Any]
PICTURED = {"collapse": ("gold", "proxy", "kl", "response_tokens", "response_perplexity", "entropy")}
LABELS = {
    "gold": "gold",
    "proxy": "proxy reward",
    "kl": "KL, nats an answer",
    "response_tokens": "length, tokens",
    "response_perplexity": "perplexity",
    "entropy": "entropy, nats a token",
}


def write_report(rows: Sequence[Row], report: Path, folder: Path) -> None:
    """`report`/README.md and its pictures. Rows of configurations that have changed since are left out."""
    report.mkdir(parents=True, exist_ok=True)
    keys = {run_key(made, seed): name for name, made in CONFIGURATIONS.items() for seed in range(100)}
    by_name: dict[str, list[Row]] = {}
    for row in {row["key"]: row for row in rows if row["key"] in keys}.values():
        by_name.setdefault(row["configuration"], []).append(row)
    measured = {
        name: [
            row
            for row in rows
            if row.get("measurement") == name and row["key"] == made.key(name, row["seed"])
        ]
        for name, made in MEASUREMENTS.items()
    }
    page = [INTRODUCTION]
    for name, study in STUDIES.items():
        there = {key: by_name[key] for key in study.configurations if key in by_name}
        if not there:
            continue
        if name == "comparison":
            page.append(comparison.section(study, there, measured["best_of_n"], report))
            continue
        (report / f"{name}.svg").write_text(_picture(name, study, there))
        page.append(_section(name, study, there))
    page.append(sections.gradients(measured["gradients"]))
    page.append(sections.tails(measured["watched"], report))
    page.append(sections.alarms(measured["watched"]))
    page.append(support.section(by_name))
    page.append(over_optimisation.section(by_name, measured["best_of_n"], report))
    learned = [
        row
        for name, runs in by_name.items()
        if CONFIGURATIONS[name].recipe not in LEARN_DIRECTLY
        for row in runs
    ]
    page.append(_predictors(learned))
    (report / "README.md").write_text("\n\n".join(part for part in page if part) + "\n")


INTRODUCTION = """# The experiments of Secrets of RLHF I, in a small world

`.venv/bin/python -m benchmarks.experiments --processes 2 --report docs/experiments` (Zheng et al. 2023,
arXiv 2307.04964; one thread a run, four to eighty processor seconds each; the 355 runs of all
studies took 114 processor minutes beside other work, those of the measurements `best_of_n`, `gradients` and `watched`
were not timed). A study is run alone by its name, which is that of its picture: `python -m benchmarks.experiments
comparison best_of_n`.

The world is the demonstration's in shorthand (`benchmarks/experiments/world.py`): 320 questions, 128 of them held
out; a Llama of 2 layers and width 48, fine-tuned on 4,000 written answers; a proxy reward model from 1,000 labels
of a judge who agrees with gold on 82 % of the pairs; 40 steps of 128 answers by the product's own recipes. A seed
decides labels, reward model and noise. *Gold* is the judge without noise: 1.8 points for the fine-tuned policy, at
most 4.75. No training sees the held-out questions. Learning rates are ours (1e-3, the critic's 3.3 times that), and
so are the sizes of a step and a KL penalty of 0.05 for REINFORCE, RLOO and A2C; all else is as the presets have it.
Nothing was tuned after a result.

Columns: *gold* on held-out questions at the end, with the 95 % interval of the mean over seeds (bootstrap); *best
gold* of a step on the way, on training questions; *KL* to the fine-tuned policy in nats an answer; *text* is the
perplexity of held-out pretraining text, 2.1 before. In pictures: mean over seeds, shaded from the smallest to the
largest."""


def _section(name: str, study: Study, there: dict[str, list[Row]]) -> str:
    lines = [
        f"## {study.title}",
        f"*The paper:* {study.paper}",
        *([f"*Here:* {study.found}"] if study.found else []),
        f"![{study.title}: gold and proxy reward over the steps]({name}.svg)",
        "| configuration | seeds | gold | best gold | proxy | KL | tokens | perplexity | text | s |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
        + "\n".join(_line(key, rows) for key, rows in there.items()),
    ]
    return "\n\n".join(lines)


def _line(name: str, rows: Sequence[Row]) -> str:
    def mean(of: Callable[[Row], float]) -> float:
        return statistics.fmean(of(row) for row in rows)

    golds = [row["end"]["gold"] for row in rows]
    low, high = interval(golds)
    best = mean(lambda row: max(step["gold"] for step in row["steps"]))
    return (
        f"| {name} | {len(rows)} | **{statistics.fmean(golds):.2f}** ({low:.2f} to {high:.2f}) | {best:.2f} "
        f"| {mean(lambda row: row['end']['proxy']):.2f} | {mean(lambda row: row['end']['kl']):.1f} "
        f"| {mean(lambda row: row['end']['tokens']):.1f} | {mean(lambda row: row['end']['perplexity']):.2f} "
        f"| {mean(lambda row: row['text_perplexity']):.2f} | {mean(lambda row: row['seconds']):.0f} |"
    )


def curve(rows: Sequence[Row], value: Callable[[dict[str, Any]], float | None]) -> Curve:
    """Over the steps that every run has; `value` None where a step lacks the measure."""
    length = min(len(row["steps"]) for row in rows)
    found = [[value(row["steps"][place]) for row in rows] for place in range(length)]
    kept = [(place + 1, [one for one in step if one is not None]) for place, step in enumerate(found)]
    kept = [(place, step) for place, step in kept if step]
    return Curve(
        [place for place, _ in kept],
        [statistics.fmean(step) for _, step in kept],
        [min(step) for _, step in kept],
        [max(step) for _, step in kept],
    )


def _picture(name: str, study: Study, there: dict[str, list[Row]]) -> str:
    if name in PICTURED:
        shown = [
            (
                LABELS[measure],
                {
                    key: curve(rows, lambda step, measure=measure: step[measure])
                    for key, rows in there.items()
                },
            )
            for measure in PICTURED[name]
        ]
        return panels(study.title, "step", shown, columns=3, same_scale=False)
    shown = [
        (
            key,
            {
                "gold": curve(rows, lambda step: step["gold"]),
                "proxy reward": curve(rows, lambda step: step["proxy"]),
            },
        )
        for key, rows in there.items()
    ]
    return panels(study.title, "step", shown)


def _predictors(rows: Sequence[Row]) -> str:
    if len(rows) < 20:
        return ""
    measures: dict[str, Callable[[Row], float]] = {
        "proxy reward": lambda row: row["end"]["proxy"],
        "KL": lambda row: row["end"]["kl"],
        "length": lambda row: row["end"]["tokens"],
        "perplexity": lambda row: row["end"]["perplexity"],
        "accuracy of the reward model": lambda row: row["accuracy"],
    }
    groups = {
        "all runs": rows,
        "with a KL penalty": [row for row in rows if row["kl_penalty"]],
        "without": [row for row in rows if not row["kl_penalty"]],
    }
    lines = [
        f"| at the end of a run | {' | '.join(f'{name} ({len(group)})' for name, group in groups.items())} |"
    ]
    lines.append("|---" * (len(groups) + 1) + "|")
    for name, of in measures.items():
        cells = [
            _correlation([of(row) for row in group], [row["end"]["gold"] for row in group])
            for group in groups.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return (
        "## Which measure tells how good a policy is\n\n"
        "Spearman's correlation with gold at the end (95 % by bootstrap over runs).\n\n"
        + (f"*Here:* {FOUND_ALL['predictors']}\n\n" if FOUND_ALL.get("predictors") else "")
        + "\n".join(lines)
    )


def _correlation(values: Sequence[float], golds: Sequence[float]) -> str:
    low, high = _correlation_interval(values, golds)
    return f"{spearmanr(values, golds).statistic:.2f} ({low:.2f} to {high:.2f})"


def _correlation_interval(values: Sequence[float], golds: Sequence[float]) -> tuple[float, float]:
    rng, found = np.random.default_rng(0), []
    for _ in range(500):
        places = rng.integers(0, len(golds), len(golds))
        found.append(float(spearmanr(np.array(values)[places], np.array(golds)[places]).statistic))
    found.sort()
    return found[12], found[-13]
