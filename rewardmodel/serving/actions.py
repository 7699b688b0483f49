"""What people and requests do to a reward model's service: start and stop it. What workers do is in leases.py."""

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from rewardmodel.models import RewardModel, Serving
from rewardmodel.serving.errors import ServingRefused
from workspace.actions import record_audit
from workspace.models import User

State = Serving.State


@transaction.atomic
def start_serving(*, actor: User, reward_model: RewardModel, on_request: bool = False) -> Serving:
    """Have a worker load the model. Of one that is loaded, or waits to be, nothing changes.

    `on_request`: a request for rewards asked, not a person; the audit row says so. Raises ServingRefused.
    """
    if not settings.SCORER_MAX_MODELS:
        raise ServingRefused(
            gettext("This site serves no reward models: an operator can set ROUNDTABLE_SCORER_MAX_MODELS."),
            code="serving_switched_off",
        )
    serving, _ = Serving.objects.get_or_create(reward_model=reward_model, defaults={"requested_by": actor})
    changed = Serving.objects.filter(pk=serving.pk, state__in=[State.STOPPED, State.FAILED]).update(
        state=State.WAITING,
        requested_by=actor,
        requested_at=Now(),
        stop_requested=False,
        failures=0,
        retry_at=None,
        error="",
    )
    # Somebody asked for its end, and now somebody asks for it again before it has ended.
    changed += Serving.objects.kept().filter(pk=serving.pk, stop_requested=True).update(stop_requested=False)
    if changed:
        record_audit(
            actor=actor,
            action="reward_model.serve",
            project=reward_model.project,
            target=reward_model,
            on_request=on_request,
        )
    serving.refresh_from_db()
    return serving


@transaction.atomic
def stop_serving(*, actor: User, reward_model: RewardModel) -> Serving:
    """Unload the model. What it was asked before is still answered. Raises ServingRefused when nothing is served."""
    serving = Serving.objects.filter(reward_model=reward_model).first()
    if serving is None:
        raise ServingRefused(gettext("“%(name)s” is not being served.") % {"name": reward_model.name})
    asked = Serving.objects.kept().filter(pk=serving.pk, stop_requested=False).update(stop_requested=True)
    ended = Serving.objects.filter(pk=serving.pk, state__in=[State.WAITING, State.FAILED]).update(
        state=State.STOPPED, error="", failures=0, retry_at=None
    )
    if not (asked or ended):
        raise ServingRefused(gettext("“%(name)s” is not being served.") % {"name": reward_model.name})
    record_audit(
        actor=actor, action="reward_model.stop_serving", project=reward_model.project, target=reward_model
    )
    serving.refresh_from_db()
    return serving
