"""The database itself refuses a run or an artifact that breaks a rule."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from runs.models import Artifact, Run

pytestmark = [pytest.mark.django_db, pytest.mark.db]


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        # An unknown state breaks a second rule as well; which one is named first is the database's choice.
        ("run_state_valid|finished_run_has_its_time", {"state": "asleep"}),
        ("running_run_has_lease_and_fence", {"state": "running", "lease_until": None}),
        ("only_a_running_run_has_a_lease", {"lease_until": Now()}),
        ("finished_run_has_its_time", {"finished_at": Now()}),
        ("finished_run_has_its_time", {"state": "done"}),
        ("run_error_says_why", {"state": "failed", "finished_at": Now()}),
        ("run_error_says_why", {"state": "done", "finished_at": Now(), "error": "x"}),
        ("run_attempts_are_bounded", {"attempt": 4}),
        ("run_counts_are_positive", {"processes": 0}),
        ("run_directory_is_one_plain_name", {"directory": "../secrets"}),
        ("run_directory_is_one_plain_name", {"directory": ".."}),
        ("run_directory_is_one_plain_name", {"directory": ""}),
    ],
)
def test_the_database_refuses_a_row_that_breaks_a_rule(run_in, constraint, changes):
    run = run_in("queued")
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(**changes)
    assert Run.objects.filter(pk=run.pk).update(title="A change that breaks none") == 1


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("artifact_kind_valid", {"kind": "cake"}),
        ("artifact_has_a_path", {"path": ""}),
        ("artifact_has_a_sha256", {"sha256": "abc"}),
    ],
)
def test_the_database_refuses_an_artifact_that_breaks_a_rule(project, constraint, changes):
    good = {"project": project, "kind": "policy", "path": "models/a", "sha256": "0" * 64, "size_bytes": 1}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Artifact.objects.create(**{**good, **changes})
    Artifact.objects.create(**good)
    with pytest.raises(IntegrityError), transaction.atomic():
        Artifact.objects.create(**good)
