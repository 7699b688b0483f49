"""Reward models as a kind of service: the command that serves one, its options and its limits."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from learning.interface.options import load_options, options_to_dict
from learning.interface.training_options import BatchOptions, RuntimeOptions
from rewardmodel.models import Serving
from rewardmodel.training.config import ServeConfig
from runs.serving.server_process import listening_host
from runs.serving.service import ServiceKind


def serve_config(serving: Serving, orphaned_after_seconds: float) -> dict[str, Any]:
    """As the model was trained and is scored here: the same limits, device and precision. One process."""
    asked = serving.reward_model.produced_by.config
    batch = load_options(BatchOptions, asked.get("batch", {}), where="batch")
    trained = load_options(RuntimeOptions, asked.get("runtime", {}), where="runtime")
    return options_to_dict(
        ServeConfig(
            model_path=str(serving.reward_model.artifact.absolute_path),
            host=listening_host(settings.SCORER_HOST),
            batch=batch,
            runtime=RuntimeOptions(threads=trained.threads, dtype=trained.dtype, device=trained.device),
            orphaned_after_seconds=orphaned_after_seconds,
        )
    )


def _threads(serving: Serving) -> int:
    return serving.reward_model.produced_by.threads


def _counts(status: Mapping[str, Any]) -> dict[str, int]:
    return {"n_requests": int(status.get("requests", 0)), "n_rewards": int(status.get("rewards", 0))}


SCORERS = ServiceKind(
    name="scorer",
    model=Serving,
    related=("reward_model__artifact", "reward_model__produced_by", "reward_model__project"),
    noun="reward model",
    server_noun="scorer",
    module="rewardmodel.training.serve_scores",
    folder="scorers",
    max_models=lambda: settings.SCORER_MAX_MODELS,
    idle_minutes=lambda: settings.SCORER_IDLE_MINUTES,
    config=serve_config,
    threads=_threads,
    counts=_counts,
)
