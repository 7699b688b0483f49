"""How good a policy really is: its answers to held-out prompts, read by the gold judge without noise."""

import statistics
from dataclasses import dataclass

from annotation.models import Response
from demo.gold_judge import gold_score
from demo.grammar import fluency
from policy_training.models import Policy
from runs.models import Run


@dataclass(frozen=True)
class GoldFigures:
    mean: float
    sd: float  # spread over responses
    fluency: float  # share of sentences that the grammar could have written
    responses: int


def gold_figures(policy: Policy, sampling: Run) -> GoldFigures:
    """Of the responses a finished sampling run brought from the policy."""
    prefix = sampling.config["id_prefix"]
    responses = Response.objects.filter(
        project=policy.project, source=policy.source, external_id__startswith=prefix
    ).select_related("prompt")
    scores, fluent = [], []
    for response in responses:
        scores.append(gold_score(response.prompt.messages, response.text))
        fluent.append(fluency(response.text))
    return GoldFigures(
        statistics.fmean(scores), statistics.pstdev(scores), statistics.fmean(fluent), len(scores)
    )
