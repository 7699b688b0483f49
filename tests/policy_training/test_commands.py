"""A mistake on the command line is one sentence on stderr and exit code 2; nothing is half-written."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from policy_training.imports import hub_models, preparation
from policy_training.models import Policy
from runs.artifacts import hash_path
from runs.models import Artifact, Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def refused(*arguments) -> str:
    with pytest.raises(CommandError) as caught:
        call_command(*arguments)
    assert caught.value.returncode == 2
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A policy's folder by its files; the process that looks into it only says yes here."""
    monkeypatch.setattr(
        preparation, "run_preparation", lambda request: {"folder": request["folder"], "architecture": "llama"}
    )
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


def test_a_folder_becomes_a_policy_with_its_hash_whose_files_are_the_projects_own(
    project, folder, tmp_path_factory, settings
):
    settings.DATA_DIR = tmp_path_factory.mktemp("data")
    (folder / "optimizer.pt").write_bytes(b"what no model needs")
    call_command("import_policy", "kitchen", "mine", str(folder), verbosity=0)
    policy = Policy.objects.get(name="mine")
    copy = policy.artifact.absolute_path
    assert copy.parent == settings.DATA_DIR / "models" and not policy.artifact.path.startswith("/")
    assert {path.name for path in copy.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    assert policy.artifact.sha256 == hash_path(copy).sha256
    assert policy.source.name == "mine" and policy.report["imported"]["path"] == str(folder)
    # What becomes of the original is nothing to it.
    (folder / "model.safetensors").unlink()
    assert (copy / "model.safetensors").read_bytes() == b"weights" and not policy.artifact.is_missing


def test_a_large_model_may_stay_where_it_is_and_its_absence_is_said_where_policies_are_listed(
    project, folder, tmp_path_factory, settings, max_, client
):
    settings.DATA_DIR = tmp_path_factory.mktemp("data")
    call_command("import_policy", "kitchen", "mine", str(folder), "--in-place", verbosity=0)
    policy = Policy.objects.get(name="mine")
    assert policy.artifact.absolute_path == folder and not (settings.DATA_DIR / "models").exists()
    client.force_login(max_)
    pages = [reverse("rounds:list", args=["kitchen"]), reverse("rounds:start", args=["kitchen"])]
    assert all(b"iles missing" not in client.get(page).content for page in pages)
    for path in folder.iterdir():
        path.unlink()
    assert all(b"iles missing" in client.get(page).content for page in pages)


def test_the_process_that_looks_into_a_model_knows_none_of_the_sites_secrets(monkeypatch, tmp_path, settings):
    seen = tmp_path / "seen"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nenv > {seen}\necho \'{{"folder": "x"}}\' > "$4"\n')
    program.chmod(0o700)
    monkeypatch.setattr(preparation.sys, "executable", str(program))
    for name in (
        "ROUNDTABLE_SECRET_KEY",
        "ROUNDTABLE_DATABASE_URL",
        "ROUNDTABLE_HUB_TOKEN",
        "HF_TOKEN",
        "OTHER",
    ):
        monkeypatch.setenv(name, "a-secret")
    monkeypatch.setenv("HF_HOME", "/models")
    settings.RUN_ENVIRONMENT_ALLOWLIST = ["OTHER"]
    assert preparation.run_preparation({"folder": "x"}) == {"folder": "x"}
    known = dict(line.partition("=")[::2] for line in seen.read_text().splitlines())
    assert [name for name, value in known.items() if value == "a-secret"] == ["OTHER"]
    assert (known["HF_HOME"], known["HF_HUB_OFFLINE"], "PATH" in known) == ("/models", "1", True)


@pytest.fixture
def unknown_folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "brontosaurus"}))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


def test_what_the_real_process_refuses_is_one_sentence_and_leaves_nothing(project, unknown_folder):
    said = refused("import_policy", "kitchen", "mine", str(unknown_folder))
    assert said.endswith("its architecture 'brontosaurus' is not known here.")
    assert not Policy.objects.exists() and not Artifact.objects.exists()


