"""Small multiples of curves as SVG: a panel each, mean and range over the seeds, one scale for all panels of a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0b6e99", "#b3541e", "#5b7f24", "#7a4fa3", "#8a6d00")
WIDTH, HEIGHT, GAP, TOP, LEFT = 210, 130, 26, 24, 44


@dataclass(frozen=True)
class Curve:
    xs: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float] = ()
    highs: Sequence[float] = ()


Panel = tuple[str, Mapping[str, Curve]]


def panels(
    title: str, x_label: str, shown: Sequence[Panel], *, columns: int = 4, same_scale: bool = True
) -> str:
    """A picture on white, readable in a light and in a dark page; a name has one colour in all panels."""
    names = list(dict.fromkeys(name for _, curves in shown for name in curves))
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    width = columns * (WIDTH + LEFT + GAP) + GAP
    height = rows * (HEIGHT + TOP + 34) + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" '
        f'font-size="11"><title>{escape(title)}</title><rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    x = GAP
    for place, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="12" width="14" height="4" fill="{COLOURS[place % len(COLOURS)]}"/>')
        parts.append(f'<text x="{x + 19}" y="18" fill="#222">{escape(name)}</text>')
        x += 34 + 7 * len(name)
    common = _range([curve for _, curves in shown for curve in curves.values()]) if same_scale else None
    for place, (label, curves) in enumerate(shown):
        left = GAP + (place % columns) * (WIDTH + LEFT + GAP) + LEFT
        top = 30 + (place // columns) * (HEIGHT + TOP + 34) + TOP
        parts += _panel(label, x_label, curves, names, left, top, common or _range(list(curves.values())))
    return "".join([*parts, "</svg>\n"])


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    values = [value for curve in curves for value in (*curve.means, *curve.lows, *curve.highs)]
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


def _panel(
    label: str,
    x_label: str,
    curves: Mapping[str, Curve],
    names: Sequence[str],
    left: int,
    top: int,
    scale: tuple[float, float],
) -> list[str]:
    low, high = scale
    end = max(max(curve.xs) for curve in curves.values())
    begin = min(min(curve.xs) for curve in curves.values())

    def at(x: float, y: float) -> str:
        across = (x - begin) / (end - begin or 1) * WIDTH
        return f"{left + across:.1f},{top + HEIGHT - (y - low) / (high - low) * HEIGHT:.1f}"

    parts = [
        f'<text x="{left}" y="{top - 8}" fill="#222" font-weight="600">{escape(label)}</text>',
        f'<path d="M{left},{top}V{top + HEIGHT}H{left + WIDTH}" fill="none" stroke="#888"/>',
        f'<text x="{left + WIDTH}" y="{top + HEIGHT + 14}" fill="#555" text-anchor="end">'
        f"{escape(x_label)} {end:.3g}</text>",
    ]
    for value in (low, high):
        y = float(at(begin, value).split(",")[1])
        parts.append(f'<text x="{left - 5}" y="{y + 4:.1f}" fill="#555" text-anchor="end">{value:.3g}</text>')
    if low < 0 < high:
        parts.append(f'<path d="M{at(begin, 0)}L{at(end, 0)}" stroke="#bbb" stroke-dasharray="3 3"/>')
    for name, curve in curves.items():
        colour = COLOURS[names.index(name) % len(COLOURS)]
        if curve.lows:
            there = [at(x, y) for x, y in zip(curve.xs, curve.highs, strict=True)]
            back = [at(x, y) for x, y in zip(curve.xs, curve.lows, strict=True)][::-1]
            parts.append(f'<polygon points="{" ".join(there + back)}" fill="{colour}" opacity="0.18"/>')
        line = " ".join(at(x, y) for x, y in zip(curve.xs, curve.means, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    return parts
