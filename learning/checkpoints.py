"""Checkpoints of a run: written atomically, verified before use; a resumed run gives the same bits.

    checkpoints/step-000200.f3/     step 200, written by the attempt with fence 3
        state.json, state.safetensors       engines, samplers, moments: numbers here, tensors there
        random-0.json, random-0.safetensors generators of torch, Python and NumPy, one pair a rank
        rank-0.json, rank-0.safetensors     what each rank has of its own, where it has any
        shards-policy/                      a DeepSpeed engine, in DeepSpeed's own files
        complete.json                       sizes, sha256, offsets of metrics and samples; written last

A checkpoint is written under a temporary name, synced and renamed. The newest one that verifies counts. The
last few, the best and those of the steps that the options or the recipe name are kept; a new best is written whatever
the interval. No pickle, except DeepSpeed's shards after their sha256 matched.
"""

import hashlib
import json
import logging
import math
import os
import random
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch

from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.atomic_files import sync_path, write_json_atomically
from learning.interface.options import UserError, options_to_compare
from learning.run_context import RunContext, StopRequested
from learning.state_files import read_state, write_state

logger = logging.getLogger(__name__)


class Stateful(Protocol):
    """Whatever a run has besides its engines: samplers, moments, coefficients. The same on every rank."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> None: ...


class DataclassState:
    """Base of a dataclass all of whose fields a checkpoint keeps."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class _CheckpointInfo:
    folder: Path
    step: int
    fence: int
    score: float | None
    files: dict[str, dict[str, Any]]
    offsets: dict[str, int]
    options_sha256: str
    stays: bool = False  # also when the run is done; earlier versions did not write it
    scored_by: str = (
        ""  # what the score is: no two kinds are compared, which a run across an upgrade may have
    )


