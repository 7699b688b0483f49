"""Rewards of texts from a model that is served: started where it is not, waited for, asked.

A request changes nothing but that the model is loaded, so that it may be sent again at any time.
"""

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from learning.interface.options import UserError
from rewardmodel.models import RewardModel, Serving
from rewardmodel.run_kinds import SCORE
from rewardmodel.serving.actions import start_serving
from rewardmodel.serving.errors import ScorerUnavailable
from runs.serving.client import MARGIN_SECONDS, ServerUnreachable, exchange
from runs.waiting import alive_workers
from workspace.models import User

State = Serving.State
LOOK_SECONDS = 0.1


def ask_for_rewards(*, actor: User, reward_model: RewardModel, texts: Mapping[str, Any]) -> dict[str, Any]:
    """What the scorer answers: {rewards, truncated, truncated_prompts}, in the order of the responses.

    Raises UserError for texts that this model cannot read, ServingRefused where the site serves none, and
    ScorerUnavailable where there is no answer now.
    """
    deadline = time.monotonic() + settings.SCORER_WAIT_SECONDS
    gone: set[int] = set()  # fences of scorers that did not answer: their end is on its way to the database
    while True:
        serving = Serving.objects.filter(reward_model=reward_model).first()
        if serving is not None and serving.state == State.READY and serving.fence not in gone:
            answer = _ask(serving, texts)
            if answer is not None:
                return answer
            if len(gone) == 2:
                raise ScorerUnavailable(
                    "The scorer ended twice while it had this request: send less at a time, or look at the reward "
                    "model's page."
                )
            gone.add(serving.fence)
            continue
        if serving is None or serving.state in (State.STOPPED, State.FAILED):
            _require_no_recent_failure(serving)
            serving = start_serving(actor=actor, reward_model=reward_model, on_request=True)
        _require_worker()
        if time.monotonic() >= deadline:
            raise ScorerUnavailable(
                "The reward model is being loaded: send the request again.", code="scorer_loading"
            )
        time.sleep(LOOK_SECONDS)


def _ask(serving: Serving, texts: Mapping[str, Any]) -> dict[str, Any] | None:
    """None: this scorer has ended, or is about to."""
    seconds = settings.SCORER_TIMEOUT_SECONDS
    try:
        body = {**texts, "seconds": seconds}
        answer = exchange("POST", "/score", serving.address, serving.secret, body, seconds + MARGIN_SECONDS)
    except ServerUnreachable:
        return None
    message = str(answer.body.get("message", ""))
    if answer.status == 200:
        return answer.body
    if answer.status in (400, 422):
        raise UserError(message)
    if answer.status == 503:
        raise ScorerUnavailable(
            "More requests wait for this reward model than it takes: send the request again in a moment.",
            code="scorer_busy",
            retry_after=1,
        )
    if answer.status == 504:
        raise ScorerUnavailable(
            f"The reward model had not scored these texts within {seconds:g} s: send fewer at a time, or again.",
            code="scorer_timeout",
        )
    if answer.status == 401:
        return None  # another one has its port by now
    raise ScorerUnavailable(f"The reward model could not score: {message}.", code="scorer_failed")


def _require_no_recent_failure(serving: Serving | None) -> None:
    if serving is None or serving.state != State.FAILED:
        return
    wait = (serving.retry_at - timezone.now()).total_seconds() if serving.retry_at else 0.0
    if wait > 0:
        raise ScorerUnavailable(
            f"The reward model could not be loaded: {serving.error}",
            code="scorer_failed",
            retry_after=int(wait) + 1,
        )


def workers_serve() -> bool:
    """Whether a worker is alive that serves reward models."""
    return any(SCORE.name in worker.kinds for worker in alive_workers())


def _require_worker() -> None:
    if not workers_serve():
        raise ScorerUnavailable(
            "No worker is alive that could load the reward model: start one with `manage.py worker`.",
            code="no_worker",
            retry_after=30,
        )
