"""Every row of every table as a hash, for comparing two installations: one JSON object.

Run in the environment of a site: python benchmarks/load/rows.py
"""

import hashlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402

django.setup()

from django.db import connection  # noqa: E402


def main() -> None:
    found: dict[str, dict[str, str]] = {}
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f"SELECT * FROM {quote(table)}")
            # The first column is the key in every table of ours; texts, numbers and times print alike on both sides.
            found[table] = {
                str(row[0]): hashlib.sha256(repr(row).encode()).hexdigest() for row in cursor.fetchall()
            }
        cursor.execute("SELECT idempotency_key FROM annotation_judgment")
        found["idempotency_keys"] = {key: "" for (key,) in cursor.fetchall()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
