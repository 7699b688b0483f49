"""What came in before imports were recorded: one Import a batch of comparisons, from the audit trail.

Judgments get their import here, past the trigger that refuses every change: a column that was not there cannot have been
right. A batch that an import left half done becomes an unfinished import, which the next import clears. Of earlier
prompts and demonstrations nobody knows which file they came from; they stay without an import.
"""

import hashlib
import unicodedata
from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from annotation.models.triggers import install_import_triggers
from workspace.append_only import append_only

ROWS = 1000


def first_turn_hash(messages: list[dict[str, Any]]) -> str:
    """As annotation.content.splits wrote it on this day."""
    turns = [message.get("content") or "" for message in messages]
    user = [message.get("content") or "" for message in messages if message.get("role") == "user"]
    text = user[0] if user else "\n".join(turns)
    key = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return hashlib.sha256(key.encode()).hexdigest()


def fill_first_turns(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    prompts = apps.get_model("annotation", "Prompt")._base_manager.using(schema_editor.connection.alias)
    last = 0
    while page := list(prompts.filter(pk__gt=last).order_by("pk")[:ROWS]):
        for prompt in page:
            prompt.first_turn_hash = first_turn_hash(prompt.messages)
        prompts.bulk_update(page, ["first_turn_hash"], batch_size=ROWS // 2)
        last = page[-1].pk


def record_earlier_imports(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    events = apps.get_model("workspace", "AuditEvent").objects.using(alias)
    batches = apps.get_model("annotation", "Batch").objects.using(alias)
    imports = apps.get_model("annotation", "Import").objects.using(alias)
    judgments = apps.get_model("annotation", "Judgment").objects.using(alias)
    datasets = apps.get_model("annotation", "PreferenceDataset").objects.using(alias)
    done = {int(event.target_id): event for event in events.filter(action="comparisons.import")}
    made = {int(event.target_id): event for event in events.filter(action="batch.create", target_id__in=[
        str(pk) for pk in batches.filter(visible=False).values_list("pk", flat=True)
    ])}  # fmt: skip
    found = [batch for batch in batches.order_by("pk") if batch.pk in done or batch.pk in made]
    if not found:
        return
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER annotation_judgment_no_update ON annotation_judgment")
    else:
        schema_editor.execute("DROP TRIGGER annotation_judgment_no_update")
    for batch in found:
        event = done.get(batch.pk)
        details = event.details if event else {}
        imported = imports.create(
            project_id=batch.project_id,
            kind="comparisons",
            files=[{"name": details.get("file", batch.name), "bytes": None, "sha256": ""}],
            counts={name: details[name] for name in ("judgments", "tasks") if name in details},
            notes=["Recorded after the fact, from the audit trail."],
            actor_id=(event or made[batch.pk]).actor_id,
            state="done" if event else "running",
        )
        imports.filter(pk=imported.pk).update(created_at=(event or batch).created_at)
        batches.filter(pk=batch.pk).update(from_import=imported)
        judgments.filter(task__batch_id=batch.pk).update(from_import=imported)
        if event:
            # Earlier datasets did not record what is in them: whatever may be in one stays.
            for dataset in datasets.filter(project_id=batch.project_id, created_at__gte=event.created_at):
                names = dataset.filters.get("batches")
                if names is None or batch.name in names:
                    dataset.imports.add(imported)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    append_only("annotation_judgment").code(apps, schema_editor)
    install_import_triggers().code(apps, schema_editor)


def forget_imports(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Backwards nothing has to move: 0004 takes the columns away."""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0004_imports"), ("workspace", "0003_constraint_names")]

    operations = [
        migrations.RunPython(fill_first_turns, forget_imports),
        migrations.RunPython(record_earlier_imports, forget_imports),
    ]
