"""/metrics in the Prometheus format: how the site is used and how its long work goes. No name of a person, no text.

Counts of requests are the web workers' own (workspace.request_records); all else is read from the database when it is
asked for, so that every web worker says the same. Nothing counts a table that grows with judgments: sums of counters,
and rows that an index of open ones has.
"""

import platform
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import django
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_GET
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import InfoMetricFamily as Info
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from annotation.models import Assignment, TaskCount
from rounds.models import Round
from runs.models import Run, Worker
from workspace.database import database_now
from workspace.readiness import check_readiness
from workspace.request_records import REQUESTS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WORKER_ALIVE_SECONDS = 60.0


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """For who sends `Authorization: Bearer` with ROUNDTABLE_METRICS_TOKEN; without that setting there is no page."""
    if not settings.METRICS_TOKEN:
        raise Http404("No such page.")
    if not constant_time_compare(
        request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"
    ):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    requests: CollectorRegistry = REQUESTS
    if settings.METRICS_FOLDER:
        requests = CollectorRegistry()
        MultiProcessCollector(requests, path=settings.METRICS_FOLDER)
    site = CollectorRegistry()
    site.register(SiteCollector())
    return HttpResponse(generate_latest(requests) + generate_latest(site), content_type=CONTENT_TYPE)


class SiteCollector(Collector):
    def describe(self) -> list[Metric]:
        # Otherwise the registry would collect once to learn the names.
        return []

    def collect(self) -> Iterator[Metric]:
        ready = check_readiness()
        yield _one("ready", "1 while the site can serve (/readyz).", not any(ready.values()))
        yield _one("disk_free_bytes", "Room in the data folder.", shutil.disk_usage(settings.DATA_DIR).free)
        info = Info("roundtable_build", "Versions.")
        info.add_metric(
            [], {"version": _version(), "django": django.__version__, "python": platform.python_version()}
        )
        yield info
        up = not ready["database"] and not ready["migrations"]
        if up:
            try:
                # All at once: a database that goes away in the middle leaves no half of it.
                found = [*_annotation(), *_long_work()]
            except (DatabaseError, InterfaceError):
                up = False
            else:
                yield from found
        yield _one("database_up", "1 while the database answers and has this version's tables.", up)


def _one(name: str, about: str, value: float) -> Metric:
    return Gauge(f"roundtable_{name}", about, value=float(value))


def _many(name: str, about: str, labels: list[str], rows: Mapping[Any, float]) -> Metric:
    family = Gauge(f"roundtable_{name}", about, labels=labels)
    for values, number in sorted(rows.items()):
        family.add_metric([*values], float(number))
    return family


def _annotation() -> Iterator[Metric]:
    sums = TaskCount.objects.order_by().values_list("batch__project__slug")
    judged = {(slug,): number for slug, number in sums.annotate(Sum("submitted")) if slug}
    unreserved = sums.filter(annotator_id=0)
    still_open = {(slug,): number for slug, number in unreserved.annotate(Sum("available")) if slug}
    held = Assignment.objects.filter(state=Assignment.State.LEASED).order_by()
    by_project = held.values_list("task__batch__project__slug").annotate(Count("pk"))
    yield _many("judgments", "Judgments in force, by project.", ["project"], judged)
    yield _many("tasks_open", "Tasks that wait for somebody, by project.", ["project"], still_open)
    yield _many(
        "tasks_held", "Tasks that somebody has before them, by project.", ["project"],
        {(slug,): number for slug, number in by_project},
    )  # fmt: skip


def _long_work() -> Iterator[Metric]:
    now = database_now()
    runs = Run.objects.order_by().values_list("kind", "state").annotate(Count("pk"))
    yield _many("runs", "Runs, by kind and state.", ["kind", "state"], {(k, s): n for k, s, n in runs})
    waiting = Run.objects.due().aggregate(number=Count("pk"), since=Min("run_after"))
    yield _one("runs_waiting", "Runs that a worker could take now.", waiting["number"])
    yield _one("runs_waiting_seconds", "How long the oldest of them has waited.", _age(waiting["since"], now))
    stages = Round.objects.order_by().values_list("stage").annotate(Count("pk"))
    yield _many("rounds", "Rounds, by stage.", ["stage"], {(stage,): n for stage, n in stages})
    alive = Worker.objects.alive(WORKER_ALIVE_SECONDS)
    yield _one("workers_alive", f"Workers heard of within {WORKER_ALIVE_SECONDS:g} seconds.", alive.count())
    hosts = Worker.objects.filter(stopped_at__isnull=True).order_by("heartbeat_at")
    seen = {(host,): _age(at, now) for host, at in hosts.values_list("host", "heartbeat_at")}
    yield _many("worker_silent_seconds", "Since the last sign of life of a machine's worker.", ["host"], seen)


def _age(then: datetime | None, now: datetime) -> float:
    return max(0.0, (now - then).total_seconds()) if then else 0.0


def _version() -> str:
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])
