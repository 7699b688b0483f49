"""A web worker of granian and the server that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.workspace.test_serve import alive, wait_until

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import multiprocessing, os, signal, time

def worker(said):
    # What one that is just starting does when it is asked to end: nothing, with Python's lock in hand.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    from workspace.web_server import web_worker_ends_with_its_server
    web_worker_ends_with_its_server()
    os.write(said, f"{os.getpid()}\\n".encode())
    time.sleep(600)

multiprocessing.get_context("fork").Process(target=worker, args=(1,)).start()
time.sleep(600)
"""


def test_a_web_worker_that_does_not_hear_is_gone_with_its_server():
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        assert alive([worker]) == [worker]
        server.send_signal(signal.SIGKILL)
        server.wait()
        wait_until(lambda: not alive([worker]), "the web worker outlives its server")
    finally:
        server.kill()
        server.stdout.close()
