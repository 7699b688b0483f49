"""One prompt over the steps of a training: what the policy answered each time.

Reads files only, and expects any of them missing.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from learning.interface.plain_files import is_plain_file, open_plain
from learning.interface.run_directory import EVALUATION_SAMPLES
from runs.models import Run
from runs.reward_figures import evenly
from runs.run_files import files_version, printable

READ_BYTES = 64 * 1024 * 1024  # of the file's end: a tenth of a second
SHOWN_ANSWERS = 200  # of one prompt
# Kinds of runs that answer the same prompts now and then -> by what name a sample says that its prompt is such a one. A
# run that learns from rollouts writes texts of its training prompts too.
FIXED_PROMPTS = {
    "policy.ppo": "evaluation_prompt",
    "policy.gradient": "evaluation_prompt",
    "policy.sft": "prompt",
    "policy.dpo": "prompt",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    step: int
    text: str
    score: str  # empty where it was not scored
    kl: str  # of the policy at this step, over all evaluated prompts; empty where it was not measured


@dataclass(frozen=True, kw_only=True)
class FixedPrompts:
    """`prompts` in the order in which they were first answered; `answers` of the one that is `shown`, by step."""

    file: str
    is_cut: bool = False  # only the last READ_BYTES of the file were read
    prompts: tuple[str, ...] = ()
    shown: int = 0
    answers: tuple[Answer, ...] = ()
    n_found: int = 0  # of these answers, of which at most SHOWN_ANSWERS are here


def answers_version(run: Run) -> str:
    """Changes with what `fixed_prompts` reads, and reads nothing itself."""
    return files_version(run, _file_of(run).name)


def fixed_prompts(run: Run, shown: int = 0) -> FixedPrompts:
    """The prompts, and the answers to the one of this number; to the first where there is no such number."""
    path, name = _file_of(run), FIXED_PROMPTS.get(run.kind)
    if name is None:
        return FixedPrompts(file=path.name)
    try:
        with open_plain(path) as file:
            return _read(file, path.name, name, shown)
    except OSError:
        return FixedPrompts(file=path.name)


def _file_of(run: Run) -> Path:
    """Runs that an earlier version began have these answers among all their samples only."""
    own = run.path / EVALUATION_SAMPLES
    return own if is_plain_file(own) else run.path / "samples.jsonl"


def _read(file: BinaryIO, file_name: str, name: str, shown: int) -> FixedPrompts:
    start = max(0, file.seek(0, os.SEEK_END) - READ_BYTES)
    places = _places(file, start, name)
    prompts = list(places)
    shown = shown if shown < len(prompts) else 0
    of_prompt = list(places[prompts[shown]].values()) if prompts else []
    answers = []
    for number in evenly(len(of_prompt), SHOWN_ANSWERS):
        file.seek(of_prompt[number])
        row = _answer_row(file.readline(), name)
        if row is not None:  # a resumed run may have cut the file in the meantime
            answers.append(
                Answer(
                    step=row["step"],
                    text=printable(row["response"]),
                    score=_figure(row, "score"),
                    kl=_figure(row, "kl"),
                )
            )
    return FixedPrompts(
        file=file_name,
        is_cut=start > 0,
        prompts=tuple(printable(prompt) for prompt in prompts),
        shown=shown,
        answers=tuple(answers),
        n_found=len(of_prompt),
    )


def _places(file: BinaryIO, start: int, name: str) -> dict[str, dict[int, int]]:
    """Prompt -> step -> the byte at which the line of its answer begins: the texts themselves may be too many.

    Of a file that is read from `start` on, the first evaluation may be cut and is left out.
    """
    places: dict[str, dict[int, int]] = {}
    quoted = json.dumps(
        name
    ).encode()  # most lines of samples.jsonl are of other texts and need not be parsed
    cut_step = None
    file.seek(start)
    place = start + (len(file.readline()) if start else 0)
    for line in file:
        row = _answer_row(line, name) if quoted in line else None
        if row is not None:
            if start and cut_step is None:
                cut_step = row["step"]
            if row["step"] != cut_step:
                # At a step that was evaluated last the policy that was saved answers again: its answer stands.
                places.setdefault(row[name], {})[row["step"]] = place
        place += len(line)
    return places


def _answer_row(line: bytes, name: str) -> Mapping[str, Any] | None:
    """The line's row, where it is an answer to such a prompt. A line that is still being written is none."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        return None
    return row if isinstance(row.get(name), str) and isinstance(row.get("response"), str) else None


def _figure(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""
