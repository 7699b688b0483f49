"""The renamed columns of runs and artifacts keep their rows, forwards and back."""

import pytest

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def create(schema_at):
    """create("app.Model", ...) of the time before the columns were renamed back; a project and a user are there."""
    apps = schema_at(("runs", "0003_plain_names"))

    def make(model, /, **values):
        return apps.get_model(model).objects.create(**values)

    return make


@pytest.fixture
def ada(create):
    return create("workspace.User", username="ada", pseudonym="annotator-1")


@pytest.fixture
def kitchen(create):
    return create("workspace.Project", name="Kitchen", slug="kitchen", split_salt="salt")


def test_processes_and_makers_survive_the_renaming(create, ada, kitchen, migrate_to):
    run = create(
        "runs.Run", project=kitchen, kind="k", title="t", config={}, requested_by=ada,
        process_identity="boot:pid:7",
    )  # fmt: skip
    artifact = create(
        "runs.Artifact", project=kitchen, kind="policy", path="runs/1/model", sha256="1" * 64, size_bytes=1,
        produced_by=run,
    )  # fmt: skip
    get_model = migrate_to(("runs", "0002_kind_label")).get_model
    assert get_model("runs", "Run").objects.get(pk=run.pk).process_start == "boot:pid:7"
    assert get_model("runs", "Artifact").objects.get(pk=artifact.pk).made_by_id == run.pk
    get_model = migrate_to(("runs", "0003_plain_names")).get_model
    assert get_model("runs", "Run").objects.get(pk=run.pk).process_identity == "boot:pid:7"
    assert get_model("runs", "Artifact").objects.get(pk=artifact.pk).produced_by_id == run.pk


def test_paths_of_earlier_runs_become_relative_wherever_their_data_lay(
    create, ada, kitchen, migrate_to, settings, tmp_path
):
    settings.DATA_DIR = tmp_path

    def make(**config):
        return create("runs.Run", project=kitchen, kind="k", title="t", config=config, requested_by=ada)

    first = make()
    here, elsewhere = f"{tmp_path}/models/base", f"/old/place/runs/{first.directory}/model"
    second = make(
        policy={"path": here}, reward_model_path=elsewhere, critic={"path": "/old/place/runs/stranger/critic"}
    )
    get_model = migrate_to(("runs", "0004_relative_paths")).get_model
    assert get_model("runs", "Run").objects.get(pk=second.pk).config == {
        "policy": {"path": "models/base"},
        "reward_model_path": f"runs/{first.directory}/model",
        "critic": {"path": "/old/place/runs/stranger/critic"},
    }
