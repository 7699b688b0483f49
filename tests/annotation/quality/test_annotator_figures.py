"""Times of annotators, found for all of them at once, against each one's own."""

import numpy as np
import pytest

from annotation.quality.annotator_figures import _medians


@pytest.mark.parametrize("seed", range(20))
def test_each_median_is_that_of_the_annotators_own_times(seed):
    generator = np.random.default_rng(seed)
    people, judgments = int(generator.integers(1, 12)), int(generator.integers(0, 80))
    place_J = generator.integers(0, people, judgments)
    seconds_J = generator.choice([0.0, 1.5, 2.25, 7.0, 40.1], judgments)
    own = [seconds_J[(place_J == place) & (seconds_J > 0)] for place in range(people)]
    assert _medians(place_J, seconds_J, people) == [
        float(np.median(times)) if len(times) else None for times in own
    ]
