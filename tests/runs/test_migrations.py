"""The renamed columns of runs and artifacts keep their rows, forwards and back."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from runs.models import Artifact, Run
from workspace.models import Project

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def migrate():
    """Migrates the app to the named migration; at the end everything to the newest again."""

    def migrate_to(name):
        target = [("runs", name)]
        MigrationExecutor(connection).migrate(target)
        return MigrationExecutor(connection).loader.project_state(target).apps.get_model

    yield migrate_to
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_processes_and_makers_survive_the_renaming(migrate):
    ada = get_user_model().objects.create(username="ada", pseudonym="annotator-1")
    project = Project.objects.create(name="Kitchen", slug="kitchen", split_salt="salt")
    run = Run.objects.create(
        project=project, kind="k", title="t", config={}, requested_by=ada, process_identity="boot:pid:7"
    )
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="runs/1/model", sha256="1" * 64, size_bytes=1, produced_by=run
    )
    get_model = migrate("0002_kind_label")
    assert get_model("runs", "Run").objects.get(pk=run.pk).process_start == "boot:pid:7"
    assert get_model("runs", "Artifact").objects.get(pk=artifact.pk).made_by_id == run.pk
    get_model = migrate("0003_plain_names")
    assert get_model("runs", "Run").objects.get(pk=run.pk).process_identity == "boot:pid:7"
    assert get_model("runs", "Artifact").objects.get(pk=artifact.pk).produced_by_id == run.pk


def test_paths_of_earlier_runs_become_relative_wherever_their_data_lay(migrate, settings, tmp_path):
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
    migrate("0003_plain_names")
    get_model = migrate("0004_relative_paths")
    assert get_model("runs", "Run").objects.get(pk=second.pk).config == {
        "policy": {"path": "models/base"},
        "reward_model_path": f"runs/{first.directory}/model",
        "critic": {"path": "/old/place/runs/stranger/critic"},
    }
