"""Policies as a kind of service: the command that serves one, its options and its limits."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings

from learning.interface.options import load_options, options_to_dict
from learning.interface.training_options import ModelSource, RuntimeOptions
from policy_training.models import PolicyServing
from policy_training.serving.limits import serving_limits
from policy_training.training.config import ServeConfig
from runs.serving.server_process import listening_host
from runs.serving.service import ServiceKind


def serve_config(serving: PolicyServing, orphaned_after_seconds: float) -> dict[str, Any]:
    """On the device and at the precision it was trained with; an imported one on the CPU. One process."""
    policy = serving.policy
    trained = RuntimeOptions()
    if policy.produced_by is not None:
        trained = load_options(RuntimeOptions, policy.produced_by.config.get("runtime", {}), where="runtime")
    return options_to_dict(
        ServeConfig(
            policy=ModelSource(path=str(policy.artifact.absolute_path)),
            host=listening_host(settings.POLICY_SERVER_HOST),
            runtime=RuntimeOptions(threads=_threads(serving), dtype=trained.dtype, device=trained.device),
            orphaned_after_seconds=orphaned_after_seconds,
            **asdict(serving_limits(serving)),
        )
    )


def _threads(serving: PolicyServing) -> int:
    made_by = serving.policy.produced_by
    return made_by.threads if made_by is not None else max(1, settings.RUN_THREADS)


def _counts(status: Mapping[str, Any]) -> dict[str, int]:
    return {"n_requests": int(status.get("requests", 0)), "n_tokens": int(status.get("tokens", 0))}


POLICY_SERVERS = ServiceKind(
    name="policy-server",
    model=PolicyServing,
    related=("policy__artifact", "policy__produced_by", "policy__project"),
    noun="policy",
    server_noun="policy's server",
    module="policy_training.training.sampling.serve_policy",
    folder="policy-servers",
    max_models=lambda: settings.POLICY_SERVER_MAX_MODELS,
    idle_minutes=lambda: settings.POLICY_SERVER_IDLE_MINUTES,
    config=serve_config,
    threads=_threads,
    counts=_counts,
    drains=True,
)
