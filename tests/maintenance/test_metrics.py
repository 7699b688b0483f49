"""/metrics: only for who has the token, numbers that agree with the rows, the same from every web worker."""

import os
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from runs.models import Run, Worker

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-the-tests"


@pytest.fixture
def scrape(client, settings):
    settings.METRICS_TOKEN = TOKEN
    client.handler.load_middleware()

    def ask():
        answer = client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}

    return ask


def test_without_a_token_in_the_settings_there_is_no_page_and_a_wrong_one_is_refused(client, settings):
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = TOKEN
    for header in ("", TOKEN, "Bearer ", "Bearer wrong", f"Basic {TOKEN}"):
        assert client.get("/metrics", HTTP_AUTHORIZATION=header).status_code == 401
    assert client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status_code == 200


def test_requests_are_counted_by_page_and_status(client, ada, project, scrape):
    def number(**labels):
        return scrape().get(("roundtable_http_requests_total", *sorted(labels.items())), 0.0)

    overview = {"method": "GET", "route": "annotation:overview", "status": "200"}
    unknown = {"method": "GET", "route": "none", "status": "404"}
    before = number(**overview), number(**unknown)
    client.force_login(ada)
    for _ in range(3):
        client.get("/projects/kitchen/annotate/")
    client.get("/no-such-page")
    assert (number(**overview), number(**unknown)) == (before[0] + 3, before[1] + 1)
    text = client.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").content.decode()
    assert 'roundtable_http_request_seconds_count{route="annotation:overview"}' in text
    assert "ada" not in text.replace("readable", "")


def test_long_work_is_counted_by_kind_state_and_age(project, max_, scrape):
    now = timezone.now()
    make = {"project": project, "title": "x", "config": {}, "requested_by": max_}
    for minutes in (1, 10):
        Run.objects.create(kind="ppo", run_after=now - timedelta(minutes=minutes), **make)
    Run.objects.create(kind="ppo", run_after=now + timedelta(hours=1), **make)
    Run.objects.create(kind="sft", state="failed", error="why", finished_at=now, **make)
    for name, seconds in (("young", 5), ("old", 500)):
        Worker.objects.create(
            name=name, host=f"machine-{name}", pid=1, kinds=[], heartbeat_at=now - timedelta(seconds=seconds)
        )
    found = scrape()
    assert found["roundtable_runs", ("kind", "ppo"), ("state", "queued")] == 3
    assert found["roundtable_runs", ("kind", "sft"), ("state", "failed")] == 1
    assert found["roundtable_runs_waiting",] == 2
    assert 600 <= found["roundtable_runs_waiting_seconds",] < 6000
    assert found["roundtable_workers_alive",] == 1
    assert 500 <= found["roundtable_worker_silent_seconds", ("host", "machine-old")] < 5000
    assert found["roundtable_database_up",] == 1
    assert found["roundtable_disk_free_bytes",] > 0


def test_web_workers_count_together(tmp_path):
    """Two processes, as web workers are, and a third that is asked."""
    count = "from workspace.request_records import REQUEST_COUNT as c\nc.labels('GET', 'page', 200).inc(2)\n"
    ask = (
        "from prometheus_client import CollectorRegistry, generate_latest\n"
        "from prometheus_client.multiprocess import MultiProcessCollector\n"
        "r = CollectorRegistry(); MultiProcessCollector(r); print(generate_latest(r).decode())"
    )
    environment = {
        **os.environ,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    run = partial(subprocess.run, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    said = [run([sys.executable, "-c", code]) for code in (count, count, ask)][-1].stdout
    assert 'roundtable_http_requests_total{method="GET",route="page",status="200"} 4.0' in said
