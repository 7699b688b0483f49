"""What one transactional test leaves, the next does not find; what `migrate` made is still there."""

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from annotation.models import Judgment
from tests.database_setup import migrations_digest
from workspace.models import AuditEvent, User

pytestmark = pytest.mark.db


def rows_by_table() -> dict[str, int]:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with connection.cursor() as cursor:
        counts = {}
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            counts[table] = cursor.fetchone()[0]
    return counts


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", ["first", "second"])
def test_every_test_finds_the_database_as_migrate_left_it(project, ada, time):
    """The second time there would be two of each, were the first one's rows there; the log is append-only."""
    assert User.objects.filter(username__in=["max", "ada"]).count() == User.objects.count() == 2
    assert AuditEvent.objects.filter(action="project.create").count() == 1
    from django.core.management import call_command

    call_command("flush", verbosity=0, interactive=False)
    filled = {table for table, rows in rows_by_table().items() if rows}
    assert filled == {"django_content_type", "auth_permission"}
    assert Permission.objects.filter(content_type=ContentType.objects.get_for_model(Judgment)).count() == 4


@pytest.mark.django_db
def test_the_triggers_are_back_after_a_flush(project):
    with pytest.raises(Exception, match="append-only"):
        project.audit_events.all()._raw_delete(using="default")


def test_another_migration_is_another_database(monkeypatch, tmp_path):
    before = migrations_digest()
    assert before == migrations_digest()
    monkeypatch.setattr("django.get_version", lambda: "0.1")
    assert migrations_digest() != before