class Checkpoints:
    """Saves and restores the engines and the other state of a run. Every rank calls every method."""

    def __init__(
        self,
        context: RunContext[Any],
        distributed: DistributedContext,
        *,
        engines: Mapping[str, Engine],
        state: Mapping[str, Stateful],
        rank_state: Mapping[str, Stateful] | None = None,
        keep_steps: Collection[int] = (),
        scored_by: str = "",
    ) -> None:
        """`rank_state`: what each rank has of its own. `keep_steps`: kept as those that the options name. `scored_by`:
        a name for what scores are, another one where they mean something else than before.
        """
        self._context = context
        self._distributed = distributed
        self._engines = dict(engines)
        self._state = dict(state)
        self._rank_state = dict(rank_state or {})
        self._runtime = context.options.runtime
        self._keep_steps = {*self._runtime.keep_steps, *keep_steps}
        self._scored_by = scored_by
        self._folder = context.path / "checkpoints"

    def resume(self) -> int:
        """Restore the newest checkpoint that verifies; returns its step, 0 when there is none.

        Metrics and samples written after it are forgotten. Raises UserError when config.json
        was edited since.
        """
        found = self._distributed.broadcast_object(self._newest() if self._distributed.is_main else None)
        if found is None:
            return 0
        if found.options_sha256 != self._options_sha256():
            raise UserError(
                f"{self._context.path}/config.json was edited after {found.folder.name} was made; "
                "clone this run to start with other options"
            )
        self._load(found)
        _restore_random(read_state(found.folder / f"random-{self._distributed.rank}"))
        self._context.truncate_logs(found.offsets)
        logger.info("resumed from %s", found.folder.name)
        return found.step

    def _load(self, found: _CheckpointInfo) -> None:
        state = read_state(found.folder / "state")
        for name, engine in self._engines.items():
            engine.load_state_dict(state["engines"][name])
            if engine.is_deepspeed:
                engine.load_deepspeed(found.folder / f"shards-{name}")
        for name, stateful in self._state.items():
            if name not in state["state"]:
                raise UserError(
                    f"{found.folder}: was made by an earlier version, which kept no {name}; clone this run"
                )
            stateful.load_state_dict(state["state"][name])
        if self._rank_state:
            own = read_state(found.folder / f"rank-{self._distributed.rank}")
            for name, stateful in self._rank_state.items():
                stateful.load_state_dict(own[name])

    def require_steps(self, steps_total: int) -> None:
        """Raises UserError where the options name a step to keep that the run never reaches."""
        if beyond := sorted(step for step in self._runtime.keep_steps if step > steps_total):
            raise UserError(
                f"runtime.keep_steps names step {beyond[0]}, and the run ends at step {steps_total}; leave it out"
            )

    def restore_best(self) -> int | None:
        """Engines and state of the checkpoint with the highest score, after `resume`; its step, None without a score.

        Metrics and samples of later steps stay: they say why the run ends there.
        """
        found = self._distributed.broadcast_object(self._best() if self._distributed.is_main else None)
        if found is None:
            return None
        self._load(found)
        logger.info("went back to %s", found.folder.name)
        return found.step

    def _best(self) -> _CheckpointInfo | None:
        scored = [info for info in self._scored() if _verify(info) is None]
        return max(scored, key=lambda info: (info.score, info.step)) if scored else None

    def _scored(self) -> list[_CheckpointInfo]:
        return [
            info
            for info in self._list_complete()
            if info.score is not None and info.scored_by == self._scored_by
        ]

    def _is_new_best(self, step: int, score: float) -> bool:
        """Above every score of an earlier step on the disk, so that a run that was killed and resumed decides as it
        would have. What is there of this step or a later one is damaged, or the run would go on from it.

        Files are not verified here, which reads all of them; `restore_best` does.
        """
        is_best = False
        if self._distributed.is_main:
            known = [info.score for info in self._scored() if info.score is not None and info.step < step]
            is_best = not known or score > max(known)
        return bool(self._distributed.broadcast_object(is_best))

    def after_step(self, step: int, *, last: bool = False, score: float | None = None) -> None:
        """Save when it is time, at a new best, or when some rank was asked to stop; then raise StopRequested.

        A run that was asked to stop in its last step goes on to its end. `score` (higher is better, the same on every
        rank; None: not measured) marks the best checkpoint, which is written at once and kept: later weights cannot
        give it back. In a run that only improves each score costs a checkpoint, so recipes score evaluations and
        windows of steps, not every step.
        """
        if score is not None and not math.isfinite(score):
            score = None
        is_best = score is not None and self._is_new_best(step, score)
        stop = self._distributed.any(self._context.stop_requested) and not last
        is_due = step % self._runtime.checkpoint_every_steps == 0 or step in self._keep_steps
        if stop or last or is_due or is_best:
            self.save(step, score=score)
        if stop:
            raise StopRequested(f"checkpointed at step {step}; start the run again to go on")

    def save(self, step: int, *, score: float | None = None) -> Path:
        """Write a checkpoint now; returns its folder."""
        self._context.require_current()
        name = f"step-{step:06d}.f{self._context.fence or 0}"
        target, temporary = self._folder / name, self._folder / f"tmp-{name}"
        if self._distributed.is_main:
            self._folder.mkdir(exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
        self._distributed.barrier()
        try:
            self._write(temporary)
            self._distributed.barrier()
            if self._distributed.is_main:
                self._write_manifest(temporary, step, score)
                self._context.require_current()  # a long write: the attempt may have been overtaken meanwhile
                _remove(target)  # only an invalid one of the same attempt can be there
                os.rename(temporary, target)
                sync_path(self._folder)
                self._prune()
        except BaseException:
            if self._distributed.is_main:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        self._distributed.barrier()
        logger.info("saved %s", name)
        return target

    def _write(self, folder: Path) -> None:
        if self._distributed.is_main:
            state = {
                "engines": {name: engine.state_dict() for name, engine in self._engines.items()},
                "state": {name: stateful.state_dict() for name, stateful in self._state.items()},
            }
            write_state(folder / "state", state)
        write_state(folder / f"random-{self._distributed.rank}", _random_state())
        if self._rank_state:
            own = {name: stateful.state_dict() for name, stateful in self._rank_state.items()}
            write_state(folder / f"rank-{self._distributed.rank}", own)
        for name, engine in self._engines.items():
            if engine.is_deepspeed:
                engine.save_deepspeed(folder / f"shards-{name}")

    def _write_manifest(self, folder: Path, step: int, score: float | None) -> None:
        files = {}
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            sync_path(file)
            files[str(file.relative_to(folder))] = {"size": file.stat().st_size, "sha256": _sha256(file)}
        complete = {
            "step": step,
            "fence": self._context.fence or 0,
            "score": score,
            "files": files,
            "offsets": self._context.log_offsets(),
            "options_sha256": self._options_sha256(),
            "stays": step in self._keep_steps,
            "scored_by": self._scored_by,
        }
        write_json_atomically(folder / "complete.json", complete)

    def _newest(self) -> _CheckpointInfo | None:
        for leftover in self._folder.glob("tmp-*"):
            shutil.rmtree(leftover)
        for found in self._list_complete():
            problem = _verify(found)
            if problem is None:
                return found
            logger.warning("%s is not used: %s", found.folder.name, problem)
        return None

    def _list_complete(self) -> list[_CheckpointInfo]:
        """Those with a readable complete.json, newest first."""
        checkpoints = []
        for path in self._folder.glob("step-*/complete.json"):
            try:
                checkpoints.append(_CheckpointInfo(folder=path.parent, **json.loads(path.read_bytes())))
            except (ValueError, TypeError, OSError) as error:
                logger.warning("%s is not used: complete.json is unreadable (%s)", path.parent.name, error)
        return sorted(checkpoints, key=lambda checkpoint: (checkpoint.step, checkpoint.fence), reverse=True)

    def _prune(self) -> None:
        checkpoints = self._list_complete()
        kept = checkpoints[: self._runtime.keep_checkpoints]
        if scored := self._scored():
            kept.append(max(scored, key=lambda checkpoint: (checkpoint.score, checkpoint.step)))
        kept += [checkpoint for checkpoint in checkpoints if checkpoint.step in self._keep_steps]
        names = {checkpoint.folder.name for checkpoint in kept}
        for path in self._folder.glob("step-*"):
            if path.name not in names:
                _remove(path)

    def _options_sha256(self) -> str:
        options = json.dumps(options_to_compare(self._context.options_as_asked), sort_keys=True)
        return hashlib.sha256(options.encode()).hexdigest()


def read_checkpoint(folder: Path) -> tuple[int, Any]:
    """(step, state) of a checkpoint of another run, its files verified. Raises UserError."""
    try:
        info = _CheckpointInfo(folder=folder, **json.loads((folder / "complete.json").read_bytes()))
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{folder}: no complete checkpoint is there any more; choose another") from error
    if problem := _verify(info):
        raise UserError(f"{folder}: cannot be used: {problem}")
    return info.step, read_state(folder / "state")


def _verify(found: _CheckpointInfo) -> str | None:
    """Why the checkpoint cannot be used; None when every file is as it was written."""
    for name, expected in found.files.items():
        file = found.folder / name
        if not file.is_file():
            return f"{name} is missing"
        try:
            if file.stat().st_size != expected["size"] or _sha256(file) != expected["sha256"]:
                return f"{name} is not what was written"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None


def _remove(folder: Path) -> None:
    """complete.json goes first: what is left if this is interrupted is no checkpoint."""
    if folder.exists():
        (folder / "complete.json").unlink(missing_ok=True)
        shutil.rmtree(folder)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _random_state() -> dict[str, Any]:
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=True),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _restore_random(state: dict[str, Any]) -> None:
    restore: dict[str, Callable[[Any], None]] = {
        "python": random.setstate,
        "numpy": np.random.set_state,
        "torch": torch.set_rng_state,
        "cuda": torch.cuda.set_rng_state,
    }
    for name, value in state.items():
        restore[name](value)
