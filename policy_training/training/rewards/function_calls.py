"""Calls of reward functions from a training run: allow-list, time limit, and errors that name the function."""

import json
import math
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.options import UserError
from policy_training.training.reward_config import BUILT_IN_FUNCTIONS, RewardFunctionPart
from policy_training.training.rewards.prompt_records import REFERENCE_COLUMNS, lacks, record_of_row
from policy_training.training.rollouts.step_rewards import CharacterReward

ALLOWED_VARIABLE = "ROUNDTABLE_REWARD_FUNCTIONS"  # dotted names with commas between them
HOST = "policy_training.training.rewards.function_host"


def allowed_functions() -> tuple[str, ...]:
    """Built-in ones, and those the environment names: what a run's configuration says is no permission."""
    named = (name.strip() for name in os.environ.get(ALLOWED_VARIABLE, "").split(","))
    return (*BUILT_IN_FUNCTIONS, *filter(None, named))


Reward = float | list[CharacterReward]  # of a response, or of each of its steps


class RewardFunction:
    """A function in a process of its own, started at its first call. Only rank 0 calls it."""

    def __init__(self, part: RewardFunctionPart) -> None:
        if part.function not in allowed_functions():
            raise UserError(
                f"config.rewards.functions: {part.function} is not allowed here; name it in {ALLOWED_VARIABLE} "
                "(and install it where the trainers run)"
            )
        self.part = part
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._takes_records = False

    def start(self) -> dict[str, Any]:
        """What it says of itself: whether it takes `records`, and what it `needs` of them. Raises UserError."""
        ends_at = time.monotonic() + self.part.time_limit_seconds
        self._process = subprocess.Popen(
            [sys.executable, "-m", HOST, self.part.function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The trainer's group is asked to stop, and the step that it then finishes needs rewards. Without the
            # trainer it ends with its stdin.
            process_group=0,
        )
        said = self._answer(ends_at)
        self._takes_records = bool(said["records"])
        return said

    def __call__(
        self,
        prompts: Sequence[list[dict[str, str]]],
        responses: Sequence[str],
        records: Sequence[Mapping[str, Any]] = (),
    ) -> list[Reward]:
        """The reward of each response, or those of its steps. Raises UserError, naming the function, for whatever goes
        wrong in it. `records` of the prompts, as many, are for a function that takes them.
        """
        if self._process is None:
            self.start()
        assert self._process is not None
        ends_at = time.monotonic() + self.part.time_limit_seconds
        asked: dict[str, Any] = {"prompts": list(prompts), "responses": list(responses)}
        if self._takes_records:
            asked["records"] = list(records)
        request = json.dumps(asked).encode() + b"\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._refused(self._how_it_ended(self._process)) from None
        rewards = self._answer(ends_at).get("rewards", [])
        if len(rewards) != len(responses):
            raise self._refused(f"it returned {len(rewards)} rewards for {len(responses)} responses")
        found: list[Reward] = []
        for reward, text in zip(rewards, responses, strict=True):
            steps = [(end, value) for end, value in reward] if isinstance(reward, list) else None
            for value in [reward] if steps is None else [value for _, value in steps]:
                if not math.isfinite(value):
                    raise self._refused(f"it returned {value}, which is no finite number")
            for end, _ in steps or ():
                if not 0 <= end <= len(text):
                    raise self._refused(f"it returned a step that ends at {end} of {len(text)} characters")
            found.append(float(reward) if steps is None else steps)
        return found

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process, self._unread = None, b""

    def _answer(self, ends_at: float) -> dict[str, Any]:
        """The next line it writes, before the clock says so."""
        process = self._process
        assert process is not None and process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, ends_at - time.monotonic())):
                    limit = self.part.time_limit_seconds
                    raise self._refused(
                        f"it took longer than its limit of {limit:g} seconds (functions.time_limit_seconds)"
                    )
                found = os.read(process.stdout.fileno(), 1 << 16)
                if not found:
                    raise self._refused(self._how_it_ended(process))
                self._unread += found
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise self._refused(answer["error"])
        return answer

    @staticmethod
    def _how_it_ended(process: "subprocess.Popen[bytes]") -> str:
        try:
            return f"its process ended (exit code {process.wait(timeout=10)})"
        except subprocess.TimeoutExpired:
            return "its process closed the way to the trainer"

    def _refused(self, what: str) -> UserError:
        self.close()
        return UserError(f"the reward function {self.part.function}: {what}")


def require_functions(
    parts: Sequence[RewardFunctionPart],
    rows: Iterable[Mapping[str, Any]],
    distributed: DistributedContext,
) -> None:
    """Every function can be called, and finds what it needs with each of the prompts `rows`: asked before models are
    loaded. Rank 0 asks, and all ranks raise UserError together.
    """
    failure = ""
    if parts and distributed.is_main:
        try:
            records = [record_of_row(row) for row in rows]
            for part in parts:
                _require_function(part, records)
        except UserError as error:
            failure = str(error)
    if failure := distributed.broadcast_object(failure):
        raise UserError(failure)


def _require_function(part: RewardFunctionPart, records: Sequence[Mapping[str, Any]]) -> None:
    function = RewardFunction(part)
    try:
        needed = function.start()["needs"]
    finally:
        function.close()
    for name in needed:
        missing = [record["prompt_id"] for record in records if lacks(record, name)]
        if missing:
            what = f"reference answer (one of the columns {', '.join(REFERENCE_COLUMNS)})"
            what = what if name == "reference" else f"{name!r}"
            others = f", and neither have {len(missing) - 1} others" if len(missing) > 1 else ""
            raise UserError(
                f"the reward function {part.function}: the prompt {missing[0]!r} has no {what}{others}; leave such "
                "prompts out of the prompt set, or the function out of the rewards"
            )
