import pytest
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task

pytestmark = [pytest.mark.db, pytest.mark.django_db]
MODELS = ("batch", "task", "assignment", "judgment", "prompt", "response", "currentjudgment", "source")


def test_an_operator_looks_at_every_table_and_changes_none(client, make_user, ada, project, make_batch, key):
    make_batch(tasks=1)
    judgment = submit_judgment(
        actor=ada,
        assignment=claim_task(actor=ada, project=project),
        content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
        idempotency_key=key(),
    )
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    for model in MODELS:
        assert client.get(reverse(f"admin:annotation_{model}_changelist")).status_code == 200
        assert client.get(reverse(f"admin:annotation_{model}_add")).status_code == 403
    row = reverse("admin:annotation_judgment_change", args=[judgment.pk])
    assert client.get(row).status_code == 200
    assert client.post(row, {"rationale": "changed"}).status_code == 403
    assert client.post(reverse("admin:annotation_judgment_delete", args=[judgment.pk])).status_code == 403
