"""Who samples the rollouts, and how they count where that is not the policy that learns. Light: no torch."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from learning.interface.training_options import require_at_least
from policy_training.training.server_config import ServerOptions


@dataclass(frozen=True, kw_only=True)
class RolloutServerOptions(ServerOptions):
    """A server that samples the rollouts instead of the run itself. It is sent the prompts' tokens, and must say the
    tokens of its answers and their log-probabilities, as vLLM does.
    """

    # Which weights it samples with. start: those it has, whatever the updates make of the policy. each_step: the run
    # writes the policy into its own folder before every step and asks for that folder as the model: for servers that
    # load a model by its path, on the same disk.
    weights: Literal["start", "each_step"] = "start"
    returns_token_ids: bool = True
    returns_logprobs: bool = True
    # Its log-probabilities are those that it draws with (vLLM: --logprobs-mode processed_logprobs). Needed at every
    # temperature but 1: else they are the model's at 1.
    logprobs_at_temperature: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name:
            return
        if self.protocol != "completions":
            raise ValueError(
                f"protocol is {self.protocol!r}, and rollouts go on from the policy's own tokens: use 'completions'"
            )
        for option in ("returns_token_ids", "returns_logprobs"):
            if not getattr(self, option):
                raise ValueError(
                    f"{option} is false; rollouts that train need the server's tokens and their log-probabilities: "
                    "set it to true, or sample without a server"
                )
        if self.stop:
            raise ValueError("stop must be empty: a rollout ends with the policy's own end token")
        if "{policy}" in self.model:
            raise ValueError(
                "model cannot have {policy} in it here: write the name that the server has for the policy"
            )
        if self.weights == "each_step" and self.model:
            raise ValueError(
                f"model is {self.model!r}, and with weights 'each_step' the server is asked for a folder of the run: "
                "leave model empty, or set weights to 'start'"
            )


@dataclass(frozen=True, kw_only=True)
class ImportanceOptions:
    """Where responses are drawn by other probabilities than those that are trained (a server's precision or older
    weights, another temperature), what they teach counts by the ratio of the two. The ratio is taken once, before a
    step's first update; the loss has its own ratio to the policy of that moment.
    """

    # token: of each token by itself; little noise, right to first order (truncated importance sampling, Yao et al.
    # 2025). sequence: the product over the whole response; exact without a cap, and much noise in long responses.
    weights: Literal["none", "token", "sequence"] = "none"
    cap: float | None = 2.0  # a weight is this at most (verl's TIS has 2); None: no cap

    def __post_init__(self) -> None:
        if self.cap is not None and not self.cap >= 1.0:
            raise ValueError(f"cap must be at least 1, found {self.cap}")


class PtxOptions(Protocol):
    """What is mixed into the policy's loss, of the options of an algorithm that learns from rollouts."""

    @property
    def ptx_coefficient(self) -> float: ...

    @property
    def ptx_texts_share(self) -> float: ...

    @property
    def ptx_examples_per_response(self) -> float | None: ...

    @property
    def ptx_examples_per_minibatch(self) -> int | None: ...

    @property
    def responses_per_minibatch(self) -> int: ...


def require_possible_ptx(options: PtxOptions) -> None:
    """Raises ValueError."""
    if not 0.0 <= options.ptx_texts_share <= 1.0:
        raise ValueError(f"ptx_texts_share must be between 0 and 1, found {options.ptx_texts_share}")
    require_at_least("ptx_coefficient", options.ptx_coefficient, 0)
    each, count = options.ptx_examples_per_response, options.ptx_examples_per_minibatch
    if each is not None and not 0.0 < each < math.inf:
        raise ValueError(f"ptx_examples_per_response must be a positive number, or null, found {each}")
    if count is not None:
        require_at_least("ptx_examples_per_minibatch", count, 0)
    if each is not None and count is not None:
        raise ValueError(
            f"ptx_examples_per_response is {each} and ptx_examples_per_minibatch {count}: give one of them, and null "
            "for the other"
        )
