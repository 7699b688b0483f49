"""The renamed column and figures of policies keep their rows, forwards and back."""

import pytest
from django.contrib.auth import get_user_model

from annotation.models import Source
from policy_training.models import Policy
from runs.models import Artifact, Run
from workspace.models import Project

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stored_at(migrate_to):
    """The one policy there is, after migrating to the named migration."""
    return lambda name: (
        migrate_to(("policy_training", name)).get_model("policy_training", "Policy").objects.get()
    )


def test_the_run_and_the_report_of_a_policy_survive_the_renaming(stored_at):
    ada = get_user_model().objects.create(username="ada", pseudonym="annotator-1")
    project = Project.objects.create(name="Kitchen", slug="kitchen", split_salt="salt")
    run = Run.objects.create(project=project, kind="policy.ppo", title="t", config={}, requested_by=ada)
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="runs/1/model", sha256="1" * 64, size_bytes=1
    )
    report = {"score_before": 0.5, "score_after": 1.5, "kl": 2.0}
    Policy.objects.create(
        project=project,
        name="taught",
        artifact=artifact,
        source=Source.objects.create(project=project, kind="policy", name="taught"),
        produced_by=run,
        report=report,
    )
    before = stored_at("0003_projects_are_kept")
    assert before.made_by_id == run.pk
    assert before.report == {"reward_before": 0.5, "reward_after": 1.5, "kl": 2.0}
    policy = stored_at("0005_report_names")
    assert policy.produced_by_id == run.pk and policy.report == report
