"""Runs the two sides by turns, each in processes of its own, and says what the machine did meanwhile."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .synthetic import Sizes

ROOT = Path(__file__).resolve().parents[2]
TRAINERS = Path(__file__).parent
Report = dict[str, Any]


def environment(packages: Path | None = None) -> dict[str, str]:
    """One thread, no network; `packages` come before those of the interpreter's environment."""
    quiet = {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | quiet | ({"PYTHONPATH": str(packages.resolve())} if packages else {})


def run(command: Sequence[str | Path], packages: Path | None = None) -> None:
    """Raises SystemExit with the end of what the command wrote when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment(packages),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout[-3000:]}\n{' '.join(map(str, command))} failed ({done.returncode}).")


def prepare(folder: Path, recipe: str, sizes: Sizes, counts: Sequence[int], **options: Any) -> None:
    """policy/, reward_model/ and a run directory run-COUNT for each count, in `folder`."""
    job = {"recipe": recipe, "folder": str(folder), "sizes": asdict(sizes), "counts": list(counts), **options}
    (folder / "prepare.json").write_text(json.dumps(job))
    run([sys.executable, "-m", "benchmarks.trainers.prepare", folder / "prepare.json"])


def run_ours(recipe: str, folder: Path, count: int | str) -> Report:
    """Our recipe from the start on a copy of run-COUNT."""
    run_directory, report = folder / "ours", folder / "ours.json"
    shutil.rmtree(run_directory, ignore_errors=True)
    shutil.copytree(folder / f"run-{count}", run_directory)
    run([sys.executable, "-m", "benchmarks.trainers.ours", recipe, run_directory, report])
    return json.loads(report.read_text())


def run_peer(
    peer: Path, script: str, folder: Path, job: Mapping[str, Any], packages: Path | None = None
) -> Report:
    """`script` of this folder under the Python of the virtual environment `peer`."""
    report = folder / "peer.json"
    (folder / "job.json").write_text(
        json.dumps({**job, "scratch": str(folder / "scratch"), "report": str(report)})
    )
    run([peer.absolute() / "bin" / "python", TRAINERS / script, folder / "job.json"], packages)
    return json.loads(report.read_text())


def rate(reports: Sequence[Report], clock: str = "cpu_s") -> float:
    """The median of units a second: of the processor (`cpu_s`) or by the clock on the wall (`wall_s`)."""
    return statistics.median(report["units"] / report[clock] for report in reports)


def memory(reports: Sequence[Report]) -> float:
    """The median of peak memory above the idle process, in MB."""
    return statistics.median(report["memory_mb"] for report in reports)


def machine_load() -> str:
    """The load averages of the last minutes, which count this script's one process too."""
    return f"load average {' '.join(f'{load:.1f}' for load in os.getloadavg())} on {os.cpu_count()} cores"


def take_turns(
    counts: Sequence[int],
    repeats: int,
    ours: Callable[[int], Report],
    peer: Callable[[int], Report] | None,
) -> dict[int, tuple[list[Report], list[Report]]]:
    """(our reports, the peer's) of each count: ours, peer, ours, peer, ... so that other work meets both."""
    found: dict[int, tuple[list[Report], list[Report]]] = {count: ([], []) for count in counts}
    for count in counts:
        for repeat in range(repeats):
            found[count][0].append(ours(count))
            if peer is not None:
                found[count][1].append(peer(count))
            last = " and ".join(
                f"{side[-1]['cpu_s']:.1f} of {side[-1]['wall_s']:.1f} s" for side in found[count] if side
            )
            print(f"# {count}, run {repeat + 1}: {last}; {machine_load()}", file=sys.stderr, flush=True)
    return found


def summary(
    found: Mapping[int, tuple[list[Report], list[Report]]], letter: str, unit: str, clock: str = "cpu_s"
) -> tuple[str, dict[str, float]]:
    """A Markdown table, and the figures of the JSON line: ratios ours / the peer's, of medians. Its seconds are of the
    processor; with the clock `wall_s`, for a GPU, of the clock on the wall.
    """
    of_what = "of the processor" if clock == "cpu_s" else "by the clock"
    lines = [
        f"| {letter} | | {unit} a second {of_what} | by the clock | memory (MB) | idle process (MB) |",
        "|---|---|---|---|---|---|",
    ]
    figures: dict[str, float] = {}
    memory_ratios = []
    for count, sides in found.items():
        name = f"{letter.lower()}{count}"
        for side, reports in zip(("ours", "peer"), sides, strict=True):
            if not reports:
                continue
            cells = [
                f"{rate(reports, clock):.2f} ({spread(reports, clock)})",
                f"{rate(reports, 'wall_s'):.2f}",
                f"{memory(reports):.0f}",
                f"{statistics.median(report['idle_mb'] for report in reports):.0f}",
            ]
            title = "ours" if side == "ours" else reports[0]["version"]
            lines.append(f"| {count} | {title} | {' | '.join(cells)} |")
            figures[f"{name}_{side}_per_s"] = round(rate(reports, clock), 2)
            figures[f"{name}_{side}_mb"] = round(memory(reports))
        if sides[1]:
            ratio, by_the_clock = (rate(sides[0], by) / rate(sides[1], by) for by in (clock, "wall_s"))
            memory_ratios.append(memory(sides[0]) / memory(sides[1]))
            figures[f"{name}_ratio"] = round(ratio, 2)
            figures[f"{name}_wall_ratio"] = round(by_the_clock, 2)
            figures[f"{name}_memory_ratio"] = round(memory_ratios[-1], 3)
            cells = [f"**{ratio:.2f}**", f"{by_the_clock:.2f}", f"**{memory_ratios[-1]:.2f}**"]
            lines.append(f"| {count} | ratio | {' | '.join(cells)} | |")
    if memory_ratios:
        figures["memory_ratio"] = round(max(memory_ratios), 3)
    return "\n".join(lines), figures


def spread(reports: Sequence[Report], clock: str = "cpu_s") -> str:
    rates = sorted(report["units"] / report[clock] for report in reports)
    return f"{rates[0]:.2f} to {rates[-1]:.2f}"
