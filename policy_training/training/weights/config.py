"""Options of merging policies. Light: no torch, so that the web process may build them."""

import math
from dataclasses import dataclass, field

from learning.interface.training_options import ModelSource, RuntimeOptions


@dataclass(frozen=True, kw_only=True)
class MergedModel:
    source: ModelSource
    weight: float = 1.0  # its share is this divided by the sum of all

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"weight must be a number above 0, found {self.weight}")


@dataclass(frozen=True, kw_only=True)
class MergeConfig:
    models: tuple[MergedModel, ...]
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    preset: str = ""

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("models must name at least one policy")
        for model in self.models:
            if model.source.from_scratch is not None:
                raise ValueError("models: a policy to merge is a folder or a hub id, not one from scratch")
