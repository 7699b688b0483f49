import time

import pytest
from django.db import connection, connections

from workspace.models import User
from workspace.write_turns import LOOK_S, Turns


@pytest.fixture
def slept(monkeypatch):
    found = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.fixture
def someone_else():
    """Writes by another connection, as another process does."""
    other = connections.create_connection(connection.alias)

    def write():
        other.cursor().execute("UPDATE workspace_user SET last_name = last_name || 'x'")

    yield write
    other.close()


def write():
    User.objects.update(first_name="b")


@pytest.mark.django_db(transaction=True)
def test_nobody_is_waited_for_where_nobody_writes(max_, slept):
    turns = Turns()
    for _ in range(3):
        with turns.writing():
            write()
    assert slept == []


@pytest.mark.django_db(transaction=True)
def test_who_wrote_in_between_has_the_next_turn(max_, slept, someone_else):
    turns = Turns()
    someone_else()
    with turns.writing():
        write()
    assert slept == [LOOK_S]
    with turns.writing():
        write()
    assert slept == [LOOK_S], "they have gone"


@pytest.mark.django_db(transaction=True)
def test_who_goes_on_writing_gets_as_long_as_the_import_took(max_, monkeypatch, someone_else):
    clock, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds
        someone_else()

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    turns = Turns()
    someone_else()
    with turns.writing():
        write()
        clock[0] += 0.45
    assert slept == [LOOK_S] * 5


@pytest.mark.django_db
def test_inside_a_transaction_nothing_can_be_left_to_others(max_, slept):
    with Turns().writing():
        write()
    assert slept == []
