"""A round against time, as its page draws it: what was computed, and what waited for whom."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext

from annotation.models import Judgment
from rounds.models import Round, Stage
from runs.models import Run
from runs.presentation import duration
from runs.states import RunState

# `worker`: a run that no worker has begun; `manager`: a stage that failed.
Kind = Literal["computing", "people", "worker", "manager"]
WIDTH, HEIGHT = 100.0, 20.0
BINS = 40  # of the judgments against time


@dataclass(frozen=True, kw_only=True)
class Bar:
    kind: Kind
    x: str
    width: str


@dataclass(frozen=True, kw_only=True)
class Row:
    label: str
    said: str  # the row in words: how long each kind of it took
    bars: list[Bar]
    line: str = ""  # points of the judgments, from none to all
    run: Run | None = None


@dataclass(frozen=True, kw_only=True)
class TimeFigure:
    """Places are in percent of the time from `first` to `last`."""

    rows: list[Row]
    first: datetime
    last: datetime
    kinds: list[tuple[Kind, str]]  # that there are, with their words


def time_figure(round_: Round) -> TimeFigure | None:
    """None for a round that has hardly begun."""
    first, last = round_.created_at, round_.finished_at or timezone.now()
    if last - first < timedelta(seconds=1):
        return None
    runs: dict[str, list[Run]] = {}
    for link in round_.round_runs.select_related("run").order_by("pk"):
        runs.setdefault(link.stage, []).append(link.run)
    spans: list[tuple[str, list[tuple[Kind, datetime, datetime]], str, Run | None]] = []
    stays = list(_stays(round_, last))
    for stage in (Stage.SAMPLING, Stage.ANNOTATING, Stage.REWARD_MODEL, Stage.POLICY, Stage.SCORING):
        if stage == Stage.ANNOTATING:
            judged = [(begun, ended) for name, begun, ended in stays if name == stage]
            if judged:
                line = _judgments(round_, first, last)
                spans.append((str(stage.label), [("people", *one) for one in judged], line, None))
        for run in runs.get(stage, []):
            spans.append((run.title, _spans_of(run, last), "", run))
    failed: list[tuple[Kind, datetime, datetime]] = [
        ("manager", begun, ended) for name, begun, ended in stays if name == Stage.FAILED
    ]
    if failed:
        spans.append((str(Stage.FAILED.label), failed, "", None))
    rows = [
        Row(
            label=label,
            said=_in_words(parts, is_paused=run is not None and run.state == RunState.PAUSED),
            bars=[
                Bar(
                    kind=kind,
                    x=f"{_share(begun, first, last):.2f}",
                    # What took no time is still seen.
                    width=f"{max(_share(ended, first, last) - _share(begun, first, last), 0.4):.2f}",
                )
                for kind, begun, ended in parts
            ],
            line=line,
            run=run,
        )
        for label, parts, line, run in spans
    ]
    there = {bar.kind for row in rows for bar in row.bars}
    words = _words()
    return TimeFigure(
        rows=rows, first=first, last=last, kinds=[(kind, words[kind]) for kind in words if kind in there]
    )


def _words() -> dict[Kind, str]:
    return {
        "computing": gettext("a worker computes"),
        "people": gettext("people judge"),
        "worker": gettext("waits for a worker"),
        "manager": gettext("waits for a manager"),
    }


def _stays(round_: Round, last: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """(stage, from, to) of each time that the round was in a stage."""
    entries = list(round_.stage_entries.all())
    for entry, after in zip(entries, [*entries[1:], None], strict=True):
        yield entry.stage, entry.created_at, after.created_at if after else last


def _spans_of(run: Run, last: datetime) -> list[tuple[Kind, datetime, datetime]]:
    ended = run.finished_at or last
    if run.started_at is None:
        return [("worker", run.created_at, ended)]
    return [("worker", run.created_at, run.started_at), ("computing", run.started_at, ended)]


def _share(at: datetime, first: datetime, last: datetime) -> float:
    return min(max(WIDTH * (at - first) / (last - first), 0.0), WIDTH)


def _in_words(parts: Sequence[tuple[Kind, datetime, datetime]], *, is_paused: bool) -> str:
    words = _words()
    seconds: dict[Kind, float] = {}
    for kind, begun, ended in parts:
        seconds[kind] = seconds.get(kind, 0.0) + (ended - begun).total_seconds()
    said = [f"{words[kind]} {duration(spent)}" for kind, spent in seconds.items() if spent >= 1]
    if is_paused:
        said.append(gettext("paused: a manager has it go on, or end"))
    return ", ".join(said) or gettext("less than a second")


def _judgments(round_: Round, first: datetime, last: datetime) -> str:
    """SVG points of how many of the round's judgments there were, at BINS instants after its beginning."""
    if round_.batch is None:
        return ""
    instants = [first + (last - first) * place / BINS for place in range(1, BINS + 1)]
    counts = (
        Judgment.objects.current()
        .in_batch(round_.batch)
        .aggregate(
            **{f"at_{place}": Count("pk", filter=Q(created_at__lte=at)) for place, at in enumerate(instants)}
        )
    )
    total = counts[f"at_{BINS - 1}"]
    if not total:
        return ""
    points = [(0.0, 0)] + [(WIDTH * (place + 1) / BINS, counts[f"at_{place}"]) for place in range(BINS)]
    return " ".join(f"{x:.2f},{HEIGHT - 1 - (HEIGHT - 2) * count / total:.2f}" for x, count in points)
