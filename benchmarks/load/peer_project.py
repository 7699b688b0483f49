"""Runs inside Label Studio's own environment: a pairwise project, its tasks, annotators with tokens.

Standard input: {tasks: [{prompt, a, b}], copies, annotators, overlap}; standard output: {project, accounts}. The given
tasks are made through its models; the others are copies of their rows, made by the database as ours are.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.getcwd())

import django

django.setup()

from django.db import connection  # noqa: E402
from organizations.models import Organization  # noqa: E402
from projects.models import Project  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402
from tasks.models import Task  # noqa: E402
from users.models import User  # noqa: E402

QUESTION = """<View><Text name="prompt" value="$prompt"/><Pairwise name="pw" toName="a,b"/>
<Text name="a" value="$a"/><Text name="b" value="$b"/></View>"""


def make_tasks(project: Any, rows: list[dict[str, str]], copies: int, overlap: int) -> None:
    tasks = Task.objects.bulk_create(
        [
            Task(project=project, data=row, overlap=overlap, inner_id=number, is_labeled=False)
            for number, row in enumerate(rows, 1)
        ]
    )
    shift = max(task.id for task in tasks)
    columns, values = [], []
    for column in Task._meta.concrete_fields:
        name = f't."{column.column}"'
        if column.name in ("id", "inner_id"):
            value = f"{name} + n.i * {shift}"
        elif column.name == "data":
            value = f"CAST(REPLACE(CAST({name} AS TEXT), 'copy-0', 'copy-' || n.i) AS {column.db_type(connection)})"
        else:
            value = name
        columns.append(f'"{column.column}"')
        values.append(value)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO task ({', '.join(columns)}) SELECT {', '.join(values)} "
            f"FROM generate_series(1, {copies}) AS n(i) CROSS JOIN task t ORDER BY n.i, t.id"
        )
        cursor.execute("SELECT setval(pg_get_serial_sequence('task', 'id'), MAX(id)) FROM task")
        cursor.execute("ANALYZE")


def main() -> None:
    asked = json.load(sys.stdin)
    owner = User.objects.create_user(email="owner@example.org", password="correct horse battery")
    organization = Organization.create_organization(created_by=owner, title="Load")
    owner.active_organization = organization
    owner.save()
    accounts = []
    for number in range(asked["annotators"]):
        user = User.objects.create_user(email=f"annotator{number:04}@example.org", password=None)
        user.active_organization = organization
        user.save()
        organization.add_user(user)
        token, _ = Token.objects.get_or_create(user=user)
        accounts.append({"token": token.key})
    project = Project.objects.create(
        title="Load",
        label_config=QUESTION,
        maximum_annotations=asked["overlap"],
        sampling="Sequential sampling",
        organization=organization,
        created_by=owner,
        is_published=True,
    )
    make_tasks(project, asked["tasks"], asked["copies"], asked["overlap"])
    # What its import does when the tasks are in.
    summary = getattr(project, "summary", None)
    if summary is not None:
        summary.update_data_columns(Task.objects.filter(project=project)[:1000])
    print(json.dumps({"project": project.id, "accounts": accounts, "folder": str(Path.cwd())}))


if __name__ == "__main__":
    main()
