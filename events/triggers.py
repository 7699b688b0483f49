"""Triggers that write an event in the very statement that changes something: whoever changes it, and by whatever way;
used by migrations.

A trigger reads its own row and inserts into events_outboxentry, nothing else: it looks nothing up and locks nothing
that two requests share, so that a judgment costs one insertion more and waits for nobody. Judgments of an import write
none: they become known all at once, when the import is done, and that is one event.

A migration that makes SQLite build one of these tables anew loses its triggers: a migration of this app that depends on
it runs `install_event_triggers` again (a test of every kind of event notices).
"""

from dataclasses import dataclass

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


@dataclass(frozen=True, kw_only=True)
class EventTrigger:
    table: str
    when: str  # AFTER INSERT, AFTER UPDATE OF column, AFTER DELETE
    condition: str = ""
    kind: str  # SQL
    project: str = "NEW.project_id"  # SQL; NULL: found when the event is published
    data: tuple[tuple[str, str], ...]  # name in the event's data, SQL
    json: tuple[str, ...] = ()  # names among them that are JSON already


_RUN = (
    ("run", "NEW.id"),
    ("kind", "NEW.kind"),
    ("title", "NEW.title"),
    ("state", "NEW.state"),
    ("attempt", "NEW.attempt"),
    ("error", "NEW.error"),
    ("cloned_from", "NEW.cloned_from_id"),
)
_ROUND = (("round", "NEW.number"), ("stage", "NEW.stage"), ("error", "NEW.error"))
_IMPORT = (
    ("import", "NEW.id"),
    ("kind", "NEW.kind"),
    ("format", "NEW.format"),
    ("rows", "NEW.rows"),
    ("bad_rows", "NEW.bad_rows"),
    ("counts", "NEW.counts"),
)

TRIGGERS = {
    "judgment_event": EventTrigger(
        table="annotation_judgment",
        when="AFTER INSERT",
        condition="NEW.from_import_id IS NULL",
        kind="CASE WHEN NEW.withdrawn THEN 'judgment.withdrawn' WHEN NEW.supersedes_id IS NULL "
        "THEN 'judgment.submitted' ELSE 'judgment.revised' END",
        project="NULL",
        data=(("judgment", "NEW.id"),),
    ),
    "run_event_insert": EventTrigger(
        table="runs_run", when="AFTER INSERT", kind="'run.' || NEW.state", data=_RUN
    ),
    "run_event_update": EventTrigger(
        table="runs_run",
        when="AFTER UPDATE OF state",
        condition="OLD.state <> NEW.state",
        kind="'run.' || NEW.state",
        data=_RUN,
    ),
    "round_event_insert": EventTrigger(
        table="rounds_round", when="AFTER INSERT", kind="'round.' || NEW.stage", data=_ROUND
    ),
    "round_event_update": EventTrigger(
        table="rounds_round",
        when="AFTER UPDATE OF stage",
        condition="OLD.stage <> NEW.stage",
        kind="'round.' || NEW.stage",
        data=_ROUND,
    ),
    "import_event_update": EventTrigger(
        table="annotation_import",
        when="AFTER UPDATE OF state",
        condition="OLD.state <> NEW.state AND NEW.state <> 'running'",
        kind="'import.' || NEW.state",
        data=_IMPORT,
        json=("counts",),
    ),
    "dataset_event_insert": EventTrigger(
        table="annotation_preferencedataset",
        when="AFTER INSERT",
        kind="'dataset.frozen'",
        data=(("dataset", "NEW.id"), ("name", "NEW.name"), ("version", "NEW.version")),
    ),
    "dataset_event_delete": EventTrigger(
        table="annotation_preferencedataset",
        when="AFTER DELETE",
        kind="'dataset.discarded'",
        project="OLD.project_id",
        data=(("dataset", "OLD.id"), ("name", "OLD.name"), ("version", "OLD.version")),
    ),
}


def _insertion(trigger: EventTrigger, *, postgresql: bool) -> str:
    now = "STATEMENT_TIMESTAMP()" if postgresql else "STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')"
    build = "JSONB_BUILD_OBJECT" if postgresql else "JSON_OBJECT"
    parts = []
    for name, value in trigger.data:
        is_json = name in trigger.json and not postgresql  # a column of type jsonb goes in as it is
        parts.append(f"'{name}', {f'JSON({value})' if is_json else value}")
    return (
        "INSERT INTO events_outboxentry (kind, project_id, data, created_at) "
        f"VALUES ({trigger.kind}, {trigger.project}, {build}({', '.join(parts)}), {now});"
    )


def _install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    postgresql = schema_editor.connection.vendor == "postgresql"
    for name, trigger in TRIGGERS.items():
        body = _insertion(trigger, postgresql=postgresql)
        condition = f"WHEN ({trigger.condition})" if trigger.condition else ""
        if not postgresql:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}", params=None)
            schema_editor.execute(
                f"CREATE TRIGGER {name} {trigger.when} ON {trigger.table} {condition} BEGIN {body} END",
                params=None,
            )
            continue
        schema_editor.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body} RETURN NULL; END $$",
            params=None,
        )
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name} ON {trigger.table}", params=None)
        schema_editor.execute(
            f"CREATE TRIGGER {name} {trigger.when} ON {trigger.table} FOR EACH ROW {condition} "
            f"EXECUTE FUNCTION {name}()",
            params=None,
        )


def _remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for name, trigger in TRIGGERS.items():
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + f" ON {trigger.table}" * is_postgresql)
        if is_postgresql:
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}()")


def install_event_triggers() -> migrations.RunPython:
    """A migration operation; backwards it removes them."""
    return migrations.RunPython(_install, _remove)


def install_event_triggers_again() -> migrations.RunPython:
    """The same after a migration that made SQLite build a table anew; backwards nothing."""
    return migrations.RunPython(_install, migrations.RunPython.noop)


def remove_event_triggers() -> migrations.RunPython:
    """The opposite."""
    return migrations.RunPython(_remove, _install)
