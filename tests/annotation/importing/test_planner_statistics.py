"""The database is told how large its tables have become."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation.importing import unfinished
from annotation.importing.contents.actions import import_prompts
from annotation.models import Prompt
from workspace.models import Project
from workspace.planner_statistics import refresh_statistics

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def known_rows(model) -> int:
    """How many rows the database believes the table to have; 0 when it was never looked at."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT reltuples FROM pg_class WHERE relname = %s", [table])
            return max(int(cursor.fetchone()[0]), 0)
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'")
        if cursor.fetchone() is None:
            return 0
        cursor.execute("SELECT stat FROM sqlite_stat1 WHERE tbl = %s", [table])
        return max((int(stat.split()[0]) for (stat,) in cursor.fetchall()), default=0)


def test_all_tables_are_looked_at(project):
    refresh_statistics()
    assert known_rows(Project) == 1


@pytest.mark.parametrize("large", [10, 11])
def test_after_a_large_import(project, max_, write_rows, monkeypatch, large):
    refresh_statistics([Prompt])
    before = known_rows(Prompt)
    monkeypatch.setattr(unfinished, "LARGE_IMPORT", large)
    path = write_rows([{"prompt": f"How many are {n}?"} for n in range(10)], "prompts.jsonl")
    with CaptureQueriesContext(connection) as queries:
        import_prompts(actor=max_, project=project, path=path)
    assert (before, known_rows(Prompt)) == (0, 10 if large == 10 else 0)
    looked = [query["sql"] for query in queries if query["sql"].startswith("ANALYZE")]
    assert bool(looked) == (large == 10)
    assert not any("workspace_" in sql for sql in looked)
