"""One prompt over the steps of a training: what the policy answered each time, from samples.jsonl.

Reads files only, and expects any of them missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from runs.models import Run
from runs.run_files import printable

READ_BYTES = 32 * 1024 * 1024
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
class FixedPrompt:
    text: str
    answers: dict[int, Answer] = field(default_factory=dict)  # by step, in the order of the steps


def fixed_prompts(run: Run) -> list[FixedPrompt]:
    """In the order in which they were first answered; none where the run wrote none."""
    name = FIXED_PROMPTS.get(run.kind)
    if name is None:
        return []
    try:
        rows = RunDirectory(run.path).samples_with(name, READ_BYTES)
    except (OSError, UserError):
        return []
    found: dict[str, FixedPrompt] = {}
    for row in rows:
        prompt, step, answer = row.get(name), row.get("step"), row.get("response")
        if not isinstance(prompt, str) or not isinstance(step, int) or not isinstance(answer, str):
            continue
        # At a step that was evaluated last the policy that was saved answers again: its answer stands.
        found.setdefault(prompt, FixedPrompt(text=printable(prompt))).answers[step] = Answer(
            step=step, text=printable(answer), score=_figure(row, "score"), kl=_figure(row, "kl")
        )
    return list(found.values())


def _figure(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""
