"""Where the answers came from that best-of-n learned, in words of the policy's page."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from annotation.models import Source


def origin_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """{who, round, temperature, is_stored, candidates, kept, share (of all that are learned), candidate_score,
    kept_score}, whoever gave most first; empty where the report has no origins. Numbers as text, "" for none.
    """
    origins = report.get("origins")
    if not isinstance(origins, list):
        return []
    kept = sum(row["kept"] for row in origins)
    rows = sorted(origins, key=lambda row: (-row["kept"], -row["candidates"]))
    return [
        {
            "who": row["policy"] or Source.Kind(row["source"]).label,
            "round": row["round"],
            "temperature": "" if row["temperature"] is None else f"{row['temperature']:g}",
            "is_stored": row["is_stored"],
            "candidates": row["candidates"],
            "kept": row["kept"],
            "share": f"{100 * row['kept'] / kept:.0f} %" if kept else "",
            "candidate_score": _score(row["candidate_score"]),
            "kept_score": _score(row["kept_score"]),
        }
        for row in rows
    ]


def gain_text(report: Mapping[str, Any]) -> str:
    """What the choice won over taking any answer; "" where the report does not say."""
    gain = report.get("gain_over_mean")
    if not isinstance(gain, Mapping):
        return ""
    return gettext("%(value)s above the mean of a prompt's candidates (%(low)s to %(high)s)") % {
        name: f"{gain[name]:.2f}" for name in ("value", "low", "high")
    }


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
