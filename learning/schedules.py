"""The learning rate as a pure function of the step."""

import math

from learning.interface.training_options import OptimizerOptions


def warmup_steps(optimizer: OptimizerOptions, steps_total: int) -> int:
    """Steps of the warm-up: the larger of the number and of the fraction (rounded up) of all steps."""
    return max(optimizer.warmup_steps, math.ceil(optimizer.warmup_ratio * steps_total))


def learning_rate_at(optimizer: OptimizerOptions, step: int, steps_total: int) -> float:
    """Learning rate of step `step` (the first is 0) of `steps_total`.

    Warm-up of W steps: linear from warmup_start_ratio of the peak; step W - 1 is the first at the peak.
    Then, with p = (step - W) / (steps_total - W), linear: peak (1 - (1 - f) p); cosine: peak (f + (1 - f)
    (1 + cos(pi p)) / 2); f = min_lr_ratio. Steps past the end stay at the end.
    """
    peak, start, final = optimizer.learning_rate, optimizer.warmup_start_ratio, optimizer.min_lr_ratio
    warm = warmup_steps(optimizer, steps_total)
    if step < warm:
        return peak * (start + (1.0 - start) * (step + 1) / warm)
    if optimizer.schedule == "constant":
        return peak
    progress = min(1.0, (step - warm) / max(1, steps_total - warm))
    if optimizer.schedule == "linear":
        return peak * (1.0 - (1.0 - final) * progress)
    return peak * (final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress)))
