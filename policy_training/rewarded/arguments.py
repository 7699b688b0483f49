"""Rewards of several models and functions on the command line."""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from learning.interface.training_options import BatchOptions
from policy_training.reward_batches import batch_in
from policy_training.rewards import COMBINATIONS, known_functions
from workspace.errors import ActionError

_BATCH_NAMES = [option.name for option in fields(BatchOptions)]


def add_reward_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--further-reward-model",
        action="append",
        default=[],
        metavar="NAME[=WEIGHT]",
        help="its score is combined with that of the first reward model (repeatable)",
    )
    parser.add_argument(
        "--further-reward-criterion",
        action="append",
        default=[],
        metavar="CRITERION[=WEIGHT]",
        help=(
            "a further reward model too: the newest that learned this criterion alone, in a round the newest when the "
            "step begins (repeatable)"
        ),
    )
    parser.add_argument(
        "--further-reward-model-batch",
        action="append",
        nargs="+",
        default=[],
        metavar=("NAME", "KEY=VALUE"),
        help=(
            f"lengths and passes of one of --further-reward-model, in its own tokens: {', '.join(_BATCH_NAMES)} "
            "(what is not named: as of the first reward model; repeatable)"
        ),
    )
    parser.add_argument(
        "--further-reward-criterion-batch",
        action="append",
        nargs="+",
        default=[],
        metavar=("CRITERION", "KEY=VALUE"),
        help="the same of one of --further-reward-criterion (repeatable)",
    )
    parser.add_argument(
        "--reward-function",
        action="append",
        default=[],
        metavar="NAME[=WEIGHT[:SECONDS]]",
        help="a function of ROUNDTABLE_REWARD_FUNCTIONS, length_penalty or exact_answer; added (repeatable). SECONDS: "
        "how long it may take for the responses of one step (default: 60)",
    )
    parser.add_argument(
        "--reward-combination",
        choices=list(COMBINATIONS),
        help="of the reward models (default: weighted_sum); its values by --set, as ...rewards.safety_threshold=0.1",
    )


def rewards_from_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of RewardSourcesOptions, as a mapping. Raises ActionError."""
    found: dict[str, Any] = {}
    if options["reward_combination"]:
        found["combination"] = options["reward_combination"]
    if options["further_reward_model"]:
        pairs = [weighted(text) for text in options["further_reward_model"]]
        found["models"] = [{"name": name, "weight": weight} for name, weight in pairs]
    _put_in_batches(found, "name", "--further-reward-model", options["further_reward_model_batch"])
    if options["further_reward_criterion"]:
        pairs = sorted(weighted(text) for text in options["further_reward_criterion"])
        found["models"] = found.get("models", []) + [
            {"criterion": name, "weight": weight} for name, weight in pairs
        ]
    _put_in_batches(
        found, "criterion", "--further-reward-criterion", options["further_reward_criterion_batch"]
    )
    if options["reward_function"]:
        by_name = {name.rpartition(".")[2]: name for name in known_functions()}
        found["functions"] = []
        for text in options["reward_function"]:
            name, weight, seconds = weighted_and_limited(text)
            part = {"function": by_name.get(name, name), "weight": weight}
            found["functions"].append(part | ({"time_limit_seconds": seconds} if seconds is not None else {}))
    return found


def _put_in_batches(found: Mapping[str, Any], key: str, option: str, given: Sequence[Sequence[str]]) -> None:
    """Into the models whose `key` stands first in `given`. Raises ActionError, UserError."""
    for name, *words in given:
        part = next((part for part in found.get("models", []) if part.get(key) == name), None)
        if part is None:
            raise ActionError(
                f"“{name}” is none of {option}: give it there too, to take rewards from it.",
                code="bad_batches",
            )
        if not words:
            raise ActionError(
                f"“{name}”: say which of its values are others, for example max_prompt_tokens=512.",
                code="bad_batches",
            )
        part["batch"] = part.get("batch", {}) | batch_in(words)


def weighted_and_limited(text: str) -> tuple[str, float, float | None]:
    """NAME, NAME=WEIGHT or NAME=WEIGHT:SECONDS, of a function; without SECONDS None."""
    head, colon, limit = text.rpartition(":")
    if not colon or "=" not in head:
        return *weighted(text), None
    try:
        return *weighted(head), float(limit)
    except ValueError as error:
        raise ActionError(
            f"“{text}”: what stands behind : is not a number of seconds.", code="bad_time_limits"
        ) from error


def weighted(text: str) -> tuple[str, float]:
    """NAME or NAME=WEIGHT; a name may have the sign in it."""
    name, sign, weight = text.rpartition("=")
    if not sign:
        return text, 1.0
    try:
        return name, float(weight)
    except ValueError as error:
        raise ActionError(f"“{text}”: what stands behind = is not a number.", code="bad_weights") from error
