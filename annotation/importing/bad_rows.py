"""The rows that an import left out, as a file to download: JSON Lines or CSV, with file, line, column and reason."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.http import FileResponse, Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase

from workspace.csv_lines import csv_line

COLUMNS = ("file", "line", "column", "reason")
FORMS = ("jsonl", "csv")


def read_bad_rows(path: Path, limit: int | None = None) -> list[dict[str, Any]]:
    """The first of them; none where no row was bad."""
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in islice(file, limit)]
    except FileNotFoundError:
        return []


def bad_rows_response(path: Path, form: str, *, name: str) -> HttpResponseBase:
    """`name`: of the file that they are of. Http404 where there are none, or for another form."""
    if form not in FORMS or not path.is_file():
        raise Http404("No such file.")
    response: HttpResponseBase
    if form == "jsonl":
        response = FileResponse(path.open("rb"), content_type="application/x-ndjson")
    else:
        response = StreamingHttpResponse(_as_csv(path), content_type="text/csv; charset=utf-8")
    wanted = quote(f"bad rows of {name}.{form}", safe="")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{wanted}"
    return response


def _as_csv(path: Path) -> Iterator[bytes]:
    with path.open(encoding="utf-8") as file:
        yield csv_line(COLUMNS)
        for line in file:
            row = json.loads(line)
            yield csv_line([row[column] for column in COLUMNS])
