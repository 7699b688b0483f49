"""What the pages show of a run's directory: metrics, log, samples, inputs. Reads only, and expects
any of it missing.
"""

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext_noop

from learning.interface.options import UserError
from learning.interface.plain_files import read_tail
from learning.interface.run_directory import RunDirectory
from runs.launchers import OUTPUT_FILE
from runs.models import Run
from workspace.polling import content_fingerprint

METRICS_BYTES = 8 * 1024 * 1024  # read for one answer
MAX_ROWS = 4000  # points of one answer: more than a screen has columns
LOG_LINES = 120
OUTPUT_TAIL_BYTES = 20_000
SAMPLES = 12

# First match wins: the words of a metric's name -> the panel it is drawn in.
PANELS: tuple[tuple[str, frozenset[str]], ...] = (
    (gettext_noop("Learning rate"), frozenset({"learning", "lr"})),
    (gettext_noop("Gradient norm"), frozenset({"gradient", "grad", "norm"})),
    (gettext_noop("Speed"), frozenset({"second", "seconds", "speed", "throughput"})),
    (gettext_noop("Accuracy"), frozenset({"accuracy", "acc", "agreement", "correct"})),
    (gettext_noop("KL coefficient"), frozenset({"coefficient", "beta"})),
    (gettext_noop("KL"), frozenset({"kl"})),
    (gettext_noop("Perplexity"), frozenset({"perplexity"})),
    (gettext_noop("Loss"), frozenset({"loss", "nll"})),
    (gettext_noop("Distinct n-grams"), frozenset({"distinct"})),
    (gettext_noop("Entropy"), frozenset({"entropy"})),
    (gettext_noop("Clipping"), frozenset({"clip", "clipped", "ratio", "fraction"})),
    (
        gettext_noop("Advantages and values"),
        frozenset({"advantage", "advantages", "value", "values", "return", "returns", "variance"}),
    ),
    (gettext_noop("Reward"), frozenset({"reward", "rewards", "score", "scores", "gold", "margin"})),
    (gettext_noop("Ended answers"), frozenset({"eos", "truncated"})),
    (gettext_noop("Length"), frozenset({"length", "lengths", "tokens"})),
)
OTHER_PANEL = gettext_noop("Counts and the rest")
IMPLICIT_REWARD_PANEL = gettext_noop("Implicit reward")
OWN_ANSWERS_PANEL = gettext_noop("Perplexity of its own answers")
JUDGE_PANEL = gettext_noop("The judge")
JUDGE_TOKENS_PANEL = gettext_noop("Tokens of the judge so far")
JUDGE_COST_PANEL = gettext_noop("Cost of the judge so far")
# Metrics whose words would lead to another panel.
PANEL_OF = {
    **dict.fromkeys(("tokens", "text_tokens"), OTHER_PANEL),  # learned from, not how long answers are
    **{
        f"{prefix}{name}": IMPLICIT_REWARD_PANEL  # DPO's
        for prefix in ("", "eval_")
        for name in ("reward_margin", "preferred_reward", "other_reward")
    },
    "response_perplexity": OWN_ANSWERS_PANEL,
    **dict.fromkeys(
        ("judge_ties", "judge_order_agreement", "score_judge_ties", "score_judge_not_understood"), JUDGE_PANEL
    ),
    "judge_tokens": JUDGE_TOKENS_PANEL,
    "judge_cost": JUDGE_COST_PANEL,
}
PANEL_ORDER = ("Loss", "Accuracy", "Reward", IMPLICIT_REWARD_PANEL, "KL", "KL coefficient", "Entropy", "Clipping",
               "Advantages and values", "Length", "Ended answers", "Perplexity", OWN_ANSWERS_PANEL, "Distinct n-grams",
               "Gradient norm", "Learning rate", "Speed", JUDGE_PANEL, JUDGE_TOKENS_PANEL,
               JUDGE_COST_PANEL, OTHER_PANEL)  # fmt: skip
# Kinds of runs that go in steps, and write a point of each curve at each. Others have no steps to write any at.
WITH_CURVES = frozenset(
    {
        "policy.pretrain",
        "policy.sft",
        "policy.best_of_n",
        "policy.ppo",
        "policy.gradient",
        "policy.dpo",
        "rewardmodel.train",
    }
)


