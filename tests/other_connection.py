"""Work in a thread with a database connection of its own, and how to know that it waits for another transaction."""

import threading
import time

from django.db import connection, connections

from workspace.errors import ActionError


def in_another_connection(act):
    """Begins to act in a thread; its answer, or the error it raised, when it has ended."""
    found = []

    def run():
        try:
            found.append(act())
        except ActionError as error:
            found.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def until_it_waits(thread):
    """PostgreSQL knows who waits for a lock; on SQLite a writer waits at its BEGIN, which nobody can see."""
    if connection.vendor != "postgresql":
        thread.join(0.3)
        assert thread.is_alive(), "it did not wait for the writer before it"
        return
    for _ in range(3000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # one transaction sees one picture otherwise
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
        assert thread.is_alive(), "it did not wait for the open transaction"
        time.sleep(0.01)
    raise AssertionError("it never waited")
