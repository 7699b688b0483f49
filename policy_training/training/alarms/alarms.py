"""Signs of collapse and over-optimisation in the metrics of steps. Pure, but for the state a checkpoint keeps."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from learning.checkpoints import DataclassState
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.rewards.sources import SPREAD

LENGTH, PERPLEXITY, KL, SCORE = "response_tokens", "response_perplexity", "kl", "score"
ENSEMBLE_SPREAD = f"score_{SPREAD}"
SAMPLER_KL = "sampler_kl"
WATCHED = (LENGTH, PERPLEXITY, KL, SCORE, ENSEMBLE_SPREAD, SAMPLER_KL)
# What the best checkpoint is chosen by (ppo/objective.py): of a step's own rollouts, and of held-out prompts.
OBJECTIVE = "penalised_score"
HELD_OUT_OBJECTIVE = f"eval_{OBJECTIVE}"
RESPONSES = "responses"
KL_RESPONSES = 128  # the mean KL of the last steps is over at least so many: of fewer it is noise


@dataclass(frozen=True, kw_only=True)
class RewardLimits:
    """What the reward model can speak for. None: it does not say."""

    score: float | None = None  # no score of a held-out answer is above it
    # Of a score that is made of several, by reward model (the part's name): as `score`, of its own scores.
    parts: Mapping[str, float] = field(default_factory=dict)
    kl: float | None = None  # nats a response, see `supported_kl`


def part_metric(part: str) -> str:
    """What a step's metrics call the mean of a part of the score."""
    return f"{SCORE}_{part}"


def supported_kl(answers: int, supporting: float) -> float:
    """Nats a response from the policy of the `answers` that were labelled, where `supporting` of them still count.

    n answers of one policy say as much about another as n exp(-KL) of its own: importance sampling needs exp(KL)
    samples, and not many fewer (Chatterjee and Diaconis 2018, The sample size required in importance sampling,
    theorem 1.1). 0 where there are no more than `supporting`.
    """
    return max(0.0, math.log(answers / supporting))


