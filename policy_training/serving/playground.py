"""Answers of a served policy to a dialogue that somebody tries: asked for, read while they grow, and kept nowhere.

The dialogue is the page's own; nothing of it comes into the database. An answer's id is made of what was asked, so that
the same request with the same seed is the same answer, of every policy and after a new start of its server.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext

from annotation.text import clean_messages
from policy_training.models import Policy, PolicyServing
from policy_training.serving.limits import serving_limits
from runs.serving.client import ServerAnswer, ServerUnreachable, exchange
from workspace.errors import ActionError

State = PolicyServing.State
ASK_SECONDS = 3.0
MAX_ANSWERS = 4  # side by side
MAX_SEED = 2**53 - 1  # what a script counts exactly
LEAST_TEMPERATURE, GREATEST_TEMPERATURE = 0.01, 10.0  # as of conversations (annotation.conversation.batches)
# Apart from those of conversations, whose ids nobody can ask for here.
_ID = re.compile(r"playground:[0-9a-f]{64}:[1-4]")


class PlaygroundRefused(ActionError):
    """The policy cannot answer now, or what it was asked is no dialogue."""

    code = "playground_refused"


@dataclass(frozen=True, kw_only=True)
class PlaygroundRequest:
    """A dialogue that ends with the user, and how its `answers` answers are drawn."""

    messages: Sequence[Mapping[str, Any]]
    temperature: float
    top_p: float
    max_tokens: int
    seed: str
    answers: int

    @property
    def ids(self) -> list[str]:
        drawn_from = [list(self.messages), self.temperature, self.top_p, self.max_tokens, self.seed]
        digest = hashlib.sha256(json.dumps(drawn_from, sort_keys=True).encode()).hexdigest()
        return [f"playground:{digest}:{number}" for number in range(1, self.answers + 1)]


def read_playground_request(policy: Policy, data: Mapping[str, Any]) -> PlaygroundRequest:
    """What the page sent, checked. Raises PlaygroundRefused, naming the field, and InvalidText."""
    messages = clean_messages(data.get("messages"), gettext("The dialogue"))
    for number, message in enumerate(messages, start=1):
        if message["role"] not in ("system", "user", "assistant") or message.get("tool_calls"):
            raise PlaygroundRefused(
                gettext("Turn %(number)s is neither of the user nor the policy's.") % {"number": number}
            )
    serving = PolicyServing.objects.filter(policy=policy).first() or PolicyServing(policy=policy)
    most = serving_limits(serving).max_response_tokens
    return PlaygroundRequest(
        messages=messages,
        temperature=_number(
            data, "temperature", gettext("Temperature"), LEAST_TEMPERATURE, GREATEST_TEMPERATURE
        ),
        top_p=_number(data, "top_p", gettext("Top-p"), 0.01, 1.0),
        # Two policies are asked for one dialogue, and each has a limit of its own.
        max_tokens=_whole(
            data,
            "max_tokens",
            gettext("Tokens of an answer of “%(name)s”") % {"name": policy.name},
            1,
            most,
        ),
        seed=str(_whole(data, "seed", gettext("Seed"), 0, MAX_SEED)),
        answers=_whole(data, "answers", gettext("Answers side by side"), 1, MAX_ANSWERS),
    )


def ask(policy: Policy, request: PlaygroundRequest) -> list[dict[str, Any]]:
    """Begin the answers; how each stands. All of them or none. Raises PlaygroundRefused."""
    serving = _loaded(policy)
    begun: list[str] = []
    for answer_id in request.ids:
        body = {
            "id": answer_id,
            "messages": list(request.messages),
            "seed": request.seed,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        try:
            answer = _exchange(serving, "POST", "/answers", body)
            if answer.status != 202:
                raise _refusal(policy, answer)
        except PlaygroundRefused:
            _cancel(serving, begun)
            raise
        begun.append(answer_id)
    return [{"id": answer_id, "state": "waiting", "text": ""} for answer_id in begun]


def look(policy: Policy, ids: Any) -> list[dict[str, Any]]:
    """How answers that were asked for stand. Raises PlaygroundRefused."""
    serving = _loaded(policy)
    found = []
    for answer_id in _known_ids(ids):
        answer = _exchange(serving, "GET", f"/answers/{quote(answer_id, safe='')}", None)
        found.append({"id": answer_id, **_told(policy, answer)})
    return found


def cancel(policy: Policy, ids: Any) -> None:
    """Nobody waits for them any more."""
    serving = PolicyServing.objects.filter(policy=policy, state=State.READY).first()
    if serving is not None:
        _cancel(serving, _known_ids(ids))


def _cancel(serving: PolicyServing, ids: Sequence[str]) -> None:
    for answer_id in ids:
        with suppress(PlaygroundRefused):  # what has ended writes nothing
            _exchange(serving, "POST", "/cancel", {"id": answer_id})


def _loaded(policy: Policy) -> PolicyServing:
    serving = PolicyServing.objects.filter(policy=policy).first()
    name = {"name": policy.name}
    if serving is not None and serving.stop_requested and serving.state == State.READY:
        raise PlaygroundRefused(
            gettext("“%(name)s” is being unloaded: load it again when it has stopped.") % name,
            code="not_served",
        )
    if serving is not None and serving.state in (State.WAITING, State.STARTING):
        raise PlaygroundRefused(
            gettext("“%(name)s” is still being loaded: send it in a moment.") % name, code="not_served"
        )
    if serving is None or serving.state != State.READY:
        raise PlaygroundRefused(gettext("“%(name)s” is not loaded: load it first.") % name, code="not_served")
    return serving


def _exchange(serving: PolicyServing, method: str, path: str, body: Mapping[str, Any] | None) -> ServerAnswer:
    try:
        return exchange(method, path, serving.address, serving.secret, body, ASK_SECONDS)
    except ServerUnreachable as error:
        raise PlaygroundRefused(
            gettext("The server of “%(name)s” does not answer: try again in a moment.")
            % {"name": serving.policy.name},
            code="server_unreachable",
        ) from error


def _refusal(policy: Policy, answer: ServerAnswer) -> PlaygroundRefused:
    if answer.status == 503:
        sentence = gettext("“%(name)s” is writing as many answers as it takes: try again in a moment.")
        return PlaygroundRefused(sentence % {"name": policy.name}, code="server_busy")
    if answer.status == 401:  # another server has its port by now
        sentence = gettext("The server of “%(name)s” does not answer: try again in a moment.")
        return PlaygroundRefused(sentence % {"name": policy.name}, code="server_unreachable")
    return PlaygroundRefused(
        gettext("The server of “%(name)s” refuses this: %(reason)s.")
        % {"name": policy.name, "reason": str(answer.body.get("message", answer.status)).rstrip(".")}
    )


def _told(policy: Policy, answer: ServerAnswer) -> dict[str, Any]:
    """`state`: waiting, writing, done, failed or lost; with the last two `problem` is a sentence."""
    said = answer.body
    if answer.status == 404 or (answer.status == 200 and said.get("state") == "cancelled"):
        sentence = gettext("“%(name)s” no longer writes this answer: have it answer again.")
        return {
            "state": "lost",
            "text": str(said.get("text", "")),
            "problem": sentence % {"name": policy.name},
        }
    if answer.status != 200:
        raise _refusal(policy, answer)
    if said["state"] == "failed":
        sentence = gettext("“%(name)s” could not write an answer: %(reason)s.")
        reason = str(said.get("failure", "")).rstrip(".")
        return {"state": "failed", "text": "", "problem": sentence % {"name": policy.name, "reason": reason}}
    told = {"state": said["state"], "text": said["text"]}
    if said["state"] == "done":
        told |= {
            "tokens": len(said["token_ids"]),
            "ended": bool(said["ended"]),
            "max_tokens": int(said["max_tokens"]),
            "prompt_cut": bool(said["prompt_cut"]),
        }
    return told


def _known_ids(ids: Any) -> list[str]:
    if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_ANSWERS:
        raise PlaygroundRefused(gettext("There are no such answers."))
    if not all(isinstance(answer_id, str) and _ID.fullmatch(answer_id) for answer_id in ids):
        raise PlaygroundRefused(gettext("There are no such answers."))
    return ids


def _number(data: Mapping[str, Any], name: str, label: str, least: float, most: float) -> float:
    value = data.get(name)
    # Compared before it becomes a float: an integer of JSON may be greater than any. NaN is within no limits.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _out_of_range(name, label, f"{least:g}", f"{most:g}")
    return float(value)


def _whole(data: Mapping[str, Any], name: str, label: str, least: int, most: int) -> int:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _out_of_range(name, label, f"{least:,}", f"{most:,}")
    return value


def _out_of_range(name: str, label: str, least: str, most: str) -> PlaygroundRefused:
    sentence = gettext("%(field)s: a number from %(least)s to %(most)s.") % {
        "field": label,
        "least": least,
        "most": most,
    }
    return PlaygroundRefused(sentence, fields={name: sentence})
