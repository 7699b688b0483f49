"""Copies of the empty test database with the schema of now or of an earlier version, each made once a test process.

An earlier schema is made forward from nothing, one migration after the other and those alone that it needs: migrating
back from the newest takes 25 seconds of a processor, forward to the first versions of one app less than 2, a copy 0.1.
"""

import sqlite3
from contextlib import closing
from typing import Any

from django.apps.registry import Apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from tests.schema_descriptions import describe_schema

Target = tuple[str, str | None]
NEWEST: tuple[Target, ...] = ()


class _EachMigration(MigrationLoader):
    """Leaves the migrations out that make at once what several make: of these there is no earlier schema."""

    def build_graph(self) -> None:
        super().build_graph()
        for name, migration in self.replacements.items():
            self.graph.remove_replacement_node(name, migration.replaces)


def one_by_one() -> MigrationExecutor:
    executor = MigrationExecutor(connection)
    executor.loader = _EachMigration(connection, replace_migrations=False)
    return executor


def migrate(*targets: Target) -> Any:
    """The models as they are with these migrations, to which the test database goes forward or back."""
    one_by_one().migrate(list(targets))
    return one_by_one().loader.project_state(list(targets)).apps


class SchemaSnapshots:
    """By what was migrated to. Every one of them holds what migrations leave behind and no other row."""

    def __init__(self) -> None:
        self._copies: dict[tuple[Target, ...], Any] = {}

    def remember_newest(self) -> None:
        """To be called before the test makes a row."""
        if NEWEST not in self._copies:
            self.description_of_newest = describe_schema()
            self._copies[NEWEST] = self._copy()

    def return_to_newest(self) -> None:
        self._restore(self._copies[NEWEST])

    def go_to(self, *targets: Target) -> Apps:
        """The empty database with the schema of then, and nothing of apps that these migrations do not depend on."""
        if targets in self._copies:
            self._restore(self._copies[targets])
        else:
            self._restore(None)
            one_by_one().migrate(list(targets))
            self._copies[targets] = self._copy()
        return one_by_one().loader.project_state(list(targets)).apps

    def close(self) -> None:
        for copy in self._copies.values():
            if connection.vendor == "sqlite":
                copy.close()
            else:
                self._on_the_server(f'DROP DATABASE "{copy}"')

    def _copy(self) -> Any:
        if connection.vendor == "sqlite":
            connection.ensure_connection()
            copy = sqlite3.connect(":memory:")
            connection.connection.backup(copy)
            return copy
        name = connection.settings_dict["NAME"]
        copy_name = f"{name}_{len(self._copies)}"
        connection.close()  # no database is copied while somebody is connected
        self._on_the_server(f'CREATE DATABASE "{copy_name}" TEMPLATE "{name}"')
        return copy_name

    def _restore(self, copy: Any | None) -> None:
        """None: a database without a table."""
        if connection.vendor == "sqlite":
            connection.ensure_connection()
            with closing(sqlite3.connect(":memory:")) as empty:
                (copy or empty).backup(connection.connection)
            return
        name = connection.settings_dict["NAME"]
        connection.close()
        self._on_the_server(
            f'DROP DATABASE "{name}"', f'CREATE DATABASE "{name}" TEMPLATE "{copy or "template0"}"'
        )

    def _on_the_server(self, *statements: str) -> None:
        with connection._nodb_cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
