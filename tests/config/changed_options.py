"""Values of options other than those of a preset: what may be given alone, and what needs others beside it."""

import dataclasses
import json
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

JUDGE = {"rewards.judge.server.name": "vllm", "rewards.judge.server.model": "served"}
OF_JUDGE = {
    "server.name": "vllm",
    "server.model": "served",
    "server.concurrent_requests": 3,
    "server.attempts": 9,
    "server.timeout_seconds": 7.0,
    "weight": 0.5,
    "criterion": "Which one is shorter?",
    "repeats": 2,
    "temperature": 0.5,
    "max_reply_tokens": 99,
    "attempts_to_understand": 2,
    "price_prompt": 1.5,
    "price_reply": 2.5,
}
SERVED = {"sampling.server.name": "vllm"}
OF_SERVED = {
    "protocol": "chat",
    "returns_token_ids": True,
    "returns_logprobs": True,
    "stop": ["END"],
    "samples_per_request": 3,
    "concurrent_requests": 3,
    "attempts": 9,
    "timeout_seconds": 7.0,
}
ROLLED_OUT = {"rollout.server.name": "vllm", "rollout.importance.weights": "token"}
OF_ROLLED_OUT = {
    "samples_per_request": 3,
    "concurrent_requests": 3,
    "attempts": 9,
    "timeout_seconds": 7.0,
    "weights": "each_step",
    "logprobs_at_temperature": True,
}
# The end of a path -> the value, and what must be given with it (by the path's own section, or by whole paths).
NEEDS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "lora.alpha": (8.0, {"lora.rank": 4}),
    "lora.target_modules": ("q_proj, v_proj", {"lora.rank": 4}),
    "lora.base_precision": ("int8", {"lora.rank": 4}),
    "optimizer.warmup_start_ratio": (0.1, {"optimizer.warmup_steps": 5}),
    "optimizer.min_lr_ratio": (0.25, {"optimizer.schedule": "linear"}),
    "rollout.policy_temperature": (0.9, {"rollout.importance.weights": "token"}),
    "rollout.server.name": ("vllm", {"rollout.importance.weights": "token"}),
    "server.name": ("vllm", {}),
    "server.stop": (["END"], {}),
    "rollout.server.model": ("served", ROLLED_OUT),
    "server.model": ("served", {"server.name": "vllm"}),
    "reward.scale": (True, {"reward.normalize": False}),
    "reward.kl_controller": ("ziegler_paper", {"reward.kl_target": 6.0}),
    "reward.clip_range": (0.8, {"reward.scale": True}),
    "reward.missing_eos_score": (-2.0, {"reward.missing_eos_rule": "replace"}),
    "policy_loss.objective": ("log_probability", {"algorithm.clip_range": None}),
    "policy_loss.kl_penalty_target": (0.01, {"policy_loss.kl_penalty_coefficient": 0.5}),
    "policy_loss.entropy_threshold": (30.0, {"policy_loss.entropy_coefficient": 0.01}),
    "policy_loss.entropy_rule": (
        "hold_at",
        {"policy_loss.entropy_threshold": 3.0, "policy_loss.entropy_coefficient": 0.01},
    ),
    "algorithm.baseline": ("none", {"algorithm.advantage": "return"}),
    "algorithm.clip_range": (0.1, {"algorithm.objective": "ratio"}),
    "algorithm.ptx_texts_share": (0.5, {"algorithm.ptx_coefficient": 1.0}),
    "algorithm.ptx_examples_per_response": (0.5, {"algorithm.ptx_coefficient": 1.0}),
    "algorithm.ptx_examples_per_minibatch": (3, {"algorithm.ptx_coefficient": 1.0}),
    "critic.shared_value_coefficient": (
        0.5,
        {"critic.init_from": "shared", "critic.max_pretraining_updates": 0},
    ),
    "data.epochs": (2.0, {"data.steps": None}),
    "data.max_length": (96, {"data.packing": True}),
    "data.steps": (7, {"data.epochs": None}),
    "data.min_comparisons_per_step": (2, {"data.balance_tokens": True}),
    "data.max_comparisons_per_step": (4096, {"data.balance_tokens": True}),
    "data.max_demonstration_tokens": (40, {}),
    "stored.score_again": (True, {"stored_answers": "policies"}),
    "sampling.repetition_penalty_scope": ("prompt_and_response", {"sampling.repetition_penalty": 1.1}),
    "annotation.annotator_kinds": (["person", "ai"], {}),
    "annotation.reserved_for": (["ada"], {}),
    "candidates.temperatures": ([7], {}),
    "candidates.server_answers": (
        "outside",
        {
            "sampling.server.name": "vllm",
            "sampling.server.model": "served",
            "sampling.server.protocol": "chat",
        },
    ),
    "runtime.keep_steps": ([7], {}),
    "rewards.weight": (2.0, {"rewards.combination": "weighted_sum"}),
    "rewards.safety_threshold": (0.2, {"rewards.combination": "safety_gate"}),
    "rewards.risky_tag": ("risky", {"rewards.combination": "safety_gate"}),
    "rewards.normalize_models": (True, {"rewards.combination": "weighted_sum"}),
    "rewards.normalization_prompts": (32, {"rewards.normalize_models": True}),
    "rewards.whiten": (True, {"reward.normalize": False}),
    **{f"sampling.server.{name}": (value, SERVED) for name, value in OF_SERVED.items()},
    **{f"rollout.server.{name}": (value, ROLLED_OUT) for name, value in OF_ROLLED_OUT.items()},
    "alarms.sampler_kl_limit": (0.5, {"rollout.importance.weights": "token"}),
    **{f"rewards.judge.{name}": (value, JUDGE) for name, value in OF_JUDGE.items()},
}


