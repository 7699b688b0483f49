"""Which batches a round learns from: its reward model, and steps that learn from judgments themselves."""

from django.db.models import Q

from annotation.models import Batch
from rounds.models import Round
from rounds.plans import RoundPlan


def training_batches(round_: Round, plan: RoundPlan) -> list[Batch] | None:
    """The batches the plan names and the round's own; None: all."""
    if not plan.batches:
        return None
    of_round = Q(round_number=round_.number) | Q(name__in=plan.batches)
    return list(Batch.objects.for_datasets(round_.project).filter(of_round).order_by("pk"))
