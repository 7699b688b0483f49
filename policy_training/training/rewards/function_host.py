"""The process in which a reward function runs, apart from the trainer: it may hang, print, or change random states.

    python -m policy_training.training.rewards.function_host package.module.function

Speaks JSON lines: {"ready": true, "records": ..., "needs": [...]} or {"error": ...} at the start; then for each line
{"prompts", "responses", "records"} one line {"rewards": [...]} or {"error": ...}. `records` at the start: whether the
function takes them (functions.py). What the function prints goes to stderr. Imports nothing heavy itself.
"""

import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from typing import Any


def load_function(dotted: str) -> Callable[..., Any]:
    """Raises ImportError, AttributeError or whatever the module raises while it is imported."""
    module, _, name = dotted.rpartition(".")
    function: Any = getattr(importlib.import_module(module), name)
    if not callable(function):
        raise TypeError(f"{dotted} is a {type(function).__name__}, not a function")
    return function


def takes_records(function: Callable[..., Any]) -> bool:
    """Whether its third parameter is for the prompts' records: it is called so, or has no default."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C
        return False
    third = parameters[2] if len(parameters) > 2 else None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if third is None or third.kind not in positional:
        return False
    return third.name == "records" or third.default is inspect.Parameter.empty


def plain(reward: Any) -> float | list[tuple[int, float]]:
    """A number, or the (end, reward) of each step of a response."""
    if isinstance(reward, list | tuple):
        return [(int(end), float(value)) for end, value in reward]
    return float(reward)


def describe(error: BaseException) -> str:
    first_line = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def main(dotted: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the function prints must not be taken for an answer

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        function = load_function(dotted)
        needs = [str(name) for name in getattr(function, "needs", ())]
    except Exception as error:
        answer({"error": f"it cannot be imported ({describe(error)})"})
        return
    with_records = takes_records(function)
    answer({"ready": True, "records": with_records, "needs": needs})
    for line in sys.stdin:
        asked = json.loads(line)
        given = [asked["prompts"], asked["responses"]] + ([asked["records"]] if with_records else [])
        try:
            rewards = [plain(value) for value in function(*given)]
            answer({"rewards": rewards})
        except Exception as error:
            answer({"error": f"it failed ({describe(error)})"})


if __name__ == "__main__":
    main(sys.argv[1])
