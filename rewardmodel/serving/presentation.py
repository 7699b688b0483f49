"""The service of a reward model as its page shows it."""

from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from rewardmodel.models import RewardModel, Serving
from rewardmodel.serving.asking import workers_serve
from workspace.models import Project
from workspace.polling import content_fingerprint

State = Serving.State
BADGES = {State.READY: "good", State.FAILED: "bad", State.STARTING: "warn", State.WAITING: "warn"}


def serving_of(model: RewardModel) -> Serving:
    """Its service; one that was never asked for looks like one that has stopped."""
    never_asked: Any = None
    return Serving.objects.filter(reward_model=model).first() or Serving(
        reward_model=model, requested_at=never_asked
    )


def serving_context(project: Project, model: RewardModel) -> dict[str, Any]:
    serving = serving_of(model)
    active = serving.state in (State.WAITING, State.STARTING, State.READY)
    without_worker = serving.state == State.WAITING and not workers_serve()
    stopping = active and serving.stop_requested
    return {
        "model": model,
        "serving": serving,
        "serving_state": gettext("Stopping") if stopping else serving.get_state_display(),
        "serving_badge": BADGES.get(State(serving.state), ""),
        "serving_polls": active,
        "can_start": bool(settings.SCORER_MAX_MODELS) and (not active or stopping),
        "can_stop": active and not stopping,
        "without_worker": without_worker,
        "idle_minutes": f"{settings.SCORER_IDLE_MINUTES:g}",
        "score_url": f"{settings.SITE_URL}/api/v1/projects/{project.slug}/reward-models/{model.pk}/score",
        "version": content_fingerprint(
            serving.state,
            serving.stop_requested,
            serving.error,
            serving.n_requests,
            serving.n_rewards,
            without_worker,
        ),
    }
