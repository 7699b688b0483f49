"""What the counting command is told."""

from dataclasses import dataclass

from learning.interface.training_options import RuntimeOptions


@dataclass(frozen=True, kw_only=True)
class CountingOptions:
    runtime: RuntimeOptions
    steps: int = 5
    seconds_per_step: float = 0.0
    fence_wait_seconds: float = 20.0  # for whoever works in the folder to leave
    trouble: str = ""  # user_error | needs_two | crash | crash_once | deaf | killed | mumbles | pauses | held

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")
