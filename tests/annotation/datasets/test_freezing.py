"""Freezing by the worker: nothing to be seen until it is whole, whatever ends it; done again it is done once."""

import json
import os
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.urls import reverse

from annotation.batches.exclusion import exclude_batch
from annotation.datasets import freezing
from annotation.datasets.actions import freeze_dataset
from annotation.datasets.conditions import Conditions
from annotation.datasets.freezing import FREEZE, dataset_of_run, freeze_of_run, freeze_or_queue
from annotation.importing.actions import take_back_import
from annotation.models import Batch, PreferenceDataset
from runs.models import Run
from runs.states import RunState
from runs.worker import run_worker
from tests.annotation.exporting.conftest import ranked_rows
from workspace.errors import ActionError

pytestmark = [pytest.mark.db]
ASKED = {"name": "tea", "new_version": False, "licence": "mit", "description": "", "criteria": (), "batches": None,
         "rounds": (), "purposes": ("normal",), "annotator_kinds": ("person",), "splits": ("train",),
         "conditions": Conditions(until=datetime(2100, 1, 1, tzinfo=UTC))}  # fmt: skip


@pytest.fixture
def large(bring, monkeypatch):
    monkeypatch.setattr(freezing, "FROZEN_AT_ONCE", 5)
    bring(list(ranked_rows(40)), "ranked")


def folders(settings):
    root = settings.DATA_DIR / "datasets"
    return sorted(os.listdir(root)) if root.is_dir() else []


@pytest.mark.django_db
def test_a_run_freezes_what_the_request_would(project, max_, large, settings):
    run = freeze_or_queue(actor=max_, project=project, **ASKED)
    assert isinstance(run, Run) and not PreferenceDataset.objects.exists()
    seen = []
    made = freeze_of_run(run, seen.append)
    at_once = freeze_dataset(actor=max_, project=project, **ASKED | {"name": "at once"})
    assert made.filters == at_once.filters and made.counts == at_once.counts
    assert (made.name, made.licence, made.created_by) == ("tea", "mit", max_)
    assert seen[-1] == made.counts["judgments"]
    # Killed after it was recorded, and begun again: the same one.
    assert freeze_of_run(run, seen.append) == made and PreferenceDataset.objects.count() == 2


@pytest.mark.django_db
def test_what_ends_it_leaves_nothing_and_it_can_be_done_again(project, max_, large, settings):
    run = freeze_or_queue(actor=max_, project=project, **ASKED)

    def stop(judgments):
        raise KeyboardInterrupt

    before = folders(settings)
    with pytest.raises(KeyboardInterrupt):
        freeze_of_run(run, stop)
    assert folders(settings) == before and not PreferenceDataset.objects.exists()
    # What a killed process leaves: a folder in the middle, and one that was never recorded.
    root = settings.DATA_DIR / "datasets"
    for name in (f".{run.parameters['folder']}.partial", run.parameters["folder"]):
        (root / name).mkdir(parents=True)
        (root / name / "judgments-00000.parquet").write_bytes(b"half")
    made = freeze_of_run(run, lambda judgments: None)
    assert made.counts["judgments"] > 0 and run.parameters["folder"] in folders(settings)


@pytest.mark.django_db
def test_a_taken_name_is_refused_before_it_waits(project, max_, large):
    freeze_dataset(actor=max_, project=project, name="tea")
    with pytest.raises(ActionError, match="already"):
        freeze_or_queue(actor=max_, project=project, **ASKED)
    assert not Run.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["excluded", "taken back"])
def test_a_batch_that_goes_while_it_waits_is_refused_and_narrows_nothing(
    project, max_, bring, large, change, settings
):
    """With one of the two the dataset would be another one; with none of them it would be all batches."""
    bring(list(ranked_rows(3)), "ranked", again=True)
    batches = list(Batch.objects.filter(project=project).order_by("pk"))
    assert len(batches) == 2
    run = freeze_or_queue(actor=max_, project=project, **ASKED | {"batches": batches})
    if change == "excluded":
        exclude_batch(actor=max_, batch=batches[1])
    else:
        take_back_import(actor=max_, imported=batches[1].from_import)
    before = folders(settings)
    with pytest.raises(ActionError, match="was taken back or excluded") as refused:
        freeze_of_run(run, lambda judgments: None)
    assert refused.value.code == "no_batch" and f"“{batches[1].name}”" in refused.value.message
    assert folders(settings) == before and not PreferenceDataset.objects.exists()


