"""The figures of a dataset as SVG files for its card: equal figures give equal bytes.

They stand alone, with their own colours for light and dark; the site's pages draw the same bars with its style sheet.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from annotation.datasets import charts

WIDTH = 720
LABEL_WIDTH = 230
VALUE_WIDTH = 150
ROW_HEIGHT = 26
COLUMNS_HEIGHT = 160
LONGEST_LABEL = 32  # characters
_STYLE = """<style>
text { font: 14px system-ui, sans-serif; fill: #24292f } .muted { fill: #57606a } .title { font-weight: 600 }
.track { fill: #eaeef2 } .fill { fill: #4f46b8 } .win { fill: #1a7f4b } .tie { fill: #8c959f } .loss { fill: #b3372f }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .muted { fill: #9198a1 } .track { fill: #30363d }
.fill { fill: #9a94f0 } .win { fill: #3fb27f } .loss { fill: #e5736b } }
</style>"""


def dataset_pictures(statistics: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """File name -> (what it shows, the SVG), for those that there is something to show of."""
    columns, unit = charts.time_columns(statistics)
    found: dict[str, tuple[str, str]] = {}
    if columns:
        title = f"Judgments by {unit}"
        found["time.svg"] = (title, _columns(title, columns))
    if statistics["counts"]["pairs"]:
        for name, title, bars in (
            ("grades.svg", "How much better, by pair", charts.grade_bars(statistics)),
            ("lengths.svg", "Length of answers, characters", charts.length_bars(statistics)),
        ):
            found[name] = (title, _bars(title, bars))
    if statistics["agreement"]["groups"]:
        title = "Agreement of annotators, by group"
        found["agreement.svg"] = (title, _bars(title, charts.agreement_bars(statistics)))
    if sources := charts.source_bars(statistics):
        title = "Sources against each other: won, tied, lost"
        found["sources.svg"] = (title, _sources(title, sources))
    return found


def _picture(title: str, height: int, parts: Sequence[str]) -> str:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{_text(title)}">',
        _STYLE,
        f'<text class="title" x="0" y="16">{_text(title)}</text>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bars(title: str, bars: Sequence[charts.Bar]) -> str:
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    parts = []
    for place, bar in enumerate(bars):
        y = 30 + place * ROW_HEIGHT
        value = f"{bar.value:,}" + (f" ({bar.share})" if bar.share else "")
        parts += [
            _label(bar.label, y),
            f'<rect class="track" x="{LABEL_WIDTH}" y="{y}" width="{room}" height="16" rx="3"/>',
            f'<rect class="fill" x="{LABEL_WIDTH}" y="{y}" width="{room * float(bar.percent) / 100:.2f}" height="16" '
            'rx="3"/>',
            _value(value, y),
        ]
    return _picture(title, 36 + len(bars) * ROW_HEIGHT, parts)


def _sources(title: str, sources: Sequence[charts.SourceBar]) -> str:
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    parts = []
    for place, source in enumerate(sources):
        y = 30 + place * ROW_HEIGHT
        parts.append(_label(source.name or source.kind, y))
        for kind, begin, share in (
            ("win", "0", source.wins),
            ("tie", source.ties_from, source.ties),
            ("loss", source.losses_from, source.losses),
        ):
            x, width = LABEL_WIDTH + room * float(begin) / 100, room * float(share) / 100
            parts.append(f'<rect class="{kind}" x="{x:.2f}" y="{y}" width="{width:.2f}" height="16"/>')
        parts.append(_value(f"{source.wins} % of {source.judged:,}", y))
    return _picture(title, 36 + len(sources) * ROW_HEIGHT, parts)


def _columns(title: str, columns: Sequence[charts.Column]) -> str:
    step = WIDTH / len(columns)
    parts = []
    for column in columns:
        height = COLUMNS_HEIGHT * float(column.height) / 100
        parts.append(
            f'<rect class="fill" x="{(column.place + 0.1) * step:.2f}" y="{30 + COLUMNS_HEIGHT - height:.2f}" '
            f'width="{0.8 * step:.2f}" height="{height:.2f}"><title>{column.label}: {column.value:,}</title></rect>'
        )
    bottom = 30 + COLUMNS_HEIGHT
    most = max(columns, key=lambda column: column.value)
    parts += [
        f'<rect class="track" x="0" y="{bottom}" width="{WIDTH}" height="1"/>',
        f'<text class="muted" x="0" y="{bottom + 18}">{columns[0].label}</text>',
        f'<text class="muted" x="{WIDTH}" y="{bottom + 18}" text-anchor="end">{columns[-1].label}</text>',
        f'<text class="muted" x="{WIDTH / 2:g}" y="{bottom + 18}" text-anchor="middle">'
        f"most on {most.label}: {most.value:,}</text>",
    ]
    return _picture(title, bottom + 26, parts)


def _label(label: str, y: int) -> str:
    short = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
    return f'<text x="0" y="{y + 13}">{_text(short)}</text>'


def _value(value: str, y: int) -> str:
    return f'<text class="muted" x="{WIDTH}" y="{y + 13}" text-anchor="end">{_text(value)}</text>'


def _text(text: str) -> str:
    """What may stand in XML: names may have characters that it knows no way to write."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return escape(plain, {'"': "&quot;"})
