"""What a kind of long work is: the small object that each app offers and the `worker` command executes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runs.models import Artifact, Run

# Names of kinds that policy_training offers, which pages of runs treat alike. The first train a policy step by step:
# their checkpoints are of one.
POLICY_TRAININGS = frozenset(
    {"policy.pretrain", "policy.sft", "policy.ppo", "policy.dpo", "policy.gradient", "policy.best_of_n"}
)
MAKE_POLICIES = POLICY_TRAININGS | {"policy.merge", "policy.adopt", "policy.import"}


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one run of the kind takes; a run may ask for something else when it is queued."""

    processes: int = 1  # more than 1: started with torchrun
    threads: int = 0  # of each process; 0: settings.RUN_THREADS, or the cores of the machine

    def __post_init__(self) -> None:
        if self.processes < 1 or self.threads < 0:
            raise ValueError(
                f"processes must be >= 1 and threads >= 0, not {self.processes} and {self.threads}"
            )


@dataclass(frozen=True, kw_only=True)
class Output:
    """Something in the run's directory that is worth a row of its own once the run is done."""

    kind: str  # of Artifact.Kind
    path: str  # relative to the run's directory
    is_optional: bool = False  # a run may end without it

    def __post_init__(self) -> None:
        if self.kind not in Artifact.Kind.values:
            raise ValueError(f"{self.kind!r} is not a kind of artifact")
        if self.path.startswith("/") or ".." in self.path.split("/") or not self.path:
            raise ValueError(f"{self.path!r} must lie inside the run's directory")


@dataclass(frozen=True, kw_only=True)
class RunKind:
    """How to prepare, start and finish one kind of long work.

    `build_inputs(run)` runs in the worker, outside a transaction, when the run's directory does not exist
    yet, and returns what RunDirectory.create takes as `inputs`. `save_result(run, result)` turns result.json into
    rows inside the transaction that ends the run; it must be idempotent, and finds the declared outputs
    among `run.artifacts`. Either may raise ActionError or UserError: the run then ends with that sentence
    and is not tried again.
    """

    name: str
    label: str
    command: str  # the module of `python -m MODULE RUN_DIRECTORY`
    build_inputs: Callable[[Run], Mapping[str, Any]]
    save_result: Callable[[Run, Mapping[str, Any]], None]
    outputs: tuple[Output, ...] = ()
    resources: Resources = Resources()
    options: type | None = None  # the command's config class: what it does not load is refused when queueing
    environment: tuple[str, ...] = ()  # names of further environment variables that the command may see
    max_attempts: int = 3  # a machine may fail twice; a third failure of the same run is not the machine's

    def outputs_in(self, folder: Path) -> list[tuple[Output, Path]]:
        """Those that a run has to leave in its folder, and the others that it has left."""
        found = [(output, folder / output.path) for output in self.outputs]
        return [(output, path) for output, path in found if not output.is_optional or path.exists()]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_.]{1,60}", self.name):
            raise ValueError(
                f"{self.name!r}: a kind's name is lower-case letters, digits, dots and underscores"
            )
        if not re.fullmatch(r"[A-Za-z_][\w.]*", self.command):
            raise ValueError(f"{self.command!r} is not the name of a module")
