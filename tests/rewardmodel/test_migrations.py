"""The renamed column and the criteria of reward models keep their rows, forwards and back."""

import pytest

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stored_at(migrate_to):
    """The one reward model there is, after migrating to the named migration."""
    return lambda name: (
        migrate_to(("rewardmodel", name)).get_model("rewardmodel", "RewardModel").objects.get()
    )


def test_the_run_of_a_reward_model_survives_the_renaming(schema_at, stored_at):
    apps = schema_at(("rewardmodel", "0004_criteria"))

    def create(model, /, **values):
        return apps.get_model(model).objects.create(**values)

    ada = create("workspace.User", username="ada", pseudonym="annotator-1")
    project = create("workspace.Project", name="Kitchen", slug="kitchen", split_salt="salt")
    criterion = create("workspace.Criterion", project=project, name="overall", question="?")
    run = create(
        "runs.Run", project=project, kind="rewardmodel.train", title="t", config={}, requested_by=ada
    )
    artifact = create(
        "runs.Artifact", project=project, kind="reward_model", path="runs/1/model", sha256="1" * 64,
        size_bytes=1,
    )  # fmt: skip
    dataset = create(
        "annotation.PreferenceDataset", project=project, name="d", directory="datasets/d",
        manifest_sha256="2" * 64, made_by=ada,
    )  # fmt: skip
    reward_model = create(
        "rewardmodel.RewardModel", project=project, name="taste", artifact=artifact, dataset=dataset,
        produced_by=run,
    )  # fmt: skip
    reward_model.criteria.add(criterion)
    # Back to one criterion a model and on again: it keeps its own.
    before = stored_at("0003_produced_by_and_constraint_names")
    assert before.criterion_id == criterion.pk
    after = stored_at("0004_criteria")
    assert list(after.criteria.values_list("pk", flat=True)) == [criterion.pk]
    assert stored_at("0002_projects_are_kept").made_by_id == run.pk
    after = stored_at("0004_criteria")
    assert after.produced_by_id == run.pk
