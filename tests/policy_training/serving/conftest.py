"""A policy of random weights on record, in DATA_DIR, and workers that serve it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from annotation.models import Source
from policy_training.models import Policy, PolicyServing
from policy_training.serving.kind import POLICY_SERVERS
from runs.artifacts import hash_path, relative_to_data_dir
from runs.models import Artifact
from runs.os_processes import end_processes
from runs.serving.server_process import service_tag
from tests.rewardmodel.training.conftest import make_policy, policy_path, tokenizer  # noqa: F401

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def own_data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def make_served_policy(project, policy_path, tmp_path):  # noqa: F811
    def make(name):
        folder = tmp_path / "models" / name
        shutil.copytree(policy_path, folder)
        found = hash_path(folder)
        artifact = Artifact.objects.create(
            project=project,
            kind="policy",
            path=relative_to_data_dir(folder),
            sha256=found.sha256,
            size_bytes=found.size_bytes,
        )
        source = Source.objects.create(project=project, kind="policy", name=name)
        return Policy.objects.create(project=project, name=name, artifact=artifact, source=source)

    return make


@pytest.fixture
def start_worker(tmp_path):
    started = []

    def start(**settings):
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.child_settings",
            "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
            "ROUNDTABLE_DATA_DIR": str(tmp_path),
            # On a machine with much to do a worker comes late; with a lapsed lease it starts its servers anew, and a
            # server that nobody asked for twice as long has ended. No test here is about either.
            "ROUNDTABLE_RUN_LEASE_SECONDS": "300",
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
    for serving in PolicyServing.objects.all():
        end_processes(service_tag(POLICY_SERVERS, serving), 10_000, None, "")


@pytest.fixture
def stand_in(tmp_path):
    from tests.policy_training.serving.stand_in import StandIn

    found = StandIn()
    found.server.announce(tmp_path, "127.0.0.1")
    yield found
    found.close()
