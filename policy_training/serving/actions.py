"""A policy is loaded because a conversation needs it; it ends unused. What workers do is in runs.serving."""

from django.db import transaction
from django.db.models.functions import Now

from policy_training.models import Policy, PolicyServing
from workspace.actions import record_audit
from workspace.models import User

State = PolicyServing.State


@transaction.atomic
def start_policy_serving(*, actor: User, policy: Policy) -> PolicyServing:
    """Have a worker load the policy. Of one that is loaded, or waits to be, nothing changes."""
    serving, _ = PolicyServing.objects.get_or_create(policy=policy, defaults={"requested_by": actor})
    changed = PolicyServing.objects.filter(pk=serving.pk, state__in=[State.STOPPED, State.FAILED]).update(
        state=State.WAITING,
        requested_by=actor,
        requested_at=Now(),
        stop_requested=False,
        failures=0,
        retry_at=None,
        error="",
    )
    # Another policy's turn was about to make it leave, and now it is asked for again. Pages ask several times a second:
    # that is no line of the audit trail.
    PolicyServing.objects.kept().filter(pk=serving.pk, stop_requested=True).update(stop_requested=False)
    if changed:
        record_audit(
            actor=actor, action="policy.serve", project=policy.project, target=policy, on_request=True
        )
    serving.refresh_from_db()
    return serving