def test_values_for_the_template_an_adapter_and_its_base_reach_the_process(
    project, folder, tmp_path, monkeypatch, settings
):
    settings.DATA_DIR = tmp_path / "data"
    requests = []

    def answer(request):
        requests.append(request)
        out = Path(request["out"])
        out.mkdir(parents=True)
        (out / "config.json").write_text("{}")
        return {"folder": request["out"], "template_date": request["date"], "base": request["base"]}

    monkeypatch.setattr(preparation, "run_preparation", answer)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)}))
    call_command(
        "import_policy", "kitchen", "mine", str(adapter),
        "--chat-template-kwargs", "enable_thinking=false", "tone=dry", verbosity=0,
    )  # fmt: skip
    (request,) = requests
    assert (request["folder"], request["base"]) == (str(adapter), str(folder))
    assert request["chat_template_kwargs"] == {"enable_thinking": False, "tone": "dry"}
    imported = Policy.objects.get(name="mine").report["imported"]
    assert imported["template_date"] == request["date"] and imported["path"] == str(adapter)
    # The same again is known by its content, and the second copy is gone.
    assert "the policy “mine” already" in refused("import_policy", "kitchen", "again", str(adapter))
    assert len(list((settings.DATA_DIR / "models").iterdir())) == 1
    assert "no adapter" in refused("import_policy", "kitchen", "x", str(folder), "--base", str(folder))


@pytest.mark.parametrize(
    ("missing", "word"),
    [("tokenizer.json", "tokenizer"), ("model.safetensors", "safetensors"), ("config.json", "config")],
)
def test_a_policy_folder_that_lacks_something_is_refused_and_says_what(project, folder, missing, word):
    (folder / missing).unlink()
    assert word in refused("import_policy", "kitchen", "mine", str(folder))
    assert not Policy.objects.exists()
    assert not Artifact.objects.exists()


def test_a_missing_folder_an_unknown_project_and_a_taken_name_are_refused(project, folder, tmp_path):
    assert "not a folder" in refused(
        "import_policy", "kitchen", "mine", str(tmp_path / "no" / "such" / "place")
    )
    assert "kitchen" in refused("import_policy", "kitchn", "mine", str(folder))
    call_command("import_policy", "kitchen", "mine", str(folder), verbosity=0)
    assert "already" in refused("import_policy", "kitchen", "mine", str(folder))


@pytest.mark.parametrize("source", ["models/llama", "../x", "owner/name/deep", "../../etc/x"])
def test_a_misspelt_folder_is_not_asked_for_at_the_hub(project, monkeypatch, source):
    monkeypatch.setattr(hub_models, "download", lambda *asked: pytest.fail(f"the hub was asked for {asked}"))
    assert "is not a folder" in refused("import_policy", "kitchen", "mine", source)


def test_where_a_name_could_be_the_hubs_the_sentence_says_how_to_ask_for_it(project, tmp_path):
    assert "for the model of this name of the hub write hub:models/llama" in refused(
        "import_policy", "kitchen", "mine", "models/llama"
    )
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
    assert "write --base hub:owner/base" in refused("import_policy", "kitchen", "mine", str(tmp_path))
    for wrong in ("hub:", "hub:llama", "hub:../x", "hub:a/b/c"):
        assert "is written hub:owner/model" in refused("import_policy", "kitchen", "mine", wrong)
    assert "--revision is of a model of the hub" in refused(
        "import_policy", "kitchen", "mine", str(tmp_path), "--revision", "main"
    )
    # Tests are offline, which is one sentence as well.
    assert "could not be fetched from the hub" in refused(
        "import_policy", "kitchen", "mine", "hub:owner/model"
    )


