"""Calls of reward functions from a training run: allow-list, time limit, and errors that name the function."""

import json
import math
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from learning.interface.options import UserError
from policy_training.training.reward_config import BUILT_IN_FUNCTIONS, RewardFunctionPart
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

    def __call__(self, prompts: Sequence[list[dict[str, str]]], responses: Sequence[str]) -> list[Reward]:
        """The reward of each response, or those of its steps. Raises UserError, naming the function, for whatever goes
        wrong in it.
        """
        ends_at = time.monotonic() + self.part.time_limit_seconds
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", HOST, self.part.function],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # The trainer's group is asked to stop, and the step that it then finishes needs rewards. Without the
                # trainer it ends with its stdin.
                process_group=0,
            )
            self._answer(ends_at)
        request = json.dumps({"prompts": list(prompts), "responses": list(responses)}).encode() + b"\n"
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
