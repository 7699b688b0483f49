"""Limits of a served policy: what a manager set, or else what its context allows and is usual."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from policy_training.context_length import max_positions
from policy_training.models import Policy, PolicyServing
from policy_training.training.config import ServeConfig
from workspace.errors import ActionError

# Of models that set no limit themselves; more than any is trained for.
MOST_TOKENS = 1_048_576
# Each waiting request holds a conversation in the server's memory.
MOST_WAITING_REQUESTS = 1024
# A page in the background asks every two seconds, and browsers hold such a page back; an hour is a forgotten one.
LEAST_ABANDONED_SECONDS, MOST_ABANDONED_SECONDS = 10, 3600
LABELS = {
    "max_prompt_tokens": gettext_lazy("Tokens of a conversation"),
    "max_response_tokens": gettext_lazy("Tokens of an answer"),
    "max_waiting_requests": gettext_lazy("Answers that may wait"),
    "abandoned_after_seconds": gettext_lazy("Seconds that it writes for nobody"),
}


class InvalidServingLimits(ActionError):
    """Longer than the policy can read, or no limit."""

    code = "invalid_limits"


@dataclass(frozen=True, kw_only=True)
class ServingLimits:
    """Lengths are in tokens of the policy. A longer conversation loses its earliest turns; no answer is asked for with
    more. Further requests than may wait are refused; an answer that nobody has asked about for so long is ended.
    """

    # Without a wish, several pages each: no more keys and values at once than a small card has room for.
    max_prompt_tokens: int = 8192
    max_response_tokens: int = 2048
    max_waiting_requests: int = ServeConfig.max_waiting_requests
    abandoned_after_seconds: int = round(ServeConfig.abandoned_after_seconds)


NAMES = tuple(limit.name for limit in fields(ServingLimits))


def least_and_most(policy: Policy) -> tuple[ServingLimits, ServingLimits]:
    """What can be asked for. An answer may have half of the context: its server stops there (answer_queue)."""
    positions = max_positions(policy.artifact.absolute_path) or MOST_TOKENS
    least = ServingLimits(
        max_prompt_tokens=1,
        max_response_tokens=1,
        max_waiting_requests=1,
        abandoned_after_seconds=LEAST_ABANDONED_SECONDS,
    )
    most = ServingLimits(
        max_prompt_tokens=max(1, positions - 1),
        max_response_tokens=max(1, positions // 2),
        max_waiting_requests=MOST_WAITING_REQUESTS,
        abandoned_after_seconds=MOST_ABANDONED_SECONDS,
    )
    return least, most


def serving_limits(serving: PolicyServing) -> ServingLimits:
    """What its server is started with."""
    usual = ServingLimits()
    _, most = least_and_most(serving.policy)
    return ServingLimits(
        **{name: getattr(serving, name) or min(getattr(usual, name), getattr(most, name)) for name in NAMES}
    )


def require_possible_limits(policy: Policy, asked: Mapping[str, Any]) -> None:
    """`asked`: by NAMES; None: no wish. Raises InvalidServingLimits, naming each field that is wrong."""
    least, most = map(asdict, least_and_most(policy))
    faults = {
        name: _fault(policy, name, value, least[name], most[name])
        for name, value in asked.items()
        if value is not None and not least[name] <= value <= most[name]
    }
    if faults:
        said = " ".join(f"{LABELS[name]}: {sentence}" for name, sentence in faults.items())
        raise InvalidServingLimits(said, fields=faults)


def _fault(policy: Policy, name: str, value: int, least: int, most: int) -> str:
    if name in ("max_prompt_tokens", "max_response_tokens"):
        return gettext("“%(name)s” allows 1 to %(limit)s tokens here, found %(tokens)s.") % {
            "name": policy.name,
            "limit": f"{most:,}",
            "tokens": f"{value:,}",
        }
    return gettext("%(least)s to %(most)s are possible here, found %(value)s.") % {
        "least": f"{least:,}",
        "most": f"{most:,}",
        "value": f"{value:,}",
    }
