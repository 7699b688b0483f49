"""What an import looks up does not take longer the more the project has: no lookup reads all of it."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation.importing.actions import import_comparisons
from annotation.importing.contents.actions import import_prompts
from annotation.importing.tasks.actions import import_tasks
from workspace.planner_statistics import refresh_statistics

pytestmark = [pytest.mark.db, pytest.mark.django_db, pytest.mark.sqlite_only]

STORED = 2500
# How SQLite says that it reads every row of a table, or of a project or batch.
READS_ALL = re.compile(
    r"SCAN annotation_(prompt|response|task|taskresponse|judgment)\b"
    r"|USING INDEX annotation_(prompt|response)_project_id|USING INDEX annotation_task_batch_id"
)


def comparisons(numbers, *, with_ids):
    for number in numbers:
        row = {
            "prompt": [{"role": "user", "content": f"Question {number}"}],
            "responses": [f"yes {number}", f"no {number}"],
            "ranks": [0, 1],
        }
        ids = {"prompt_id": f"p{number}", "response_ids": [f"y{number}", f"n{number}"]}
        yield row | ids if with_ids else row


def plans_of_lookups(captured):
    """(statement, plan) of each search for rows that have one of several values."""
    for query in captured.captured_queries:
        if " IN ('" in query["sql"] and query["sql"].startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
                yield query["sql"], [row[3] for row in cursor.fetchall()]


@pytest.mark.parametrize(("with_ids", "together"), [(True, True), (False, False)])
def test_what_is_there_is_found_by_an_index(project, max_, write_rows, with_ids, together):
    project.near_duplicates_together = together
    project.save()
    given = {"actor": max_, "project": project}
    stored = list(comparisons(range(STORED), with_ids=with_ids))
    import_comparisons(path=write_rows(stored, "stored.jsonl"), format="records", **given)
    refresh_statistics()
    # Each has some that are there and some that are new.
    more = list(comparisons(range(STORED - 10, STORED + 600), with_ids=with_ids))
    prompts = [{"prompt": f"Question {number}"} for number in range(STORED - 5, STORED + 700)]
    tasks = [
        {"prompt": f"Question {number}", "responses": ["yes", "no"]}
        for number in range(STORED + 500, STORED + 800)
    ]
    with CaptureQueriesContext(connection) as captured:
        import_comparisons(path=write_rows(more, "more.jsonl"), format="records", **given)
        import_prompts(path=write_rows(prompts, "prompts.jsonl"), **given)
        import_tasks(path=write_rows(tasks, "tasks.jsonl"), **given)
    plans = [(sql, plan) for sql, plan in plans_of_lookups(captured) if '"batch_id" = ' not in sql]
    assert len(plans) > 5
    for sql, plan in plans:
        assert not any(map(READS_ALL.search, plan)), f"{plan}: {sql}"
