"""When a run that learns from a reward says that something goes wrong. Light: no torch."""

from dataclasses import dataclass
from typing import Literal

from learning.interface.options import added_option
from learning.interface.training_options import require_at_least


@dataclass(frozen=True, kw_only=True)
class AlarmOptions:
    """Signs of collapse and of over-optimisation, looked for after each step of the policy: means over the last
    `window` steps, beside those over the first ones.
    """

    # note: a sentence on the run's page. pause: a checkpoint, and the run waits for a manager, who has it go on or end
    # with the best checkpoint from before the alarm. With both the best checkpoint so far is kept.
    action: Literal["off", "note", "pause"] = "note"
    window: int = 10  # steps
    # Collapse is all three at once: longer responses, a lower perplexity of them, and a KL above its limit (Secrets of
    # RLHF I, 5.2 and its figure 4). The limits are ours.
    length_rise: float = 0.25  # share of the first length
    perplexity_fall: float = 0.25  # share of the first perplexity
    kl_limit: float = 10.0  # nats a response
    # Over-optimisation: the mean score is above all that the reward model gave its held-out comparisons. None: its own
    # figure, where it has one; of several reward models each its own.
    score_limit: float | None = None
    spread_rise: float = 0.5  # share of the first spread of an ensemble's models
    # Over-optimisation: fewer answers than this among those that the reward model learned from are like the policy's
    # own. At a KL of k nats a response they are all of them times exp(-k) (Chatterjee and Diaconis 2018). None: it is
    # not looked at.
    supporting_answers: float | None = added_option(100.0, before=None)
    # Nats a token, between who samples the rollouts (a server) and the policy that learns: above it their weights say
    # little any more. Ours.
    sampler_kl_limit: float = added_option(0.05, before=0.05)

    def __post_init__(self) -> None:
        require_at_least("window", self.window, 1)
        for name in ("length_rise", "kl_limit", "spread_rise", "sampler_kl_limit"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)}")
        if self.supporting_answers is not None and not self.supporting_answers > 0:
            raise ValueError(f"supporting_answers must be positive or null, found {self.supporting_answers}")
        if not 0.0 < self.perplexity_fall < 1.0:
            raise ValueError(f"perplexity_fall must be between 0 and 1, found {self.perplexity_fall}")
