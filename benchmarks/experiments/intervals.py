"""How sure a mean over seeds is."""

import random
import statistics
from collections.abc import Sequence

RESAMPLES = 2000


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 %, of the mean, by resampling the seeds."""
    rng = random.Random(0)
    means = sorted(statistics.fmean(rng.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]
