"""What is measured beside the runs of the configurations: one row a seed each."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.experiments import best_of_n, gradients, watched
from benchmarks.experiments.configurations import CRITIC_RATE, LEARNING_RATE, RESPONSES, STEPS
from benchmarks.experiments.materials import ARCHITECTURE, BATCH


@dataclass(frozen=True)
class Measurement:
    execute: Callable[[int, Path], dict[str, Any]]  # (seed, folder) -> what was measured
    settings: Any
    labels: tuple[int, ...] = (1000,)  # of the reward models it needs

    def key(self, name: str, seed: int) -> str:
        """Changes with whatever the measurement or the world asks for."""
        asked = (name, self.settings, seed, STEPS, RESPONSES, LEARNING_RATE, CRITIC_RATE, BATCH, ARCHITECTURE)
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


MEASUREMENTS: Mapping[str, Measurement] = {
    "best_of_n": Measurement(best_of_n.execute, best_of_n.SETTINGS, best_of_n.LABELS),
    "gradients": Measurement(gradients.execute, gradients.SETTINGS),
    "watched": Measurement(watched.execute, watched.SETTINGS),
}
