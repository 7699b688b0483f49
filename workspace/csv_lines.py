"""Lines of CSV files that people open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from typing import Any


def csv_line(cells: Iterable[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(map(_no_formula, cells))
    return out.getvalue().encode()


def _no_formula(cell: Any) -> Any:
    """A spreadsheet takes what begins so for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
