import pytest
from django.urls import reverse

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_an_operator_looks_at_runs_workers_and_artifacts_and_changes_none(client, make_user, queue_counting):
    run = queue_counting(title="Count")
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    for model in ("run", "worker", "artifact"):
        assert client.get(reverse(f"admin:runs_{model}_changelist")).status_code == 200
        assert client.get(reverse(f"admin:runs_{model}_add")).status_code == 403
    row = reverse("admin:runs_run_change", args=[run.pk])
    assert client.get(row).status_code == 200
    assert client.post(row, {"title": "changed"}).status_code == 403
