"""Versions of before get the question they asked and who made them.

The latter is read in one pass over the audit trail, which has no index for it. Apart from the columns, since
PostgreSQL changes no table in the transaction that changed its rows.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

PUBLISHED = {"guideline.publish": "Guideline", "question_settings.change": "QuestionSettings"}


def fill_in(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The question could not be changed until now: every version asked what its project's criteria ask."""
    questions: dict[int, dict[str, str]] = {}
    for project, name, question in apps.get_model("workspace", "Criterion").objects.values_list(
        "project", "name", "question"
    ):
        questions.setdefault(project, {})[name] = question
    versions = {name: apps.get_model("workspace", name) for name in PUBLISHED.values()}
    for project, asked in questions.items():
        versions["QuestionSettings"].objects.filter(project=project).update(questions=asked)
    events = apps.get_model("workspace", "AuditEvent").objects.filter(
        action__in=[*PUBLISHED, "project.create"]
    )
    for action, actor, project, key in events.values_list(
        "action", "actor", "project", "target_id"
    ).iterator():
        if action in PUBLISHED:
            versions[PUBLISHED[action]].objects.filter(pk=int(key)).update(created_by=actor)
        else:
            for version in versions.values():
                version.objects.filter(project=project, version=1).update(created_by=actor)


class Migration(migrations.Migration):
    dependencies = [
        ("workspace", "0009_versions_and_pauses"),
    ]

    operations = [migrations.RunPython(fill_in, migrations.RunPython.noop)]
