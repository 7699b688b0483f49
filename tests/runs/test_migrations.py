"""The renamed columns of runs and artifacts keep their rows, forwards and back."""

import pytest
from django.contrib.auth import get_user_model

from runs.models import Artifact, Run
from workspace.models import Project

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def test_processes_and_makers_survive_the_renaming(migrate_to):
    ada = get_user_model().objects.create(username="ada", pseudonym="annotator-1")
    project = Project.objects.create(name="Kitchen", slug="kitchen", split_salt="salt")
    run = Run.objects.create(
        project=project, kind="k", title="t", config={}, requested_by=ada, process_identity="boot:pid:7"
    )
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="runs/1/model", sha256="1" * 64, size_bytes=1, produced_by=run
    )
    get_model = migrate_to(("runs", "0002_kind_label")).get_model
    assert get_model("runs", "Run").objects.get(pk=run.pk).process_start == "boot:pid:7"
    assert get_model("runs", "Artifact").objects.get(pk=artifact.pk).made_by_id == run.pk
    get_model = migrate_to(("runs", "0003_plain_names")).get_model
    assert get_model("runs", "Run").objects.get(pk=run.pk).process_identity == "boot:pid:7"
    assert get_model("runs", "Artifact").objects.get(pk=artifact.pk).produced_by_id == run.pk


def test_paths_of_earlier_runs_become_relative_wherever_their_data_lay(migrate_to, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    ada = get_user_model().objects.create(username="ada", pseudonym="annotator-1")
    project = Project.objects.create(name="Kitchen", slug="kitchen", split_salt="salt")

    def make(**config):
        return Run.objects.create(project=project, kind="k", title="t", config=config, requested_by=ada)

    first = make()
    here, elsewhere = f"{tmp_path}/models/base", f"/old/place/runs/{first.directory}/model"
    second = make(
        policy={"path": here}, reward_model_path=elsewhere, critic={"path": "/old/place/runs/stranger/critic"}
    )
    migrate_to(("runs", "0003_plain_names"))
    get_model = migrate_to(("runs", "0004_relative_paths")).get_model
    assert get_model("runs", "Run").objects.get(pk=second.pk).config == {
        "policy": {"path": "models/base"},
        "reward_model_path": f"runs/{first.directory}/model",
        "critic": {"path": "/old/place/runs/stranger/critic"},
    }
