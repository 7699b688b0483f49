"""The renamed column and the criteria of reward models keep their rows, forwards and back."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from annotation.models import PreferenceDataset
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run
from workspace.models import Criterion, Project

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def migrate():
    """Migrates the app to the named migration; at the end to the newest again."""

    def migrate_to(name):
        target = [("rewardmodel", name)]
        MigrationExecutor(connection).migrate(target)
        return MigrationExecutor(connection).loader.project_state(target).apps.get_model

    yield migrate_to
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_the_run_of_a_reward_model_survives_the_renaming(migrate):
    ada = get_user_model().objects.create(username="ada", pseudonym="annotator-1")
    project = Project.objects.create(name="Kitchen", slug="kitchen", split_salt="salt")
    criterion = Criterion.objects.create(project=project, name="overall", question="?")
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", title="t", config={}, requested_by=ada
    )
    artifact = Artifact.objects.create(
        project=project, kind="reward_model", path="runs/1/model", sha256="1" * 64, size_bytes=1
    )
    dataset = PreferenceDataset.objects.create(
        project=project, name="d", directory="datasets/d", manifest_sha256="2" * 64, created_by=ada
    )
    reward_model = RewardModel.objects.create(
        project=project, name="taste", artifact=artifact, dataset=dataset, produced_by=run
    )
    reward_model.criteria.add(criterion)
    # Back to one criterion a model and on again: it keeps its own.
    before = migrate("0003_produced_by_and_constraint_names")("rewardmodel", "RewardModel").objects.get()
    assert before.criterion_id == criterion.pk
    after = migrate("0004_criteria")("rewardmodel", "RewardModel").objects.get()
    assert list(after.criteria.values_list("pk", flat=True)) == [criterion.pk]
    assert migrate("0002_projects_are_kept")("rewardmodel", "RewardModel").objects.get().made_by_id == run.pk
    after = migrate("0004_criteria")("rewardmodel", "RewardModel").objects.get()
    assert after.produced_by_id == run.pk
