"""How often a reward model prefers what people preferred."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from annotation.models import Judgment
from rewardmodel.models import ResponseScore, RewardModel


@dataclass(frozen=True)
class RewardModelAgreement:
    """Untied pairs of people's judgments on which the reward model prefers the same response.

    A pair whose responses it scores alike (the same tokens after its cut) is half agreed with.
    """

    agreed: float
    pairs: int

    @property
    def share(self) -> float | None:
        return self.agreed / self.pairs if self.pairs else None


def reward_model_agreement(reward_model: RewardModel, judgments: Iterable[Judgment]) -> RewardModelAgreement:
    """Tiers say which of two responses a person put first; the scores say which one the reward model would."""
    judgments = list(judgments)
    response_pks = {pk for judgment in judgments for tier in judgment.tiers for pk in tier}
    scores = dict(
        ResponseScore.objects.filter(reward_model=reward_model, response__in=response_pks).values_list(
            "response_id", "reward"
        )
    )
    agreed, pairs = 0.0, 0
    for judgment in judgments:
        for better, worse in combinations(range(len(judgment.tiers)), 2):
            for winner in judgment.tiers[better]:
                for loser in judgment.tiers[worse]:
                    if winner in scores and loser in scores:
                        pairs += 1
                        difference = scores[winner] - scores[loser]
                        agreed += 0.5 if difference == 0 else float(difference > 0)
    return RewardModelAgreement(agreed, pairs)


def reward_model_agreement_by_annotator(
    reward_model: RewardModel, judgments: Any
) -> list[tuple[str, RewardModelAgreement]]:
    """The same for each annotator, by user name; those without an untied scored pair are left out."""
    by_name: dict[str, list[Judgment]] = {}
    for judgment in judgments.select_related("annotator"):
        by_name.setdefault(judgment.annotator.username, []).append(judgment)
    agreements = [
        (name, reward_model_agreement(reward_model, judgments_of_one))
        for name, judgments_of_one in sorted(by_name.items())
    ]
    return [(name, agreement) for name, agreement in agreements if agreement.pairs]
