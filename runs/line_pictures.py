"""A curve over steps as a small SVG picture (`runs/line_picture.html`), places in the units of its viewBox."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 60.0


@dataclass(frozen=True, kw_only=True)
class LinePicture:
    title: str
    line: str  # SVG points
    band: str  # SVG points around its intervals, where there are some
    middle: str  # height of the scale's middle, where it has a scale of its own
    first: str
    last: str
    low: str
    high: str
    last_step: int


def line_picture(
    title: str,
    points: Sequence[tuple[float, float]],
    *,
    last_step: float,
    scale: tuple[float, float] | None = None,
    digits: int = 2,
    intervals: Sequence[tuple[float, float, float]] = (),
) -> LinePicture:
    """`points`: (step, value), at least one, steps from 0 to `last_step`; `scale`: from where to where, of all values
    where it is not given; `digits` of the values that are written; `intervals`: (step, low, high), within the scale.
    """
    values = [value for _, value in points]
    low, high = scale or (min(values), max(values))
    wide = (high - low) or 1.0

    def place(step: float, value: float) -> tuple[str, str]:
        return f"{2 + 96 * step / last_step:.2f}", f"{HEIGHT - 3 - (HEIGHT - 6) * (value - low) / wide:.2f}"

    around = [(step, low) for step, low, _ in intervals]
    around += [(step, high) for step, _, high in reversed(intervals)]
    return LinePicture(
        title=title,
        line=" ".join(",".join(place(*point)) for point in points),
        band=" ".join(",".join(place(*point)) for point in around),
        middle=place(0, sum(scale) / 2)[1] if scale else "",
        first=f"{values[0]:.{digits}f}",
        last=f"{values[-1]:.{digits}f}",
        low=f"{low:.{digits}f}",
        high=f"{high:.{digits}f}",
        last_step=int(last_step),
    )