def test_a_model_of_the_hub_is_taken_at_the_commit_that_is_recorded_and_each_commit_has_its_folder(
    project, folder, settings, monkeypatch
):
    """The hub is two functions of its client here: which commit a revision is, and the files of a commit."""
    settings.DATA_DIR = folder / "data"
    commits = {None: "a" * 40, "v2": "b" * 40}
    fetched = []

    def files_of(hub_id, revision, local_dir, allow_patterns):
        fetched.append((hub_id, revision))
        assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in allow_patterns)
        (local_dir / ".cache").mkdir(parents=True)
        for name in ("config.json", "tokenizer.json"):
            (local_dir / name).write_text("{}")
        (local_dir / "model.safetensors").write_text(revision)

    monkeypatch.setattr(
        "huggingface_hub.HfApi.model_info",
        lambda self, hub_id, revision: SimpleNamespace(sha=commits[revision]),
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", files_of)
    call_command("import_policy", "kitchen", "mine", "hub:owner/model", verbosity=0)
    call_command("import_policy", "kitchen", "later", "hub:owner/model", "--revision", "v2", verbosity=0)
    assert "the policy “mine” already" in refused("import_policy", "kitchen", "again", "hub:owner/model")
    assert fetched == [("owner/model", "a" * 40), ("owner/model", "b" * 40)], "a known commit is not fetched"
    mine, later = Policy.objects.order_by("pk")
    assert mine.report["imported"]["hub"] == {
        "policy": {"model": "owner/model", "commit": "a" * 40, "revision": None}
    }
    assert later.report["imported"]["hub"]["policy"]["revision"] == "v2"
    folders = sorted(path.name for path in (settings.DATA_DIR / "models").iterdir())
    assert folders == ["owner--model--aaaaaaaaaaaa", "owner--model--bbbbbbbbbbbb"]
    assert (mine.artifact.absolute_path / "model.safetensors").read_text() == "a" * 40
    assert not (mine.artifact.absolute_path / ".cache").exists()


def test_fine_tuning_takes_values_and_refuses_what_does_not_fit(project):
    call_command(
        "fine_tune",
        "kitchen",
        "mine",
        "--set",
        "data.steps=7",
        "model.source.from_scratch.num_hidden_layers=3",
        verbosity=0,
    )
    run = Run.objects.get()
    assert run.config["data"]["steps"] == 7
    assert run.config["model"]["source"]["from_scratch"]["num_hidden_layers"] == 3
    assert "steps" in refused("fine_tune", "kitchen", "other", "--set", "data.steps=none")
    assert "stepz" in refused("fine_tune", "kitchen", "other", "--set", "data.stepz=7")
    assert "key=value" in refused("fine_tune", "kitchen", "other", "--set", "data.steps")
    assert "nobody" in refused("fine_tune", "kitchen", "other", "--start", "nobody")
    assert Run.objects.count() == 1


def test_a_reward_model_without_judgments_is_refused(project, folder):
    call_command("import_policy", "kitchen", "mine", str(folder), verbosity=0)
    sentence = refused("train_reward_model", "kitchen", "taste", "--start", "mine")
    assert "judgment" in sentence
    assert "neither" in refused("train_reward_model", "kitchen", "taste", "--start", "nothing")


def test_a_round_needs_a_policy_and_prompts(project, folder):
    assert "policy" in refused("start_round", "kitchen")
    call_command("import_policy", "kitchen", "mine", str(folder), verbosity=0)
    assert "import_prompts" in refused("start_round", "kitchen")
    assert "instructgpt" in refused("start_round", "kitchen", "--preset", "best")


def test_processes_device_and_zero_are_asked_for_on_the_command_line(project):
    call_command(
        "fine_tune", "kitchen", "mine", "--processes", "2", "--device", "auto", "--zero-stage", "2",
        "--set", "runtime.seed=7", verbosity=0,
    )  # fmt: skip
    run = Run.objects.get()
    runtime = {name: run.config["runtime"][name] for name in ("device", "backend", "zero_stage", "seed")}
    assert run.processes == 2
    assert runtime == {"device": "auto", "backend": "deepspeed", "zero_stage": 2, "seed": 7}


def test_an_engine_that_cannot_divide_a_model_is_refused_at_once(project):
    said = refused("fine_tune", "kitchen", "mine", "--zero-stage", "2", "--engine", "torch")
    assert said == 'config.runtime: zero_stage 2 needs backend "deepspeed", found "torch"'
    assert not Run.objects.exists()
