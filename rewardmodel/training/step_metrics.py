"""The figures of one optimizer step of the reward model's training."""

from dataclasses import dataclass, field

import torch

from learning.distributed import DistributedContext
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.losses import Targets
from rewardmodel.training.total_loss import LossBreakdown


@dataclass
class StepMetrics:
    """Sums over the micro-batches of a step, for its line in metrics.jsonl."""

    sums: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("weight", "ranking", "lm", "correct", "pairs"), 0.0)
    )

    def add(self, losses: LossBreakdown, targets: Targets) -> None:
        weight_B = targets.weight_B
        untied = targets.is_untied_P
        difference_P = (losses.scores_N[targets.first_P] - losses.scores_N[targets.second_P])[untied]
        self.sums["weight"] += float(weight_B.sum())
        self.sums["ranking"] += float((losses.ranking.ranking_B.detach() * weight_B).sum())
        if losses.lm_B is not None:
            self.sums["lm"] += float((losses.lm_B.detach() * weight_B).sum())
        self.sums["correct"] += float((difference_P > 0).sum() + 0.5 * (difference_P == 0).sum())
        self.sums["pairs"] += len(difference_P)

    def means(self, distributed: DistributedContext, objective: ObjectiveOptions) -> dict[str, float | None]:
        """Over all processes: ranking loss, language-model loss if any, accuracy on the step's pairs."""
        values = torch.tensor(list(self.sums.values()), dtype=torch.float64, device=distributed.device)
        sums = dict(zip(self.sums, distributed.all_reduce_sum(values).tolist(), strict=True))
        return {
            "ranking_loss": sums["ranking"] / sums["weight"],
            **({"lm_loss": sums["lm"] / sums["weight"]} if objective.lm_coefficient > 0 else {}),
            "accuracy": sums["correct"] / sums["pairs"] if sums["pairs"] else None,
        }
