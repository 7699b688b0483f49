"""How good a policy really is: its responses to held-out prompts, scored by the gold judge without noise."""

import statistics
from dataclasses import dataclass

from annotation.models import Response
from demo.gold_judge import gold_score
from demo.grammar import fluency
from policy_training.models import Policy
from runs.models import Run


@dataclass(frozen=True)
class GoldEvaluation:
    mean: float
    sd: float  # spread over responses
    fluency: float  # share of sentences that the grammar could have written
    responses: int


def evaluate_with_gold(policy: Policy, sampling: Run) -> GoldEvaluation:
    """Of the responses a finished sampling run brought from the policy."""
    prefix = sampling.config["id_prefix"]
    responses = Response.objects.filter(
        project=policy.project, source=policy.source, external_id__startswith=prefix
    ).select_related("prompt")
    scores, fluent = [], []
    for response in responses:
        scores.append(gold_score(response.prompt.messages, response.text))
        fluent.append(fluency(response.text))
    return GoldEvaluation(
        statistics.fmean(scores), statistics.pstdev(scores), statistics.fmean(fluent), len(scores)
    )
