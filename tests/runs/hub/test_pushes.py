"""Pushes as runs: the token goes to one process and is nowhere afterwards; what arrives is the export, to the byte."""

import io
import json
import os
import stat
import time
import zipfile
from pathlib import Path

import pytest
from django.db import connection
from django.urls import reverse

from annotation.datasets.actions import freeze_dataset
from annotation.exporting.actions import export_preferences
from annotation.exporting.pushing import PUSH, push_dataset
from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from maintenance.backups.data_folder import is_left_out
from runs.hub.tokens import PATIENCE_SECONDS, forget_old_tokens, hand_over, take_token
from runs.models import Run
from runs.states import RunState
from runs.worker import run_worker
from tests.annotation.exporting.conftest import bring, ranked_rows, write_rows  # noqa: F401
from tests.runs.hub.fake_hub import TOKEN, FakeHub
from workspace.errors import ActionError
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db]


@pytest.fixture(autouse=True)
def own_data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"


@pytest.fixture
def dataset(project, max_, bring):  # noqa: F811
    bring(list(ranked_rows(20)), "ranked")
    return freeze_dataset(actor=max_, project=project, name="tea", licence="CC-BY-4.0")


def everything_on_disk(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_worker_pushes_what_an_export_writes(
    client, project, max_, dataset, settings, monkeypatch, tmp_path
):
    client.force_login(max_)
    page = reverse("data:push_dataset", args=[project.slug, dataset.pk])
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.child_settings")
        monkeypatch.setenv("ROUNDTABLE_DATA_DIR", str(settings.DATA_DIR))
        monkeypatch.setenv("TEST_DATABASE_NAME", str(connection.settings_dict["NAME"]))
        settings.RUN_ENVIRONMENT_ALLOWLIST = [*settings.RUN_ENVIRONMENT_ALLOWLIST, "TEST_DATABASE_NAME"]
        settings.RUN_HEARTBEAT_SECONDS = 0.1
        asked = {"repository": "kitchen/tea", "format": "trl", "token": TOKEN, "push": ""}
        answer = client.post(page, asked, follow=True)
        run = Run.objects.get(kind=PUSH.name)
        assert answer.status_code == 200 and "It waits for a worker" in answer.content.decode()
        assert TOKEN not in answer.content.decode()
        assert run_worker([PUSH], once=True, install_signals=False) == 1
    run.refresh_from_db()
    assert run.state == RunState.DONE, run.error
    export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format="trl")
    there = hub.repositories["datasets/kitchen/tea"]
    expected = everything_on_disk(tmp_path / "out")
    assert there.files == {path.relative_to(tmp_path / "out").as_posix(): c for path, c in expected.items()}
    assert there.visibility == "private"
    result = RunDirectory(run.path).result()
    assert result["files"] == [
        {"name": name, "bytes": len(content)} for name, content in sorted(there.files.items())
    ]
    text = client.get(page).content.decode()
    assert f"{hub.address}/datasets/kitchen/tea" in text and "README.md" in text
    # Not in a file, a row or an audit entry.
    assert not [
        path for path, content in everything_on_disk(settings.DATA_DIR).items() if TOKEN.encode() in content
    ]
    assert TOKEN not in json.dumps([run.config, run.parameters, run.title, run.error])
    assert not [event for event in AuditEvent.objects.all() if TOKEN in str(vars(event))]
    assert not (run.path / "to_send").exists()


@pytest.mark.django_db
def test_a_list_of_what_would_go_needs_no_token(project, max_, dataset, settings):
    run = push_dataset(
        actor=max_, dataset=dataset, repository="kitchen/tea", dry_run=True, token=TOKEN, format="csv"
    )
    assert run.parameters == {
        "dataset": dataset.pk, "options": {"format": "csv"}, "repository": "kitchen/tea", "public": False,
        "dry_run": True, "site_token": False,
    }  # fmt: skip
    assert not (settings.DATA_DIR / "handover").exists()


@pytest.mark.django_db
def test_what_cannot_be_pushed_is_refused_before_it_waits(project, max_, dataset, settings):
    for wrong, said in (
        ({"repository": "tea"}, "owner/name"),
        ({"repository": "kitchen/.."}, "owner/name"),
        ({"repository": "kitchen/tea", "token": "two words"}, "A token is one word"),
        ({"repository": "kitchen/tea", "format": "csv", "files": "parquet"}, "written as csv"),
    ):
        with pytest.raises(ActionError, match=said) as caught:
            push_dataset(actor=max_, dataset=dataset, **wrong)
        assert "two words" not in str(caught.value)
    assert not Run.objects.exists()
    assert not everything_on_disk(settings.DATA_DIR / "handover")


