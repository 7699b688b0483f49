"""The service of a policy as its page shows it."""

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext

from policy_training.models import Policy, PolicyServing
from policy_training.serving.forms import ServingLimitsForm
from policy_training.serving.limits import serving_limits
from rewardmodel.serving.asking import workers_serve
from workspace.polling import content_fingerprint

State = PolicyServing.State
BADGES = {State.READY: "good", State.FAILED: "bad", State.STARTING: "warn", State.WAITING: "warn"}


def serving_of(policy: Policy) -> PolicyServing:
    """Its service; one that was never asked for looks like one that has stopped."""
    never_asked: Any = None
    return PolicyServing.objects.filter(policy=policy).first() or PolicyServing(
        policy=policy, requested_at=never_asked
    )


def state_words(serving: PolicyServing) -> str:
    if serving.stop_requested and serving.state in (State.STARTING, State.READY):
        return gettext("Finishing what it writes, then unloaded")
    return serving.get_state_display()


def serving_context(policy: Policy, typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`typed`: the limits of a start that was refused, to be mended; without any the form holds those set last."""
    serving = serving_of(policy)
    limits = typed if typed and ServingLimitsForm.base_fields.keys() & typed.keys() else None
    active = serving.state in (State.WAITING, State.STARTING, State.READY)
    without_worker = serving.state == State.WAITING and not workers_serve()
    can_start = bool(settings.POLICY_SERVER_MAX_MODELS) and not active
    return {
        "policy": policy,
        "serving": serving,
        "serving_state": state_words(serving),
        "serving_badge": BADGES.get(State(serving.state), ""),
        "serving_polls": active,
        "can_start": can_start,
        "limits": serving_limits(serving),
        "limits_form": ServingLimitsForm(limits, serving=serving) if can_start else None,
        "can_stop": (active and not serving.stop_requested) or serving.state == State.FAILED,
        "without_worker": without_worker,
        "switched_off": not settings.POLICY_SERVER_MAX_MODELS,
        "idle_minutes": f"{settings.POLICY_SERVER_IDLE_MINUTES:g}",
        "version": content_fingerprint(
            serving.state,
            serving.stop_requested,
            serving.error,
            serving.n_requests,
            serving.n_tokens,
            without_worker,
        ),
    }


def playground_context(policy: Policy, typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The same on its playground, which may ask a second policy too. `others`, JSON: those that answer now, by name."""
    context = serving_context(policy, typed)
    served = PolicyServing.objects.filter(
        policy__project=policy.project_id, state=State.READY, stop_requested=False
    )
    others = [
        {
            "id": str(other.policy_id),
            "name": other.policy.name,
            "url": reverse("policies:playground_answers", args=[policy.project.slug, other.policy_id]),
            "max_tokens": serving_limits(other).max_response_tokens,
        }
        for other in served.exclude(policy=policy).select_related("policy__artifact").order_by("policy__name")
    ]
    return context | {
        "others": json.dumps(others),
        "version": content_fingerprint(context["version"], others),
    }
