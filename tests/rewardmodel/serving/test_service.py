"""A reward model as a service under a real worker: loaded by the first request, its scorer and its worker killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from rewardmodel.models import Serving
from rewardmodel.serving.kind import SCORERS
from rewardmodel.training.scoring import RewardScorer
from runs.os_processes import end_processes, pids_of_run
from runs.serving.server_process import service_tag
from tests.rewardmodel.serving.conftest import LIMITS
from tests.runs.conftest import until
from workspace.models import AuditEvent

pytestmark = [
    pytest.mark.db,
    pytest.mark.sqlite_only,
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
]

ROOT = Path(__file__).resolve().parents[3]
ASKED = [{"role": "user", "content": "Give me the red ball."}]
SAID = ["Here is the red ball.", "Whatever. Here is the old box."]


@pytest.fixture
def start_worker(tmp_path):
    started = []

    def start(**settings):
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.child_settings",
            "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
            "ROUNDTABLE_DATA_DIR": str(tmp_path),
            "ROUNDTABLE_RUN_LEASE_SECONDS": "6",
            "ROUNDTABLE_RUN_HEARTBEAT_SECONDS": "0.3",
            **{f"ROUNDTABLE_{name}": value for name, value in settings.items()},
        }
        with open(tmp_path / f"worker-{len(started)}.log", "wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "manage.py", "worker", "--kinds", "rewardmodel.score"],
                cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.wait()
    for serving in Serving.objects.all():
        end_processes(service_tag(SCORERS, serving), 10_000, None, "")


def test_a_served_model_outlives_its_scorer_and_its_worker_and_ends_unused(
    start_worker, make_model, folder, project, max_, program, settings, tmp_path
):
    settings.SCORER_WAIT_SECONDS = 150.0
    model = make_model("taste", folder)
    expected = RewardScorer.load(folder, batch=LIMITS).score([ASKED], [SAID])[0]
    call = program(max_, project)

    def score():
        address = f"projects/{project.slug}/reward-models/{model.pk}/score"
        answer = call("POST", address, {"messages": ASKED, "responses": SAID})
        assert answer.status_code == 200, (answer.content, (tmp_path / "worker-0.log").read_text()[-2000:])
        assert answer.json()["rewards"] == pytest.approx(expected, abs=1e-6)

    def serving():
        return Serving.objects.get()

    first = start_worker()
    until(
        lambda: call("GET", f"projects/{project.slug}/reward-models/{model.pk}/serving").json()[
            "worker_alive"
        ]
    )
    score()  # the request that has it loaded
    assert (serving().fence, serving().state) == (1, "ready")
    tag = service_tag(SCORERS, serving())

    os.kill(serving().pid, signal.SIGKILL)
    score()  # waits for the next scorer
    assert serving().fence == 2 and serving().failures == 1

    orphan = serving().pid
    first.kill()
    first.wait()
    score()  # nobody watches the scorer, and it answers
    second = start_worker(SCORER_IDLE_MINUTES="0.02")
    until(lambda: serving().fence == 3)
    until(lambda: orphan not in pids_of_run(tag, 10_000))
    until(lambda: serving().state == "stopped")  # loaded, and used by nobody for 1.2 s
    until(lambda: not pids_of_run(tag, 10_000) and not list((tmp_path / "scorers").iterdir()))
    reason = AuditEvent.objects.get(action="reward_model.serving_stopped").details["reason"]
    assert reason == "unused for 0.02 minutes"

    score()  # loaded again; then the worker is told to leave
    until(lambda: serving().state in ("ready", "stopped"))
    second.send_signal(signal.SIGTERM)
    assert second.wait(120) == 0
    assert not pids_of_run(tag, 10_000) and serving().state in ("waiting", "stopped")
