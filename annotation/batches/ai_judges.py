"""Language models that judge a batch beside people: their judgments count and are none of its overlap."""

from django.db.models import Count, IntegerField, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from annotation.models import AIJudging, Batch, CurrentJudgment


def ai_beside_people(batch: Batch) -> Coalesce | Value:
    """Of a task of the batch: how many judgments that count are a judge's who takes no slot."""
    judges = list(
        AIJudging.objects.filter(batch=batch, takes_slots=False)
        .values_list("annotator", flat=True)
        .distinct()
    )
    if not judges:
        return Value(0)
    theirs = CurrentJudgment.objects.filter(
        task=OuterRef("pk"),
        annotator__in=judges,
        judgment__surplus=False,
        judgment__withdrawn=False,
    )
    counted = theirs.order_by().values("task").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))
