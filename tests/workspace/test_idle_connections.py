"""Connections of a web worker's threads are given back when nobody asks for pages, and never while one is answered."""

import io
import threading

import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.http import FileResponse, HttpResponse

from workspace.idle_connections import GivesBackIdleConnections
from workspace.management.commands import serve
from workspace.web_server import most_database_connections

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]
LONG = 1_000_000.0


class Site:
    """A WSGI application that asks the database and waits, within an answer, until it is told to go on."""

    def __init__(self):
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.connections = []

    def __call__(self, environ, start_response):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        self.connections.append(connection.connection)
        self.asked.set()
        assert self.go_on.wait(120)
        return HttpResponse(b"answer")


def is_open(raw):
    if connection.vendor == "postgresql":
        return not raw.closed
    try:
        raw.total_changes  # noqa: B018
    except Exception:
        return False
    return True


def test_a_connection_is_closed_when_its_thread_serves_nothing_and_opened_again_for_the_next_request():
    site = Site()
    application = GivesBackIdleConnections(site, idle_seconds=LONG)
    answers = []
    answered, again = threading.Event(), threading.Event()

    def thread():
        for _ in range(2):
            answers.append(application({}, None))
            answered.set()
            assert again.wait(120)
        connection.close()

    worker = threading.Thread(target=thread)
    worker.start()
    assert site.asked.wait(120)
    # Whatever is idle may go; this one is being used.
    application.idle_seconds = 0.0
    assert application.close_idle() == 0
    assert is_open(site.connections[0])
    site.go_on.set()
    assert answered.wait(120)
    application.idle_seconds = LONG
    assert application.close_idle() == 0
    application.idle_seconds = 0.0
    # Django closes those to SQLite after each request.
    assert application.close_idle() == (1 if connection.vendor == "postgresql" else 0)
    assert not is_open(site.connections[0])
    application.idle_seconds = LONG
    again.set()
    worker.join(120)
    assert answers == [[b"answer"], [b"answer"]]
    assert len(site.connections) == 2
    assert site.connections[1] is not site.connections[0]


def test_a_file_is_left_to_the_server_which_reads_and_closes_it():
    answer = FileResponse(io.BytesIO(b"file"))
    given = GivesBackIdleConnections(lambda environ, start_response: answer, idle_seconds=LONG)({}, None)
    assert given is answer and not answer.closed


def test_threads_that_ended_are_forgotten():
    site = Site()
    site.go_on.set()
    application = GivesBackIdleConnections(site, idle_seconds=LONG)

    def thread():
        application({}, None)
        connection.close()

    for _ in range(3):
        worker = threading.Thread(target=thread)
        worker.start()
        worker.join(120)
    assert len(application._all) == 0


def test_serve_asks_for_no_more_connections_than_postgresql_has(monkeypatch):
    monkeypatch.setattr(serve, "default_workers", lambda: 1000)
    if connection.vendor != "postgresql":
        assert most_database_connections() is None
        assert serve._fitting_workers(None, 4) == 1000
        return
    # .ci/with-postgres: max_connections 200, of which PostgreSQL keeps three for the superuser, and we ten for others.
    assert most_database_connections() == 187
    assert serve._fitting_workers(None, 4) == 23
    assert serve._fitting_workers(23, 4) == 23
    need = "24 web workers of 4 threads, and 4 for answers of other programs, need 192 database connections"
    with pytest.raises(CommandError, match=need) as refused:
        serve._fitting_workers(24, 4)
    assert refused.value.returncode == 2