# What a curve tells, for who does not train models every day; of the rest nothing could be said in one sentence.
ABOUT_PANELS = {
    "Loss": gettext_noop("What the training makes smaller: how far the model is from what it should learn."),
    "Accuracy": gettext_noop(
        "In how many pairs the model prefers the answer that people prefer; half is chance."
    ),
    "Reward": gettext_noop("What the reward model says of the answers; higher is better."),
    IMPLICIT_REWARD_PANEL: gettext_noop(
        "How much likelier than at the start an answer has become, times DPO's β; no reward model is asked. What "
        "counts is the margin: how far the preferred answer is ahead of the other."
    ),
    "KL": gettext_noop("How far the model has moved from where it started; it should grow slowly."),
    "KL coefficient": gettext_noop("How strongly moving away is held back."),
    "Entropy": gettext_noop(
        "How varied the answers are; near zero the model says nearly the same each time."
    ),
    "Clipping": gettext_noop("In how many places a step was too large and was cut; a few percent are usual."),
    "Advantages and values": gettext_noop(
        "How much better answers were than expected, and how well that is expected."
    ),
    "Length": gettext_noop("How long the answers are, in tokens."),
    "Ended answers": gettext_noop(
        "Which share of the answers end by themselves, before the limit of their length."
    ),
    "Perplexity": gettext_noop("How surprising good texts are for the model; lower is better."),
    OWN_ANSWERS_PANEL: gettext_noop(
        "How surprising the model's own answers are for itself; a steady fall says that it writes ever the same."
    ),
    "Distinct n-grams": gettext_noop(
        "Which share of the phrases are different ones; a fall says that answers repeat."
    ),
    "Gradient norm": gettext_noop(
        "How large the change of one step would be; peaks say that training is unsteady."
    ),
    "Learning rate": gettext_noop("How much of that change is made."),
    "Speed": gettext_noop("How long a step takes."),
    JUDGE_PANEL: gettext_noop(
        "Which share of one step's comparisons it calls equal or leaves without a verdict, and in which share of the "
        "pairs its verdict stays when the two answers change places; where it does not, the order decides."
    ),
}


def panel_of(metric: str) -> str:
    """The panel in which a metric is drawn, by the words of its name."""
    if (known := PANEL_OF.get(metric)) is not None:
        return known
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    return next((panel for panel, keywords in PANELS if words & keywords), OTHER_PANEL)


@dataclass(frozen=True, kw_only=True)
class MetricSeries:
    """Rows of metrics.jsonl from an offset on, ready for JSON."""

    rows: list[dict[str, float | int | None]]
    offset: int
    panels: dict[str, list[str]]  # in the order of the page
    more: bool  # something stands behind the offset already


def read_metrics(run: Run, offset: int) -> MetricSeries:
    """Metrics written after `offset` bytes. Numbers only; not-a-number becomes None (a gap), JSON has none."""
    try:
        raw, new_offset = RunDirectory(run.path).metrics(offset, METRICS_BYTES)
        more = (run.path / "metrics.jsonl").stat().st_size - new_offset > 0 and new_offset > offset
    except (OSError, UserError):
        return MetricSeries(rows=[], offset=offset, panels={}, more=False)
    rows = [_numeric_values(row) for row in downsample(raw, MAX_ROWS)]
    names = sorted({name for row in rows for name in row if name != "step"})
    panels = {panel: [name for name in names if panel_of(name) == panel] for panel in PANEL_ORDER}
    return MetricSeries(
        rows=rows,
        offset=new_offset,
        panels={panel: found for panel, found in panels.items() if found},
        more=more,
    )


def has_curves(run: Run) -> bool:
    """Whether it writes some by its kind, or has written some."""
    return run.kind in WITH_CURVES or (run.path / "metrics.jsonl").exists()


