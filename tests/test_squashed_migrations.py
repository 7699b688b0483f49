"""A new database is made by one migration of each app; a site of any earlier version goes on with those it lacks."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from tests.schema_snapshots import one_by_one
from workspace.unavailable import missing_migrations

pytestmark = [pytest.mark.db, pytest.mark.django_db]
OWN = ("workspace", "runs", "annotation", "rewardmodel", "policy_training", "rounds", "events")


def own_migrations() -> list[tuple[str, str]]:
    """Every one that others replace, in the order in which a site got them."""
    executor = one_by_one()
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    return [(migration.app_label, migration.name) for migration, _ in plan if migration.app_label in OWN]


def record_only(applied: list[tuple[str, str]]) -> None:
    recorded = MigrationRecorder(connection).migration_qs
    recorded.filter(app__in=OWN).delete()
    for app, name in applied:
        recorded.create(app=app, name=name)


def test_a_site_with_every_migration_lacks_none_and_records_the_new_ones():
    record_only(own_migrations())
    assert missing_migrations() == 0
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    recorded = MigrationRecorder(connection).applied_migrations()
    assert set(executor.loader.replacements) <= set(recorded)


def test_a_new_database_is_made_by_one_migration_of_each_app_and_those_after_it():
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    own = [migration for migration, _ in plan if migration.app_label in OWN]
    assert [migration.app_label for migration in own if migration.replaces] == list(OWN)
    replaced = {name for migration in own for name in migration.replaces}
    assert not replaced & {(migration.app_label, migration.name) for migration in own}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.85, 0.95])
def test_a_site_of_any_version_gets_exactly_what_it_lacks(share):
    every = own_migrations()
    has = every[: int(share * len(every))]
    record_only(has)
    executor = MigrationExecutor(connection)
    executor.loader.check_consistent_history(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    made = [
        name
        for migration, _ in plan
        for name in migration.replaces or [(migration.app_label, migration.name)]
    ]
    assert len(made) == len(set(made))
    assert set(made) == set(every) - set(has)
