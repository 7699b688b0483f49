"""Small multiples of curves as SVG: a panel each, mean and range over the seeds, one scale for all panels of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = (
    *("#0b6e99", "#b3541e", "#5b7f24", "#7a4fa3", "#8a6d00"),
    *("#c2185b", "#222222", "#00897b", "#8d6e63", "#e69f00"),
)
WIDTH, HEIGHT, GAP, TOP, LEFT = 210, 130, 26, 24, 44
SMALL_WIDTH, SMALL_HEIGHT = 150, 90


@dataclass(frozen=True)
class Curve:
    xs: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float] = ()
    highs: Sequence[float] = ()


Panel = tuple[str, Mapping[str, Curve]]
Size = tuple[int, int]  # width and height of a panel


def panels(
    title: str,
    x_label: str,
    shown: Sequence[Panel],
    *,
    columns: int = 4,
    same_scale: bool = True,
    size: Size = (WIDTH, HEIGHT),
) -> str:
    """A picture on white, readable in a light and in a dark page; a name has one colour in all panels."""
    names = list(dict.fromkeys(name for _, curves in shown for name in curves))
    columns = min(columns, len(shown))
    frame = _Frame(title, len(shown), columns, size)
    frame.legend(names)
    common = _range([curve for _, curves in shown for curve in curves.values()]) if same_scale else None
    for place, (label, curves) in enumerate(shown):
        scale = common or _range(list(curves.values()))
        frame.parts += _panel(label, x_label, curves, names, *frame.corner(place), scale, size)
    return frame.text()


def histograms(
    title: str, x_label: str, shown: Sequence[tuple[str, Sequence[float]]], *, columns: int, bins: int = 30
) -> str:
    """A panel of bars for each list of values, all on the same two scales: shares of the values."""
    low, high = (find(value for _, values in shown for value in values) for find in (min, max))
    size = (SMALL_WIDTH, SMALL_HEIGHT)
    frame = _Frame(title, len(shown), columns, size)
    width = (high - low) / bins or 1.0
    shares = []
    for _, values in shown:
        counts = [0] * bins
        for value in values:
            counts[min(bins - 1, int((value - low) / width))] += 1
        shares.append([count / len(values) for count in counts])
    top_share = max(share for own in shares for share in own)
    for place, ((label, _), own) in enumerate(zip(shown, shares, strict=True)):
        left, top = frame.corner(place)
        bar = size[0] / bins
        frame.parts += _axes(label, f"{low:.1f} to {high:.1f} {x_label}", left, top, size)
        for position, share in enumerate(own):
            tall = share / top_share * size[1]
            frame.parts.append(
                f'<rect x="{left + position * bar:.1f}" y="{top + size[1] - tall:.1f}" width="{bar * 0.9:.1f}" '
                f'height="{tall:.1f}" fill="{COLOURS[place // columns % len(COLOURS)]}"/>'
            )
    return frame.text()


class _Frame:
    """The picture around panels of one size, in rows of `columns`."""

    def __init__(self, title: str, count: int, columns: int, size: Size) -> None:
        self.title, self.columns, self.size = title, columns, size
        self.rows = -(-count // columns)
        self.width = columns * (size[0] + LEFT + GAP) + GAP
        self.head = 12  # pixels above the first row of panels
        self.parts: list[str] = []

    def legend(self, names: Sequence[str]) -> None:
        x, y = GAP, 12
        for place, name in enumerate(names):
            wide = 34 + 7 * len(name)
            if x + wide > self.width and x > GAP:
                x, y = GAP, y + 16
            self.parts.append(
                f'<path d="M{x},{y + 2}h14" fill="none" {_stroke(place)} stroke-width="4"/>'
                f'<text x="{x + 19}" y="{y + 6}" fill="#222">{escape(name)}</text>'
            )
            x += wide
        self.head = y + 18

    def corner(self, place: int) -> tuple[int, int]:
        """Left and top of a panel."""
        across, down = place % self.columns, place // self.columns
        left = GAP + across * (self.size[0] + LEFT + GAP) + LEFT
        return left, self.head + down * (self.size[1] + TOP + 34) + TOP

    def text(self) -> str:
        height = self.head + self.rows * (self.size[1] + TOP + 34) + 16
        return "".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height}" role="img" '
                f'font-family="sans-serif" font-size="11"><title>{escape(self.title)}</title>'
                f'<rect width="{self.width}" height="{height}" fill="#fff"/>',
                *self.parts,
                "</svg>\n",
            ]
        )


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    values = [value for curve in curves for value in (*curve.means, *curve.lows, *curve.highs)]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


def _axes(label: str, below: str, left: int, top: int, size: Size) -> list[str]:
    wide, tall = size
    return [
        f'<text x="{left}" y="{top - 8}" fill="#222" font-weight="600">{escape(label)}</text>',
        f'<path d="M{left},{top}V{top + tall}H{left + wide}" fill="none" stroke="#888"/>',
        f'<text x="{left + wide}" y="{top + tall + 14}" fill="#555" text-anchor="end">{escape(below)}</text>',
    ]


def _panel(
    label: str,
    x_label: str,
    curves: Mapping[str, Curve],
    names: Sequence[str],
    left: int,
    top: int,
    scale: tuple[float, float],
    size: Size,
) -> list[str]:
    low, high = scale
    wide, tall = size
    end = max(max(curve.xs) for curve in curves.values())
    begin = min(min(curve.xs) for curve in curves.values())

    def at(x: float, y: float) -> str:
        across = (x - begin) / (end - begin or 1) * wide
        return f"{left + across:.1f},{top + tall - (y - low) / (high - low) * tall:.1f}"

    parts = _axes(label, f"{x_label} {end:.3g}".strip(), left, top, size)
    for value in (low, high):
        y = float(at(begin, value).split(",")[1])
        parts.append(f'<text x="{left - 5}" y="{y + 4:.1f}" fill="#555" text-anchor="end">{value:.3g}</text>')
    if low < 0 < high:
        parts.append(f'<path d="M{at(begin, 0)}L{at(end, 0)}" stroke="#bbb" stroke-dasharray="3 3"/>')
    for name, curve in curves.items():
        place = names.index(name)
        colour = COLOURS[place % len(COLOURS)]
        if curve.lows:
            there = [at(x, y) for x, y in zip(curve.xs, curve.highs, strict=True)]
            back = [at(x, y) for x, y in zip(curve.xs, curve.lows, strict=True)][::-1]
            parts.append(f'<polygon points="{" ".join(there + back)}" fill="{colour}" opacity="0.18"/>')
        line = " ".join(at(x, y) for x, y in zip(curve.xs, curve.means, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" {_stroke(place)} stroke-width="1.8"/>')
    return parts


def _stroke(place: int) -> str:
    """Of the curve at this place among all: dashed where the colours begin again."""
    dashes = ' stroke-dasharray="4 2"' if place >= len(COLOURS) else ""
    return f'stroke="{COLOURS[place % len(COLOURS)]}"{dashes}'
