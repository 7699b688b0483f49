"""How long conversations and answers of a served policy may be: what a manager set, or else what its context allows."""

from dataclasses import dataclass

from django.utils.translation import gettext, gettext_lazy

from policy_training.context_length import max_positions
from policy_training.models import Policy, PolicyServing
from workspace.errors import ActionError

# Without a wish: several pages each, and no more keys and values at once than a small card has room for.
USUAL_PROMPT_TOKENS = 8192
USUAL_RESPONSE_TOKENS = 2048
# Of models that set no limit themselves; more than any is trained for.
MOST_TOKENS = 1_048_576
LABELS = {
    "max_prompt_tokens": gettext_lazy("Tokens of a conversation"),
    "max_response_tokens": gettext_lazy("Tokens of an answer"),
}


class InvalidServingLengths(ActionError):
    """Longer than the policy can read, or no length."""

    code = "invalid_lengths"


@dataclass(frozen=True, kw_only=True)
class ServingLengths:
    """In tokens of the policy. A longer conversation loses its earliest turns; no answer is asked for with more."""

    max_prompt_tokens: int
    max_response_tokens: int


def longest(policy: Policy) -> ServingLengths:
    """What can be asked for at most. An answer may have half of the context: its server stops there (answer_queue)."""
    positions = max_positions(policy.artifact.absolute_path) or MOST_TOKENS
    return ServingLengths(max_prompt_tokens=max(1, positions - 1), max_response_tokens=max(1, positions // 2))


def serving_lengths(serving: PolicyServing) -> ServingLengths:
    """What its server is started with."""
    most = longest(serving.policy)
    return ServingLengths(
        max_prompt_tokens=serving.max_prompt_tokens or min(USUAL_PROMPT_TOKENS, most.max_prompt_tokens),
        max_response_tokens=serving.max_response_tokens
        or min(USUAL_RESPONSE_TOKENS, most.max_response_tokens),
    )


def require_possible_lengths(
    policy: Policy, max_prompt_tokens: int | None, max_response_tokens: int | None
) -> None:
    """Raises InvalidServingLengths, naming each field that is wrong. None: no wish."""
    most = longest(policy)
    asked = {
        "max_prompt_tokens": (max_prompt_tokens, most.max_prompt_tokens),
        "max_response_tokens": (max_response_tokens, most.max_response_tokens),
    }
    faults = {
        name: gettext("“%(name)s” allows 1 to %(limit)s tokens here, found %(tokens)s.")
        % {"name": policy.name, "limit": f"{limit:,}", "tokens": f"{tokens:,}"}
        for name, (tokens, limit) in asked.items()
        if tokens is not None and not 1 <= tokens <= limit
    }
    if faults:
        said = " ".join(f"{LABELS[name]}: {sentence}" for name, sentence in faults.items())
        raise InvalidServingLengths(said, fields=faults)