def leaves(cls: type[Any], prefix: str = "") -> Iterator[str]:
    """The dotted path of each option of a configuration, those of sections that may be null too."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        hint = hints[field.name]
        inner = [part for part in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(part)]
        if inner and typing.get_origin(hint) is not tuple:
            yield from leaves(typing.cast(type[Any], inner[0]), f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def is_below(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)


def changes(path: str, value: Any, choices: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """What might be given to see the option changed, likelier ones first."""
    for end, (wanted, others) in NEEDS.items():
        if path.endswith(end):
            before = path.removesuffix(end)
            beside = {
                name if name == "stored_answers" else before + name: other for name, other in others.items()
            }
            yield {path: wanted} | beside
    tried: list[Any] = [choice for choice in choices if choice != value]
    if not choices and isinstance(value, bool | str | list):
        tried = ["named"] if isinstance(value, str) else []
    elif not choices and value is None:
        tried = [2, 0.5, "named"]
    elif not choices:
        tried = [value + 1, value * 2, value / 2, value + 0.01, value - 1, 0.5, 64]
    if isinstance(value, int):
        tried = [number for number in tried if isinstance(number, bool | int)]
    for other in tried:
        if other != value:
            yield {path: other}
    if value == "auto":
        yield {path: 4096}


def grouped(
    asked: Mapping[str, Iterable[dict[str, Any]]], accepts: Callable[[dict[str, Any]], bool]
) -> tuple[list[dict[str, Any]], list[str]]:
    """As few groups as may be given together, and the options for which nothing is accepted."""
    groups: list[dict[str, Any]] = []
    never = []
    for path, candidates in asked.items():
        change = next((one for one in candidates if accepts(one)), None)
        if change is None:
            never.append(path)
            continue
        for group in groups:
            together = group | change
            if together == change | group and accepts(together):
                group |= change
                break
        else:
            groups.append(dict(change))
    return groups, never


def typed(value: Any) -> str:
    """As a person types it into a field."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value) if isinstance(value, bool) else str(value)