@dataclass
class AlarmWatch(DataclassState):
    """What was seen so far. `raised`: kind of alarm -> the policy's step."""

    first: dict[str, list[float]] = field(default_factory=dict)  # of the first steps, or since a pause
    last: dict[str, list[float]] = field(default_factory=dict)
    seen: int = 0  # steps since `first` began
    raised: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kls: list[list[float]] = field(default_factory=list)  # (responses, KL) of the last steps

    def look(
        self, metrics: Mapping[str, Any], options: AlarmOptions, *, step: int, limits: RewardLimits
    ) -> list[str]:
        """Sentences of the alarms that this step raises. An alarm is raised once, until `start_anew`."""
        if options.action == "off":
            return []
        self.see(metrics, window=options.window, parts=limits.parts)
        # Before that the last steps would be among the first.
        is_comparable = self.seen >= 2 * options.window
        found = self.found(options, limits) if is_comparable else self._too_far(options, limits)
        new = {kind: words for kind, words in found.items() if kind not in self.raised}
        self.raised |= dict.fromkeys(new, step)
        sentences = [f"Alarm at step {step}: {words}." for words in new.values()]
        self.notes += sentences
        return sentences

    def see(self, metrics: Mapping[str, Any], *, window: int, parts: Iterable[str] = ()) -> None:
        """Take in what one step measured, of the score also these parts."""
        self.seen += 1
        for name in (*WATCHED, OBJECTIVE, *map(part_metric, parts)):
            if name in metrics:
                value = float(metrics[name])
                if self.seen <= window:
                    self.first.setdefault(name, []).append(value)
                self.last[name] = [*self.last.get(name, []), value][-window:]
        if KL in metrics:
            self.kls.append([float(metrics.get(RESPONSES, KL_RESPONSES)), float(metrics[KL])])
            while sum(responses for responses, _ in self.kls[1:]) >= KL_RESPONSES:
                del self.kls[0]

    def found(self, options: AlarmOptions, limits: RewardLimits) -> dict[str, str]:
        """Kind of alarm -> its words, for those that what was seen gives reason for."""
        words = {
            "collapse": self._collapse(options),
            "score": self._score_out_of_range(SCORE, limits.score),
            **{
                part_metric(part): self._score_out_of_range(part_metric(part), limit, part)
                for part, limit in limits.parts.items()
            },
            "spread": self._spread(options),
            "sampler": self._sampler(options),
        }
        return {kind: said for kind, said in words.items() if said} | self._too_far(options, limits)

    def start_anew(self) -> None:
        """After a pause: what is now is what later steps are compared with. A score out of range stays so, and a KL."""
        self.first, self.last, self.seen = {}, {}, 0
        self.raised = {
            kind: step for kind, step in self.raised.items() if kind == "support" or kind.startswith(SCORE)
        }

    def objective(self) -> float | None:
        """Mean over the last steps of the score minus the KL penalty; None once an alarm was raised: no
        later step is best.
        """
        values = self.last.get(OBJECTIVE)
        return sum(values) / len(values) if values and not self.notes else None

    def _levels(self, name: str) -> tuple[float, float] | None:
        first, last = self.first.get(name), self.last.get(name)
        return (sum(first) / len(first), sum(last) / len(last)) if first and last else None

    def _collapse(self, options: AlarmOptions) -> str:
        length, perplexity, kl = (self._levels(name) for name in (LENGTH, PERPLEXITY, KL))
        if length is None or perplexity is None or kl is None:
            return ""
        is_longer = length[1] >= length[0] * (1.0 + options.length_rise)
        is_surer = perplexity[1] <= perplexity[0] * (1.0 - options.perplexity_fall)
        if not (is_longer and is_surer and kl[1] >= options.kl_limit):
            return ""
        return (
            f"it looks like a collapse: responses of {length[1]:.1f} tokens instead of {length[0]:.1f}, with "
            f"perplexity {perplexity[1]:.2f} instead of {perplexity[0]:.2f}, and a KL of {kl[1]:.1f} nats"
        )

    def _score_out_of_range(self, metric: str, limit: float | None, part: str = "") -> str:
        score = self._levels(metric)
        if limit is None or score is None or score[1] <= limit:
            return ""
        whose, gave = (
            ("the mean score", "the reward model") if not part else (f"the mean score of {part}", "it")
        )
        return f"{whose}, {score[1]:.2f}, is above {limit:.2f}, which {gave} gave none of the answers it was tested on"

    def _too_far(self, options: AlarmOptions, limits: RewardLimits) -> dict[str, str]:
        responses = sum(responses for responses, _ in self.kls)
        if limits.kl is None or options.supporting_answers is None or responses < KL_RESPONSES:
            return {}
        kl = sum(responses * kl for responses, kl in self.kls) / responses
        if kl <= limits.kl:
            return {}
        return {
            "support": f"the policy is {kl:.1f} nats a response away from its reference, above {limits.kl:.1f}: fewer "
            f"than {options.supporting_answers:g} of the answers that the reward model learned from are like its own"
        }

    def _spread(self, options: AlarmOptions) -> str:
        spread = self._levels(ENSEMBLE_SPREAD)
        if spread is None or spread[0] <= 0.0 or spread[1] < spread[0] * (1.0 + options.spread_rise):
            return ""
        return (
            f"the reward models differ by {spread[1]:.2f} (standard deviation), at first by {spread[0]:.2f}"
        )

    def _sampler(self, options: AlarmOptions) -> str:
        kl = self._levels(SAMPLER_KL)
        if kl is None or kl[1] <= options.sampler_kl_limit:
            return ""
        return (
            f"the responses come from another distribution than the policy's: {kl[1]:.3f} nats a token apart, above "
            f"{options.sampler_kl_limit:g}"
        )