@pytest.mark.django_db
def test_what_was_recorded_before_a_kill_is_the_dataset_whatever_went_since(project, max_, large):
    batches = list(Batch.objects.filter(project=project))
    run = freeze_or_queue(actor=max_, project=project, **ASKED | {"batches": batches})
    made = freeze_of_run(run, lambda judgments: None)
    exclude_batch(actor=max_, batch=batches[0])
    assert freeze_of_run(run, lambda judgments: None) == made


@pytest.mark.django_db
def test_a_program_is_answered_with_the_run_and_finds_the_dataset_in_its_result(
    project, max_, large, program
):
    call = program(max_, project)
    address = f"projects/{project.slug}"
    asked = {"purposes": ["normal"], "since": "2020-01-01T00:00:00Z", "reuse": True}
    queued = call("POST", f"{address}/datasets", asked, Idempotency_Key="freeze-1")
    assert (queued.status_code, queued.json()["state"], queued.json()["kind"]) == (202, "queued", FREEZE.name)
    again = call("POST", f"{address}/datasets", asked, Idempotency_Key="freeze-1")
    assert (again.status_code, again.json()) == (202, queued.json())
    assert Run.objects.count() == 1 and not PreferenceDataset.objects.exists()
    run = Run.objects.get()
    assert call("GET", f"{address}/runs/{run.pk}").json()["title"] == "Freeze a dataset"
    made = freeze_of_run(run, lambda judgments: None)
    assert made.counts["judgments"] == 40 and "since" in made.filters
    # One more of the same content: the earlier one will do, and is found by way of the result.
    call("POST", f"{address}/datasets", asked)
    second = Run.objects.order_by("pk").last()
    assert dataset_of_run(second) is None
    assert freeze_of_run(second, lambda judgments: None) == made
    second.path.mkdir(parents=True, exist_ok=True)
    (second.path / "result.json").write_text(json.dumps({"dataset": made.pk}))
    assert dataset_of_run(second) == made
    # A small selection is frozen at once, as ever.
    at_once = call("POST", f"{address}/datasets", {"name": "few", "rounds": [99]})
    assert at_once.status_code == 400 and at_once.json()["code"] == "no_judgments"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_form_the_worker_and_the_page(client, project, max_, large, settings, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.child_settings")
    monkeypatch.setenv("TEST_DATABASE_NAME", str(connection.settings_dict["NAME"]))
    settings.RUN_ENVIRONMENT_ALLOWLIST = [*settings.RUN_ENVIRONMENT_ALLOWLIST, "TEST_DATABASE_NAME"]
    settings.RUN_HEARTBEAT_SECONDS = 0.1
    client.force_login(max_)
    asked = {"name": "tea", "annotator_kinds": ["person"], "purposes": ["normal"]}
    answer = client.post(reverse("data:new_dataset", args=[project.slug]), asked)
    run = Run.objects.get(kind=FREEZE.name)
    page = reverse("data:freezing", args=[project.slug, run.pk])
    assert answer["Location"] == page
    assert "It waits for a worker" in client.get(page).content.decode()
    assert page in client.get(reverse("data:datasets", args=[project.slug])).content.decode()
    assert run_worker([FREEZE], once=True, install_signals=False) == 1
    run.refresh_from_db()
    assert run.state == RunState.DONE, run.error
    made = PreferenceDataset.objects.get()
    assert made.counts["judgments"] == 40
    assert client.get(page)["Location"] == reverse("data:dataset", args=[project.slug, made.pk])
    live = client.get(reverse("data:freezing_live", args=[project.slug, run.pk]))
    assert live["HX-Redirect"] == page
