"""Options of a language model that judges answers. Light: no torch."""

import math
from dataclasses import dataclass

from learning.interface.training_options import require_at_least
from policy_training.training.server_config import ServerOptions

CHAT = ServerOptions(protocol="chat")
# Of a judge's server these have one value: the usual one.
FIXED_SERVER_OPTIONS = ("protocol", "returns_token_ids", "returns_logprobs", "stop", "samples_per_request")
FIXED_REWARD_OPTIONS = tuple(f"rewards.judge.server.{name}" for name in FIXED_SERVER_OPTIONS)
TEMPLATE_VERSION = 1  # of the judge's instructions (judging.py); another number where a word of them changes


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """A language model on a server compares a prompt's answers with each other, each pair in both orders.

    An answer's reward is the mean over its comparisons: 1 for each it wins, 0 for a tie, -1 for each it loses.
    """

    server: ServerOptions = CHAT  # without a name there is no judge
    weight: float = 1.0  # of the judge's reward, which is added to what the reward models make together
    criterion: str = "Which answer is more helpful, correct and to the point?"  # what it is asked
    repeats: int = 1  # how often each pair is judged, each time in both orders
    temperature: float = 0.0  # of the judge's own words
    max_reply_tokens: int = 512
    attempts_to_understand: int = (
        3  # a reply without a verdict is asked for again; then the comparison does not count
    )
    price_prompt: float = 0.0  # of a million tokens that it reads, in any currency
    price_reply: float = 0.0  # of a million tokens that it writes

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise ValueError(f"weight must be a finite number, found {self.weight}")
        for name in ("repeats", "max_reply_tokens", "attempts_to_understand"):
            require_at_least(name, getattr(self, name), 1)
        for name in ("temperature", "price_prompt", "price_reply"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of at least 0, found {value}")
        if not self.criterion.strip():
            raise ValueError("criterion is empty; say what the judge is asked")
        if not self.server.name:
            return
        if not self.server.model:
            raise ValueError("server.model is empty; name the model that judges")
        for name in FIXED_SERVER_OPTIONS:
            found, usual = getattr(self.server, name), getattr(CHAT, name)
            if found != usual:
                raise ValueError(f"server.{name} is {found!r}; of a judge it must stay {usual!r}")
