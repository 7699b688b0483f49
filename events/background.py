"""Deliveries beside the worker's own work: a receiver that does not answer holds up no round and no run."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, close_old_connections, connections

from events.delivery import deliver_to, due_webhooks

logger = logging.getLogger(__name__)

MAX_AT_ONCE = 4  # receivers

_running: threading.Thread | None = None


def deliver_in_background() -> None:
    """Start to send what is due, unless the last call is still at it. Each receiver has a thread of its own, so that
    one that is slow holds up no other.
    """
    global _running
    if _running is not None and _running.is_alive():
        return
    due = list(due_webhooks().values_list("pk", flat=True))
    if due:
        # No daemon: a worker that leaves ends the request under way first, and begins no other.
        _running = threading.Thread(target=_deliver, args=[due], name="webhooks")
        _running.start()


def _deliver(due: list[int]) -> None:
    with ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="webhook") as pool:
        for result in [pool.submit(_deliver_to, key) for key in due]:
            result.result()


def _deliver_to(key: int) -> None:
    try:
        close_old_connections()
        deliver_to(key, stop=lambda: not threading.main_thread().is_alive())
    except DatabaseError as error:
        logger.warning("webhook %s: the database does not answer (%s)", key, error)
    except Exception:
        # Another webhook's deliveries go on; the next tick tries this one again.
        logger.exception("webhook %s: its delivery failed", key)
    finally:
        connections.close_all()
