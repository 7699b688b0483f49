"""What the database knows of its tables when it chooses how to answer a query."""

from collections.abc import Iterable

from django.apps import apps
from django.db import DatabaseError, connection, models

# SQLite looks at so many rows of each index, and no more, however large the table is.
SQLITE_ROWS_AN_INDEX = 1000


def refresh_statistics(tables: Iterable[type[models.Model]] | None = None) -> None:
    """Count anew what planning goes by, for `tables` or all of the site. Not in a transaction.

    SQLite never does it by itself: without it, lists over a project of 100,000 judgments took ten times as long.
    PostgreSQL does within minutes of a large change, too late for what follows an import at once. Statistics change no
    result, so a database that is busy or away keeps those that it has.
    """
    quote = connection.ops.quote_name
    names = sorted(
        {quote(model._meta.db_table) for model in (tables or apps.get_models()) if model._meta.managed}
    )
    try:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(f"PRAGMA analysis_limit = {SQLITE_ROWS_AN_INDEX}")
            # One statement a table: nobody who writes waits for all of them.
            for name in names:
                cursor.execute(f"ANALYZE {name}")
    except DatabaseError:
        return
