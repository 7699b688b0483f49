"""A mistake on the command line is one sentence on stderr and exit code 2; nothing is half-written."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from policy_training import preparation
from policy_training.models import Policy
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


def test_a_folder_becomes_a_policy_with_its_hash(project, folder):
    call_command("import_policy", "kitchen", "mine", str(folder), verbosity=0)
    policy = Policy.objects.get(name="mine")
    assert policy.artifact.absolute_path == folder
    assert len(policy.artifact.sha256) == 64
    assert policy.source.name == "mine"


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