def downsample(rows: Sequence[Mapping[str, Any]], limit: int) -> Sequence[Mapping[str, Any]]:
    """At most about `limit` rows, evenly taken, the last one and every row with a rare metric kept."""
    if len(rows) <= limit:
        return rows
    stride = math.ceil(len(rows) / limit)
    counts: dict[str, int] = {}
    for row in rows:
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    rare = {name for name, count in counts.items() if count <= limit // 4}
    return [
        row
        for index, row in enumerate(rows)
        if index % stride == 0 or index == len(rows) - 1 or not rare.isdisjoint(row)
    ]


def _numeric_values(row: Mapping[str, Any]) -> dict[str, float | int | None]:
    return {
        name: value if abs(value) < sys.float_info.max else None
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def log_tail(run: Run) -> str:
    """The end of the log; before the command writes one, the end of what it printed."""
    try:
        text = RunDirectory(run.path).log_tail(LOG_LINES)
    except (OSError, UserError):
        text = ""
    if not text:
        try:
            text = read_tail(run.path / OUTPUT_FILE, OUTPUT_TAIL_BYTES).decode(errors="replace")
        except OSError:
            return ""
    return printable("\n".join(text.splitlines()[-LOG_LINES:]))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Texts of one step worth looking at: (what, text) in the order they were written."""

    step: int
    texts: list[tuple[str, str]]


def samples(run: Run) -> list[Sample]:
    """The newest samples first."""
    try:
        rows = RunDirectory(run.path).samples(SAMPLES)
    except (OSError, UserError):
        return []
    return [
        Sample(
            step=row["step"] if isinstance(row.get("step"), int) else 0,
            texts=[
                text
                for name, value in row.items()
                if name not in ("step", "time")
                for text in _named_texts(name, value)
            ],
        )
        for row in reversed(rows)
    ]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    step: int
    score: float | None  # what the best one is kept by
    path: Path
    scored_by: str = ""  # what its score is (learning.checkpoints)


def checkpoints(run: Run) -> list[Checkpoint]:
    """Those that are complete, newest first; of several attempts at a step the last."""
    return checkpoints_in(run.path)


def best_checkpoint(folder: Path) -> Checkpoint | None:
    """Of a run's folder, the one with the highest score of the kind that the newest one has; None where none has a
    score.
    """
    scored = [found for found in checkpoints_in(folder) if found.score is not None]
    same = [found for found in scored if found.scored_by == scored[0].scored_by]
    return max(same, key=lambda found: (found.score, found.step)) if same else None


def checkpoints_in(folder: Path) -> list[Checkpoint]:
    """See `checkpoints`."""
    found: dict[int, Checkpoint] = {}
    for file in sorted((folder / "checkpoints").glob("step-*/complete.json")):
        try:
            complete = json.loads(file.read_bytes())
            step, score = int(complete["step"]), complete["score"]
            scored_by = str(complete.get("scored_by", ""))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # being removed
        found[step] = Checkpoint(step=step, score=score, path=file.parent, scored_by=scored_by)
    return sorted(found.values(), key=lambda checkpoint: -checkpoint.step)


def _named_texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A text under its name; of a mapping of texts (answers of policies) each under the name that somebody gave it."""
    if isinstance(value, Mapping) and value and all(isinstance(text, str) for text in value.values()):
        yield from ((printable(inner), printable(text)) for inner, text in value.items())
    else:
        yield name.replace("_", " "), printable(value if isinstance(value, str) else _as_json(value))


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """A model of a run, as its training wrote it (learning.models.sizes); bytes are of one process."""

    role: str
    parameters: int
    own_parameters: int
    trained_parameters: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    bytes: int
    int8_parameters: int = 0  # of the parameters in 8 bit


def model_sizes(run: Run) -> list[ModelSize]:
    """Of the run's models by role; empty before a training has read them."""
    try:
        rows = json.loads((run.path / "models.json").read_bytes())["models"]
        return [ModelSize(**row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def files_version(run: Run, *names: str) -> str:
    """Changes when one of these files does, or the run ends; for parts of a page that are made of them. Reads none."""
    found: list[tuple[int, int] | None] = []
    for name in names:
        try:
            status = (run.path / name).lstat()
            found.append((status.st_size, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return content_fingerprint(run.is_finished, found)


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "nested too deeply to be shown"


def inputs_manifest(run: Run) -> list[dict[str, Any]]:
    """What lies in inputs/: one mapping a file, with `name`."""
    try:
        manifest = RunDirectory(run.path).manifest()
    except (OSError, UserError):
        return []
    return [{"name": name, **entry} for name, entry in manifest.items()]


def environment(run: Run) -> str:
    """The environment of the first start as indented JSON; empty before it."""
    try:
        found = RunDirectory(run.path).environment()
    except (OSError, UserError):
        return ""
    return json.dumps(found, indent=2, ensure_ascii=False) if found else ""


def printable(text: str) -> str:
    """NUL and other control characters have no place in HTML."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", text)
