"""Answers of policies for live conversations: the policy is loaded where it is not, asked, and read.

What it says is for annotators: in English here, and translated by the page that shows it; never with a policy's name.

Each call is short: a page asks again. A request that its server does not know (it is new, or another server of the
policy was started since) is sent once more, and gives the same answer.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from annotation.conversation.generation import AnswerProgress, AnswerRequest
from annotation.models import Source
from policy_training.models import Policy, PolicyServing
from policy_training.serving.actions import start_policy_serving, switched_off
from policy_training.serving.limits import serving_limits
from rewardmodel.serving.asking import workers_serve
from runs.serving.client import ServerUnreachable, exchange
from workspace.models import User

State = PolicyServing.State
ASK_SECONDS = 3.0
LOADING = gettext_noop("The model is being loaded.")
CANNOT_ANSWER = gettext_noop("This model cannot answer here any more: tell a manager.")
NOT_LOADED = gettext_noop("The model could not be loaded.")
NO_WORKER = gettext_noop("No worker is alive that could load the model: tell a manager.")
WAITS = gettext_noop("Many answers are being written: yours waits.")
NOT_WRITTEN = gettext_noop("The model could not write an answer.")

logger = logging.getLogger(__name__)


class PolicyGenerator:
    """Implements annotation.conversation.generation.Generator."""

    def advance(self, actor: User, request: AnswerRequest) -> AnswerProgress:
        if refusal := self.refusal(request.source):
            logger.warning("a conversation asks for an answer: %s", refusal)
            return AnswerProgress(state="failed", message=CANNOT_ANSWER)
        policy = Policy.objects.get(source=request.source)
        serving = PolicyServing.objects.filter(policy=policy).first()
        if serving is not None and serving.state == State.FAILED and not _may_be_tried_again(serving):
            return AnswerProgress(state="failed", message=NOT_LOADED)
        if serving is None or serving.state in (State.STOPPED, State.FAILED):
            start_policy_serving(actor=actor, policy=policy, on_request=True)
            return AnswerProgress(state="loading", message=LOADING)
        if serving.state != State.READY:
            is_left = serving.state == State.WAITING and not workers_serve()
            return AnswerProgress(state="loading", message=NO_WORKER if is_left else LOADING)
        return _ask(serving, request)

    def cancel(self, request: AnswerRequest) -> None:
        serving = PolicyServing.objects.filter(policy__source=request.source, state=State.READY).first()
        if serving is None:
            return
        with suppress(ServerUnreachable):  # what has ended writes nothing
            exchange("POST", "/cancel", serving.address, serving.secret, {"id": request.id}, ASK_SECONDS)

    def refusal(self, source: Source) -> str:
        if not settings.POLICY_SERVER_MAX_MODELS:
            return switched_off()
        if not Policy.objects.filter(source=source).exists():
            return f"“{source.name}” is no policy of the project."
        return ""

    def sources(self, project_id: int) -> Sequence[Source]:
        return list(Source.objects.filter(project=project_id, policy__isnull=False).order_by("name"))


def _may_be_tried_again(serving: PolicyServing) -> bool:
    return serving.retry_at is None or serving.retry_at <= timezone.now()


def _ask(serving: PolicyServing, request: AnswerRequest) -> AnswerProgress:
    try:
        found = exchange(
            "GET",
            f"/answers/{quote(request.id, safe='')}",
            serving.address,
            serving.secret,
            None,
            ASK_SECONDS,
        )
        is_unknown = found.status == 404 or found.body.get("state") == "cancelled"
        if is_unknown and serving.stop_requested:
            # It makes room, and writes to the end only what it knows. It is loaded again when others had their turn.
            return AnswerProgress(state="loading", message=LOADING)
        if is_unknown:
            found = exchange(
                "POST", "/answers", serving.address, serving.secret, _body(serving, request), ASK_SECONDS
            )
            if found.status == 503:
                return AnswerProgress(state="loading", message=WAITS)
            if found.status != 202:
                logger.error("%s refuses an answer: %s", serving.policy.name, found.body.get("message", ""))
                return AnswerProgress(state="failed", message=NOT_WRITTEN)
            return AnswerProgress(state="writing")
    except ServerUnreachable:
        # It has ended, and its worker finds that out in a moment.
        return AnswerProgress(state="loading", message=LOADING)
    said = found.body
    if found.status != 200:
        return AnswerProgress(state="loading", message=LOADING)  # another server has its port by now
    if said["state"] == "failed":
        return AnswerProgress(state="failed", message=NOT_WRITTEN)
    if said["state"] == "done":
        return AnswerProgress(
            state="done",
            text=said["text"],
            token_ids=said["token_ids"],
            logprobs=said["logprobs"],
            ended=bool(said["ended"]),
            max_tokens=int(said["max_tokens"]),
            prompt_cut=bool(said["prompt_cut"]),
        )
    return AnswerProgress(state="writing", text=said["text"])


def _body(serving: PolicyServing, request: AnswerRequest) -> dict[str, object]:
    """A policy that is served with shorter answers than the batch asks for gives those."""
    most = serving_limits(serving).max_response_tokens
    return {
        "id": request.id,
        "messages": list(request.messages),
        "seed": request.seed,
        "max_tokens": min(request.max_tokens, most),
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
