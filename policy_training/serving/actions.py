"""What people and conversations do to a policy's service: start and stop it. What workers do is in runs.serving."""

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from policy_training.models import Policy, PolicyServing
from policy_training.serving.limits import require_possible_limits, serving_limits
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import User

State = PolicyServing.State


def switched_off() -> str:
    return gettext("This site serves no policies: an operator can set ROUNDTABLE_POLICY_SERVER_MAX_MODELS.")


class PolicyServingRefused(ActionError):
    """The policy cannot be started or stopped now."""

    code = "serving_refused"
    is_conflict = True


@transaction.atomic
def start_policy_serving(
    *,
    actor: User,
    policy: Policy,
    on_request: bool = False,
    max_prompt_tokens: int | None = None,
    max_response_tokens: int | None = None,
    max_waiting_requests: int | None = None,
    abandoned_after_seconds: int | None = None,
) -> PolicyServing:
    """Have a worker load the policy. Of one that is loaded, or waits to be, nothing changes: one that makes room for
    another policy goes on with that, however often it is asked for, and waits behind the other when it has ended.

    `on_request`: a conversation needs it; the audit row says so, and the limits stay as they were set. A person's
    start sets them, None to what the model's context allows or is usual.

    Raises PolicyServingRefused where the site serves none, and to a person while the policy is being unloaded or is
    loaded with other limits; InvalidServingLimits.
    """
    limits = {
        "max_prompt_tokens": max_prompt_tokens,
        "max_response_tokens": max_response_tokens,
        "max_waiting_requests": max_waiting_requests,
        "abandoned_after_seconds": abandoned_after_seconds,
    }
    require_possible_limits(policy, limits)
    if not settings.POLICY_SERVER_MAX_MODELS:
        raise PolicyServingRefused(switched_off(), code="serving_switched_off")
    serving, _ = PolicyServing.objects.get_or_create(policy=policy, defaults={"requested_by": actor})
    changed = PolicyServing.objects.filter(pk=serving.pk, state__in=[State.STOPPED, State.FAILED]).update(
        state=State.WAITING,
        requested_by=actor,
        requested_at=Now(),
        stop_requested=False,
        failures=0,
        retry_at=None,
        error="",
        **({} if on_request else limits),
    )
    if changed:
        record_audit(
            actor=actor,
            action="policy.serve",
            project=policy.project,
            target=policy,
            on_request=on_request,
            **{name: value for name, value in limits.items() if value is not None},
        )
    elif not on_request:
        _require_as_asked(policy, serving, limits)
    serving.refresh_from_db()
    return serving


def _require_as_asked(policy: Policy, serving: PolicyServing, limits: Mapping[str, int | None]) -> None:
    """Of one that is loaded or waits to be. Raises PolicyServingRefused."""
    if PolicyServing.objects.kept().filter(pk=serving.pk, stop_requested=True).exists():
        raise PolicyServingRefused(
            gettext("“%(name)s” finishes what it writes and is unloaded then: start it again after that.")
            % {"name": policy.name}
        )
    used = serving_limits(serving)
    if any(value not in (None, getattr(used, name)) for name, value in limits.items()):
        raise PolicyServingRefused(
            gettext("“%(name)s” is served with other limits already: unload it, then start it with these.")
            % {"name": policy.name}
        )


@transaction.atomic
def stop_policy_serving(*, actor: User, policy: Policy) -> PolicyServing:
    """Unload the policy when what it writes is written. A conversation that needs it later loads it again.

    Raises PolicyServingRefused when it is not loaded, does not wait to be and has not failed, or is being unloaded.
    """
    serving = PolicyServing.objects.filter(policy=policy).first()
    if serving is None:
        raise PolicyServingRefused(gettext("“%(name)s” is not being served.") % {"name": policy.name})
    asked = (
        PolicyServing.objects.kept().filter(pk=serving.pk, stop_requested=False).update(stop_requested=True)
    )
    ended = PolicyServing.objects.filter(pk=serving.pk, state__in=[State.WAITING, State.FAILED]).update(
        state=State.STOPPED, error="", failures=0, retry_at=None
    )
    if not (asked or ended):
        raise PolicyServingRefused(
            gettext("“%(name)s” is not being served, or is being unloaded.") % {"name": policy.name}
        )
    record_audit(actor=actor, action="policy.stop_serving", project=policy.project, target=policy)
    serving.refresh_from_db()
    return serving
