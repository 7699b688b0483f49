"""A plan that names batches: the reward model learns from these and from the round's own."""

from dataclasses import replace

import pytest

from annotation.batches.exclusion import exclude_batch
from annotation.models import Batch
from rounds.plans import load_plan, plan_to_dict
from rounds.stages.scoring import plan_of_next_round
from rounds.training_batches import training_batches

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_named_batches_and_the_rounds_own(begin, project, criterion, max_, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    round_ = begin()
    plan = load_plan(round_.plan)
    for name, number in (("old", None), ("other", None), (f"Round {round_.number}", round_.number)):
        Batch.objects.create(
            project=project, criterion=criterion, name=name, kind="pairwise", responses_per_task=2, overlap=1,
            round_number=number,
        )  # fmt: skip
    assert training_batches(round_, plan) is None
    assert plan_of_next_round(round_) == round_.plan
    chosen = replace(plan, batches=("old",))
    own = list(Batch.objects.filter(round_number=round_.number).values_list("name", flat=True))
    assert {batch.name for batch in training_batches(round_, chosen)} == {"old", *own}
    round_.plan = plan_to_dict(chosen)
    assert load_plan(plan_of_next_round(round_)).batches == ("old", *own)
    exclude_batch(actor=max_, batch=Batch.objects.get(name="old"))
    assert {batch.name for batch in training_batches(round_, chosen)} == set(own)
