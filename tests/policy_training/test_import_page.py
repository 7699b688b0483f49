"""A policy imported by page or program: what an operator's settings name, and nothing else of machine or network."""

import errno
import json
import os
from pathlib import Path

import pytest
from django.urls import reverse

from policy_training.imports import hub_models, preparation
from policy_training.imports.allowed_models import allowed_folders, require_allowed
from policy_training.imports.execution import import_by_run
from policy_training.imports.preparation import NotAPolicy
from policy_training.models import Policy
from runs.models import Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def offered(tmp_path, settings, monkeypatch):
    """A folder with two models, and one that lies elsewhere, with links to it."""
    monkeypatch.setattr(
        preparation, "run_preparation", lambda request: {"folder": request["folder"], "architecture": "llama"}
    )
    offered, elsewhere = tmp_path / "offered", tmp_path / "elsewhere" / "secret"
    for folder in (offered / "owner" / "large", offered / "small", elsewhere):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
        (folder / "model.safetensors").write_text(folder.name)
        (folder / "tokenizer.json").write_text("{}")
    (offered / "link").symlink_to(elsewhere)
    settings.DATA_DIR = tmp_path / "data"
    settings.MODEL_FOLDERS = [str(offered)]
    settings.HUB_MODELS = ["owner/*"]
    return offered


def test_only_what_the_settings_name_is_offered_and_let_in(offered, settings, tmp_path):
    assert allowed_folders() == [str(offered / "owner" / "large"), str(offered / "small")]
    for good in (str(offered / "small"), "hub:owner/model"):
        require_allowed(good)
    elsewhere = tmp_path / "elsewhere" / "secret"
    for bad in (
        str(elsewhere), str(offered / ".." / "elsewhere" / "secret"), str(offered / "link"), str(offered), "small",
        str(offered / "missing"), "/etc", "", f"/{'x' * 300}", str(offered / ("x" * 300)), f"{offered}/small\0",
        "hub:other/model", "hub:../x", "hub:owner", "hub:owner/a/b",
    ):  # fmt: skip
        with pytest.raises(NotAPolicy):
            require_allowed(bad)
    settings.MODEL_FOLDERS, settings.HUB_MODELS = [], []
    assert allowed_folders() == []
    for bad in (str(offered / "small"), "hub:owner/model"):
        with pytest.raises(NotAPolicy, match="ask an operator"):
            require_allowed(bad)


def test_a_folder_that_cannot_be_read_is_passed_over(offered, monkeypatch):
    closed = offered / "owner" / "closed"
    closed.mkdir()
    real = Path.stat

    def stat(self, **options):
        # What the system says of all that lies in a folder without the right to enter it.
        if closed in self.parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return real(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert allowed_folders() == [str(offered / "owner" / "large"), str(offered / "small")]
    with pytest.raises(NotAPolicy, match="cannot be read: Permission denied"):
        preparation.prepare_policy(
            path=closed, name="closed", base=None, chat_template_kwargs={}, own_tokenizer=False
        )


@pytest.fixture
def address(project):
    return reverse("policies:import", args=[project.slug])


def test_a_folder_is_queued_by_the_page_and_imported_by_the_run_once(
    client, offered, project, max_, address, monkeypatch
):
    client.force_login(max_)
    sent = {"name": "small", "folder": str(offered / "small"), "chat_template_kwargs": "thinking=false\n"}
    answer = client.post(address, sent)
    run = Run.objects.get()
    assert answer.url == reverse("runs:run", args=[project.slug, run.pk]) and run.kind == "policy.import"
    assert run.parameters["chat_template_kwargs"] == {"thinking": False}
    policy = import_by_run(run)
    assert import_by_run(run) == policy == Policy.objects.get()
    assert policy.artifact.absolute_path.is_relative_to(offered.parent / "data")
    assert (policy.artifact.absolute_path / "model.safetensors").read_text() == "small"
    assert policy.report["imported"]["path"] == str(offered / "small")
    answer = client.post(address, sent)
    assert "already" in answer.context["form"].errors["name"][0]


def test_what_was_allowed_when_it_was_asked_for_must_still_be(client, offered, max_, address, settings):
    client.force_login(max_)
    client.post(address, {"name": "small", "folder": str(offered / "small")})
    settings.MODEL_FOLDERS = []
    with pytest.raises(NotAPolicy, match="ask an operator"):
        import_by_run(Run.objects.get())
    assert not Policy.objects.exists()


def test_a_model_of_the_hub_and_its_commit(client, offered, max_, address, monkeypatch):
    asked = []

    def download(hub_id, revision):
        asked.append((hub_id, revision))
        return offered / "small", hub_models.HubModel(model=hub_id, commit="c" * 40, revision=revision)

    monkeypatch.setattr(hub_models, "download", download)
    client.force_login(max_)
    client.post(address, {"name": "theirs", "hub_model": "owner/model", "revision": "v2"})
    policy = import_by_run(Run.objects.get())
    assert asked == [("owner/model", "v2")]
    assert policy.report["imported"]["hub"]["policy"]["commit"] == "c" * 40


@pytest.mark.parametrize(
    "sent",
    [
        {"hub_model": "stranger/model"},
        {"folder": "/etc"},
        {"base": "/etc"},
        {"base": f"/{'x' * 300}"},
        {"folder": None},
        {"hub_model": "owner/model"},
        {"chat_template_kwargs": "no equals sign"},
    ],
)
def test_what_is_not_allowed_is_refused_at_once(client, offered, max_, address, sent):
    client.force_login(max_)
    given = {"name": "x", "folder": str(offered / "small")} | sent
    if "stranger/model" in given.values():
        del given["folder"]
    answer = client.post(address, {name: value for name, value in given.items() if value is not None})
    assert answer.status_code == 422 and answer.context["form"].errors and not Run.objects.exists()


def test_an_adapters_own_base_is_no_way_round(client, offered, max_, address, tmp_path):
    adapter = offered / "adapter"
    adapter.mkdir()
    named = {"base_model_name_or_path": str(tmp_path / "elsewhere" / "secret")}
    (adapter / "adapter_config.json").write_text(json.dumps(named))
    client.force_login(max_)
    client.post(address, {"name": "x", "folder": str(adapter)})
    with pytest.raises(NotAPolicy, match="none of the folders"):
        import_by_run(Run.objects.get())


def test_where_nothing_is_offered_the_page_says_who_can_offer_something(client, max_, address):
    client.force_login(max_)
    assert "ROUNDTABLE_MODEL_FOLDERS" in client.get(address).content.decode()
