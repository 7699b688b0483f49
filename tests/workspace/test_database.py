"""Writers wait in order, and the database's clock decides."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from workspace.database import database_now, database_now_plus, run_prepared, write_transaction
from workspace.models import User

pytestmark = pytest.mark.db


@write_transaction
def rename(user: User, name: str) -> str:
    assert connection.in_atomic_block
    User.objects.filter(pk=user.pk).update(first_name=name)
    return name


@pytest.mark.django_db(transaction=True)
def test_a_write_is_kept_when_it_ends_well_and_undone_when_it_fails(make_user):
    user = make_user("ada")
    assert rename(user, "Ada") == "Ada"
    user.refresh_from_db()
    assert user.first_name == "Ada"

    @write_transaction
    def fail() -> None:
        rename(user, "Eve")  # inside a transaction it joins that one instead of waiting for itself
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    user.refresh_from_db()
    assert user.first_name == "Ada"


@pytest.mark.django_db(transaction=True)
def test_threads_write_one_after_the_other(make_user):
    user, inside, most = make_user("ada"), [], []

    @write_transaction
    def write() -> None:
        User.objects.select_for_update().get(pk=user.pk)
        inside.append(1)
        most.append(len(inside))
        User.objects.filter(pk=user.pk).update(first_name="x")
        inside.pop()

    def work() -> None:
        try:
            for _ in range(5):
                write()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40


@pytest.mark.django_db
def test_the_databases_clock_has_a_zone_and_agrees_with_its_expressions(make_user):
    make_user("ada")
    with transaction.atomic():
        before = database_now()
        assert before.tzinfo is not None and database_now() >= before
        later = ExpressionWrapper(Q(date_joined__lt=database_now_plus(3600)), output_field=BooleanField())
        assert User.objects.annotate(later=later).get().later
        moment = User.objects.annotate(moment=Now()).get().moment
        assert abs(moment - before) < timedelta(minutes=1)


@pytest.mark.django_db
def test_a_prepared_statement_is_planned_once(make_user, settings):
    """PostgreSQL's own account of it: executed by the plan that was made first, and by no other."""
    ada = make_user("ada")
    sql = "SELECT username FROM workspace_user WHERE id = CAST(%s AS bigint)"
    assert [run_prepared(sql, [ada.pk])[0] for _ in range(7)] == [[("ada",)]] * 7
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
        prepared = [row for row in cursor.fetchall() if row[0].startswith("SELECT username FROM")]
    assert [row[1:] for row in prepared] == [(7, 0)]


@pytest.mark.django_db
def test_postgresql_compiles_no_statement():
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)
