"""Datasets of the hub: only those an operator names, fetched by a worker, looked at and imported as files are."""

import json

import pytest
from django.db import connection
from django.urls import reverse

from annotation.importing.uploads.actions import UploadRefused
from annotation.importing.uploads.hub import FETCH, execute_fetch
from annotation.importing.uploads.run_kinds import RUN_KINDS
from annotation.models import Import, Judgment, Upload
from runs.hub.tokens import FOLDER
from runs.models import Run
from runs.states import RunState
from runs.worker import run_worker
from tests.annotation.importing.uploads.reading_hub import ReadingHub
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db]
CARD = b"""---
configs:
- config_name: tea
  data_files:
  - split: train
    path: tea/train.jsonl
  - split: test
    path: tea/test.jsonl
- config_name: soup
  data_files: soup.jsonl
---
"""
TOKEN = "hf_TokenOfNobodyAtAll"


def lines(names):
    rows = [{"prompt": f"{name}?", "chosen": f"{name} yes", "rejected": f"{name} no"} for name in names]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


FILES = {
    "kitchen/pairs": {
        "README.md": CARD,
        "tea/train.jsonl": lines("ab"),
        "tea/test.jsonl": lines("c"),
        "soup.jsonl": lines("d"),
    },
    "kitchen/large": {"train.jsonl": lines(["x" * 600_000])},
}


@pytest.fixture
def allowed(settings, client, max_, project, criterion):
    settings.HUB_DATASETS = ["kitchen/*"]
    client.force_login(max_)


@pytest.fixture
def fetch(client, project):
    def fetch(dataset="kitchen/pairs", **values):
        address = reverse("data:fetch_dataset", args=[project.slug])
        return client.post(address, {"dataset": dataset} | values)

    return fetch


