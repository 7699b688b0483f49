"""A site as an operator has it, `manage.py serve` and a worker, and nothing of it here but its address and tokens."""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from roundtable.client import Client, StreamCut

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MAKE_TOKENS = """
import json
from workspace.models import User
from workspace.tokens.actions import create_token
max_ = User.objects.create_user(username="max", password="correct horse battery", is_staff=True)
of = {"actor": max_, "project": None, "scope": "write", "days": 1}
print(json.dumps([create_token(name=role, role=role, **of)[1] for role in ("manager", "annotator")]))
"""


def wait_until(condition, what):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def children(pid):
    """The processes under this one."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in task.read_text().split():
                found += [int(child), *children(int(child))]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Its address, the tokens of a manager and of an annotator, and the process that serves it."""
    folder = tmp_path_factory.mktemp("site")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROUNDTABLE_")}
    environment |= {
        "ROUNDTABLE_DATA_DIR": str(folder), "ROUNDTABLE_SECRET_KEY": "s" * 50,
        "DJANGO_SETTINGS_MODULE": "tests.config.small_site", "ROUNDTABLE_RUN_MIN_FREE_DISK_MB": "0",
    }  # fmt: skip
    started = []

    def manage(*words):
        process = subprocess.Popen(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
            stderr=(folder / f"{words[0]}.err").open("w"),
        )  # fmt: skip
        started.append(process)
        return process

    for words in (["migrate", "--verbosity", "0"], ["collectstatic", "--noinput", "--verbosity", "0"]):
        assert manage(*words).wait() == 0
    said, _ = manage("shell", "--no-imports", "-c", MAKE_TOKENS).communicate()
    tokens = json.loads(said.strip().splitlines()[-1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = manage("serve", "--port", str(port), "--workers", "1")
    manage("worker")

    def answers():
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer,
        ):
            return answer.status == 200

    try:
        wait_until(answers, (folder / "serve.err").read_text)
        yield f"http://127.0.0.1:{port}", *tokens, server
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
                process.wait()


def test_once_round_the_circle_from_outside(site, tmp_path, monkeypatch):
    address, manager, annotator, _ = site
    for name, value in {
        "CIRCLE_SITE": address, "ROUNDTABLE_TOKEN": manager, "CIRCLE_ANNOTATOR_TOKEN": annotator,
        "CIRCLE_FOLDER": str(tmp_path / "kitchen"), "CIRCLE_STEPS": "20", "CIRCLE_PROJECT": "Circle",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    seen = runpy.run_path(str(ROOT / "docs" / "circle_from_outside.py"))
    # Ten topics of four questions, one judgment each.
    assert len({judgment["id"] for judgment in seen["judgments"]}) == 40
    assert seen["table"].num_rows == 40
    assert seen["reward_model"]["dataset"] == seen["dataset"]["id"]
    # Nine of ten judgments preferred the reason.
    assert seen["good"] > seen["curt"]
    assert {path.name for path in (tmp_path / "kitchen").iterdir()} >= {"manifest.json"}


def test_a_server_killed_in_the_middle_of_a_stream_is_told_from_one_that_ended(site, tmp_path):
    """300 pairs of 100 kB: more than the buffers between the processes hold."""
    address, manager, _, server = site
    file = tmp_path / "pairs.jsonl"
    with file.open("w") as lines:
        for number in range(300):
            chosen, rejected = f"{number} " + "a" * 50_000, f"{number} " + "b" * 50_000
            lines.write(json.dumps({"prompt": f"Q{number}?", "chosen": chosen, "rejected": rejected}) + "\n")
    with Client(address, manager) as desk:
        project = desk.project(desk.projects.create(name="Large")["slug"])
        # In pieces of 1 MB, and by the worker.
        upload = project.import_file(file, kind="comparisons", format="trl", progress=False)
        assert upload["state"] == "imported" and upload["size_bytes"] == file.stat().st_size > 30_000_000
        prompts = [tmp_path / f"{name}.jsonl" for name in ("one", "two")]
        for path in prompts:
            path.write_text(json.dumps({"prompt": f"What is {path.stem}?"}) + "\n")
        both = project.import_file(prompts, kind="prompts", format="records", progress=False)
        names = [described["name"] for described in project.imports.get(both["imported"])["files"]]
        assert names == ["one.jsonl", "two.jsonl"]
        assert sum(1 for _ in project.judgments.rows()) == 300
        assert sum(batch.num_rows for batch in project.judgments.rows().batches()) == 300

        def read(rows):
            came = 0
            for row in rows:
                came += getattr(row, "num_rows", 1)
                if came == 1 or hasattr(row, "num_rows"):
                    for pid in children(server.pid):
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)

        with pytest.raises(StreamCut, match="broke off"):
            read(project.judgments.rows())
        # The site comes back by itself, and the client waits for it.
        assert desk.me()["username"] == "max"