@pytest.mark.django_db
def test_a_token_is_read_once_and_lies_an_hour_at_most(project, max_, dataset, settings):
    def queued():
        return push_dataset(actor=max_, dataset=dataset, repository="kitchen/tea", token=TOKEN)

    run = queued()
    [file] = (settings.DATA_DIR / "handover").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.read_text() == TOKEN
    assert is_left_out(file.relative_to(settings.DATA_DIR))
    assert take_token(run) == TOKEN
    assert not file.exists()
    with pytest.raises(UserError, match="There is no token"):
        take_token(run)
    # The site's is not for a push that came with a token of its own.
    settings.HUB_TOKEN, settings.HUB_REPOSITORIES = "hf_of_the_site", ["kitchen/*"]
    with pytest.raises(UserError, match="There is no token"):
        take_token(run)

    late = queued()
    [file] = (settings.DATA_DIR / "handover").iterdir()
    old = time.time() - PATIENCE_SECONDS - 1
    os.utime(file, (old, old))
    with pytest.raises(UserError, match="longer than an hour"):
        take_token(late)
    assert not file.exists()
    hand_over(late, TOKEN)
    os.utime(file, (old, old))
    forget_old_tokens()
    assert not file.exists()


@pytest.mark.django_db
def test_the_sites_token_is_for_the_repositories_that_operators_name(
    client, project, max_, dataset, settings
):
    settings.HUB_TOKEN = "hf_of_the_site"
    client.force_login(max_)
    page = reverse("data:push_dataset", args=[project.slug, dataset.pk])
    asked = {"repository": "kitchen/tea", "format": "trl", "push": ""}
    for patterns in ([], ["other/*", "Kitchen/tea", "tea"]):
        settings.HUB_REPOSITORIES = patterns
        answer = client.post(page, asked)
        [sentence] = answer.context["form"].errors["token"]
        assert answer.status_code == 422 and "ROUNDTABLE_HUB_REPOSITORIES" in sentence
        by_program = client.post(
            f"/api/v1/projects/{project.slug}/datasets/{dataset.pk}/push",
            {"repository": "kitchen/tea"},
            content_type="application/json",
            headers={"Idempotency-Key": str(patterns)},
        )
        assert (by_program.status_code, by_program.json()["code"]) == (400, "token_needed")
        # What needs no token, and a token of one's own, are not limited.
        push_dataset(actor=max_, dataset=dataset, repository="kitchen/tea", dry_run=True)
        push_dataset(actor=max_, dataset=dataset, repository="kitchen/tea", token=TOKEN)
    settings.HUB_REPOSITORIES = ["other/*", "kitchen/t*"]
    assert "for other/*, kitchen/t*" in client.get(page).content.decode()
    assert client.post(page, asked).status_code == 302
    run = Run.objects.latest("pk")
    assert take_token(run) == "hf_of_the_site"
    # As the worker's machine has it when the run begins.
    settings.HUB_REPOSITORIES = []
    with pytest.raises(UserError, match="There is no token"):
        take_token(run)


@pytest.mark.django_db
def test_the_command_lists_and_pushes(project, max_, dataset, monkeypatch, tmp_path, capsys, settings):
    from django.core.management import CommandError, call_command

    words = ("push_dataset", "kitchen", "tea", "kitchen/tea", "--format", "records")
    call_command(*words, "--dry-run")
    listed = capsys.readouterr().out
    assert "manifest.json" in listed and "would be sent to kitchen/tea." in listed
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(CommandError, match="There is no token"):
        call_command(*words)
    settings.HUB_TOKEN = "hf_of_the_site"
    with pytest.raises(CommandError, match="may not be used for kitchen/tea"):
        call_command(*words)
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        call_command(*words, "--public", "--token-file", str(tmp_path / "token"))
    out = capsys.readouterr().out
    assert f"were sent to {hub.address}/datasets/kitchen/tea." in out and TOKEN not in out
    assert hub.repositories["datasets/kitchen/tea"].visibility == "public"
    assert not everything_on_disk(settings.DATA_DIR / "downloads")
    assert AuditEvent.objects.filter(action="hub.push", target_id=str(dataset.pk)).count() == 1


@pytest.mark.django_db
def test_the_archive_by_the_api_is_that_of_the_page(client, project, max_, dataset):
    client.force_login(max_)
    page = client.get(reverse("data:dataset_archive", args=[project.slug, dataset.pk]), {"format": "trl"})
    answer = client.get(f"/api/v1/projects/{project.slug}/datasets/{dataset.pk}/archive?format=trl")
    assert answer.getvalue() == (content := page.getvalue())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert any(name.endswith("README.md") for name in archive.namelist())