@pytest.fixture
def workers(monkeypatch, settings):
    """A worker whose processes find the hub; called, it does what is queued."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.child_settings")
    monkeypatch.setenv("TEST_DATABASE_NAME", str(connection.settings_dict["NAME"]))
    monkeypatch.setenv("ROUNDTABLE_HUB_DATASETS", "kitchen/*")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    settings.RUN_ENVIRONMENT_ALLOWLIST = [*settings.RUN_ENVIRONMENT_ALLOWLIST, "TEST_DATABASE_NAME"]
    settings.RUN_HEARTBEAT_SECONDS = 0.1

    def work():
        while Run.objects.due().exists():
            run_worker([FETCH, *RUN_KINDS], once=True, install_signals=False)

    return work


@pytest.mark.django_db
def test_without_an_operators_word_there_is_no_form_and_nothing_is_fetched(
    client, max_, project, criterion, fetch, program
):
    client.force_login(max_)
    page = client.get(reverse("data:new_upload", args=[project.slug]))
    assert page.context["hub"] is None and "Hugging Face" not in page.content.decode()
    assert fetch().status_code == 422
    answer = program(max_, project)("POST", "projects/kitchen/uploads/from-hub", {"dataset": "kitchen/pairs"})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_allowed")
    assert not Upload.objects.exists() and not Run.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"dataset": "others/pairs"}, "ROUNDTABLE_HUB_DATASETS"),
        ({"dataset": "kitchen/../secrets"}, "is written owner/name"),
        ({"dataset": "/etc/passwd"}, "is written owner/name"),
        ({"dataset": "kitchen"}, "is written owner/name"),
        ({"config": "--out"}, "is no name of a config"),
        ({"config": "a b"}, "is no name of a config"),
        ({"splits": "train, te st"}, "is no name of a split"),
        ({"revision": "-x"}, "is no name of a revision"),
        ({"token": "two words"}, "A token is one word"),
    ],
)
def test_what_is_not_allowed_or_no_name_is_refused(allowed, fetch, asked, said):
    answer = fetch(**asked)
    assert answer.status_code == 422 and said in answer.content.decode()
    assert not Upload.objects.exists() and not Run.objects.exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_dataset_is_fetched_looked_at_and_imported(
    allowed, fetch, workers, client, project, post, monkeypatch, settings
):
    with ReadingHub(FILES, token=TOKEN) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        answer = fetch(config="tea", token=TOKEN)
        upload = Upload.objects.get()
        page = reverse("data:upload", args=[project.slug, upload.public_id])
        assert answer["Location"] == page
        assert "It waits for a worker" in client.get(page).content.decode()
        assert list((settings.DATA_DIR / FOLDER).iterdir())
        workers()
        run = Run.objects.get()
        assert run.state == RunState.DONE, run.error
    # The token is nowhere any more, and never was in a row.
    assert not list((settings.DATA_DIR / FOLDER).iterdir())
    kept = [str(run.parameters), str(list(AuditEvent.objects.values_list("details", flat=True)))]
    kept += [path.read_text(errors="replace") for path in run.path.rglob("*") if path.is_file()]
    assert not any(TOKEN in text for text in kept)
    upload.refresh_from_db()
    assert (upload.state, upload.run) == ("complete", None) and upload.size_bytes > 100
    assert [path.name for path in upload.folder.iterdir()] == ["kitchen--pairs"]
    _, text = post(upload, what="comparisons/trl")
    assert "a yes" in text and upload.settings["kind"] == "comparisons"
    post(upload, "import")
    imported = Import.objects.get()
    names = [
        "kitchen--pairs/train/data-00000-of-00001.arrow",
        "kitchen--pairs/test/data-00000-of-00001.arrow",
    ]
    assert sorted(file["name"] for file in imported.files) == sorted(names)
    splits = Judgment.objects.current().values_list("task__prompt__split", flat=True)
    assert sorted(splits) == ["test", "train", "train"]
    assert not upload.folder.exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_fetched_is_one_sentence_and_leaves_nothing(
    allowed, fetch, workers, client, project, monkeypatch, settings, program, max_
):
    with ReadingHub(FILES) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        call = program(max_, project)
        made = call("POST", "projects/kitchen/uploads/from-hub", {"dataset": "kitchen/nothing"}).json()
        assert (made["state"], made["hub"]["dataset"]) == ("receiving", "kitchen/nothing")
        fetch(config="bread")
        fetch("kitchen/large")
        monkeypatch.setenv("ROUNDTABLE_UPLOAD_MAX_MB", "1")
        workers()
        errors = {run.title: (run.state, run.error) for run in Run.objects.all()}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fetch("kitchen/offline")
    workers()
    errors |= {run.title: (run.state, run.error) for run in Run.objects.all()}
    assert {state for state, _ in errors.values()} == {RunState.USER_ERROR}, errors
    assert (
        "could not be fetched from the hub: Dataset 'kitchen/nothing' doesn't exist"
        in errors["Fetch kitchen/nothing"][1]
    )
    assert "BuilderConfig 'bread' not found" in errors["Fetch kitchen/pairs"][1]
    assert "could not be fetched from the hub" in errors["Fetch kitchen/offline"][1]
    assert "kitchen/large has 2 MB or more, and 1 MB at most are taken" in errors["Fetch kitchen/large"][1]
    for upload in Upload.objects.all():
        assert upload.state == "receiving" and not upload.folder.exists()
        page = reverse("data:upload", args=[project.slug, upload.public_id])
        assert "Nothing of it is here" in client.get(page).content.decode()
        client.post(reverse("data:remove_upload", args=[project.slug, upload.public_id]))
    assert not Upload.objects.exists()


@pytest.mark.django_db
def test_what_is_not_allowed_any_more_is_not_fetched(allowed, fetch, settings):
    fetch()
    settings.HUB_DATASETS = []

    class SiteRun:
        run = Run.objects.get()
        stop_requested = False

    with pytest.raises(UploadRefused, match="none of the hub's datasets"):
        execute_fetch(SiteRun())
    assert not Upload.objects.get().folder.exists()
