"""Small files as people's tools write them, and what they become."""

import csv
import io
import json
import os
from pathlib import Path

from annotation.models import Judgment, Response

SHARED_CASES = Path(
    os.environ.get("ROUNDTABLE_SHARED_CASES", Path(__file__).resolve().parents[4] / "shared" / "cases")
)


def jsonl(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def user(text):
    return {"role": "user", "content": text}


def as_csv(header, *rows):
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue()


TRL = ["--format", "trl"]

PAIR = {"prompt": "Bread?", "chosen": "Rye", "rejected": "None"}


def stored_judgments():
    """(prompt, best, worst, strengths) of every judgment."""
    found = []
    for judgment in Judgment.objects.order_by("pk"):
        best, worst = (Response.objects.get(pk=judgment.tiers[place][0]).answer for place in (0, -1))
        found.append((judgment.task.prompt.messages, best, worst, judgment.strengths))
    return found


def own_or_shared(tmp_path, own, shared):
    """Our own content as a file, and the shared one where it is."""
    path = tmp_path / "own.jsonl"
    path.write_bytes(own if isinstance(own, bytes) else own.encode())
    return [path] + [file for file in [SHARED_CASES / shared] if file.is_file()]
