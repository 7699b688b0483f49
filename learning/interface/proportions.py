"""How sure a share of so many is: read by recipes, reports and pages."""

import math

Z_95 = 1.959963984540054  # two-sided 95 % point of the normal distribution


def wilson_interval(successes: float, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson score interval of a proportion. Source: Wilson 1927. No trials give (0, 1)."""
    if n == 0:
        return (0.0, 1.0)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (max(0.0, centre - half), min(1.0, centre + half))
