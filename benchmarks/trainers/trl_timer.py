"""Starts and stops the stopwatch at the steps of a trainer of TRL; needs the peer's environment."""

from typing import Any

from stopwatch import Stopwatch
from transformers import TrainerCallback


class Timer(TrainerCallback):
    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.stopwatch.step_begins()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.stopwatch.step_ends()
