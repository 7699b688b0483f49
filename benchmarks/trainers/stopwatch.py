"""Time and memory of a training process, from its first step to its last. Standard library only (on a GPU also torch,
which both sides have): TRL's side uses it.
"""

import json
import time
from pathlib import Path
from typing import Any


def memory_mb(name: str) -> float:
    """VmRSS (now) or VmHWM (the most so far) of this process, as Linux tells."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit(f"/proc/self/status has no {name}: memory is measured on Linux only")


class Stopwatch:
    """Make it when everything is imported and nothing is loaded: memory counts from there. On a GPU (`device` "cuda")
    seconds end when the GPU has done what it was given, and memory is the peak of what torch has allocated on it.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.cuda: Any = None
        if device.startswith("cuda"):
            import torch

            self.cuda = torch.cuda
        self.idle_mb = 0.0 if self.cuda else memory_mb("VmRSS")
        self.steps = 0
        self._begun: tuple[float, float] | None = None
        self._ended = (0.0, 0.0)

    def step_begins(self) -> None:
        """Of the first step counts, later calls change nothing."""
        self._begun = self._begun or self._now()

    def step_ends(self) -> None:
        self.steps += 1
        self._ended = self._now()

    def write(self, path: Path, **figures: Any) -> None:
        """Seconds by the clock and of the processor, and the peak of memory above the idle process until now."""
        assert self._begun is not None, "no step was taken"
        wall, cpu = (end - begin for begin, end in zip(self._begun, self._ended, strict=True))
        peak = self.cuda.max_memory_allocated() / 1e6 if self.cuda else memory_mb("VmHWM")
        measured = {
            "wall_s": wall,
            "cpu_s": cpu,
            "steps": self.steps,
            "idle_mb": self.idle_mb,
            "peak_mb": peak,
            "memory_mb": peak - self.idle_mb,
        }
        path.write_text(json.dumps(measured | figures))

    def _now(self) -> tuple[float, float]:
        if self.cuda:
            self.cuda.synchronize()
        return time.perf_counter(), time.process_time()
