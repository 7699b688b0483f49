"""The renamed column and figures of policies keep their rows, forwards and back."""

import pytest

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stored_at(migrate_to):
    """The one policy there is, after migrating to the named migration."""
    return lambda name: (
        migrate_to(("policy_training", name)).get_model("policy_training", "Policy").objects.get()
    )


def test_the_run_and_the_report_of_a_policy_survive_the_renaming(schema_at, stored_at):
    apps = schema_at(("policy_training", "0005_report_names"))

    def create(model, /, **values):
        return apps.get_model(model).objects.create(**values)

    ada = create("workspace.User", username="ada", pseudonym="annotator-1")
    project = create("workspace.Project", name="Kitchen", slug="kitchen", split_salt="salt")
    run = create("runs.Run", project=project, kind="policy.ppo", title="t", config={}, requested_by=ada)
    artifact = create(
        "runs.Artifact", project=project, kind="policy", path="runs/1/model", sha256="1" * 64, size_bytes=1
    )
    report = {"score_before": 0.5, "score_after": 1.5, "kl": 2.0}
    create(
        "policy_training.Policy",
        project=project,
        name="taught",
        artifact=artifact,
        source=create("annotation.Source", project=project, kind="policy", name="taught"),
        produced_by=run,
        report=report,
    )
    before = stored_at("0003_projects_are_kept")
    assert before.made_by_id == run.pk
    assert before.report == {"reward_before": 0.5, "reward_after": 1.5, "kl": 2.0}
    policy = stored_at("0005_report_names")
    assert policy.produced_by_id == run.pk and policy.report == report
