"""The learning rate as a pure function of the step."""

import math

from learning.interface.training_options import OptimiserOptions


def warmup_steps(optimiser: OptimiserOptions, steps_total: int) -> int:
    """Steps of the warm-up: the larger of the number and of the fraction (rounded up) of all steps."""
    return max(optimiser.warmup_steps, math.ceil(optimiser.warmup_fraction * steps_total))


def learning_rate_at(optimiser: OptimiserOptions, step: int, steps_total: int) -> float:
    """Learning rate of step `step` (the first is 0) of `steps_total`.

    Warm-up of W steps: linear from warmup_start_fraction of the peak; step W - 1 is the first at the peak. Then, with
    p = (step - W) / (steps_total - W), linear: peak (1 - (1 - f) p); cosine: peak (f + (1 - f) (1 + cos(pi p)) / 2);
    f = final_fraction. Steps past the end stay at the end.
    """
    peak, start, final = optimiser.learning_rate, optimiser.warmup_start_fraction, optimiser.final_fraction
    warm = warmup_steps(optimiser, steps_total)
    if step < warm:
        return peak * (start + (1.0 - start) * (step + 1) / warm)
    if optimiser.schedule == "constant":
        return peak
    progress = min(1.0, (step - warm) / max(1, steps_total - warm))
    if optimiser.schedule == "linear":
        return peak * (1.0 - (1.0 - final) * progress)
    return peak * (final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress)))
