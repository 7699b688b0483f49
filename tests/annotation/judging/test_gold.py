import pytest

from annotation.errors import InvalidJudgment
from annotation.judging.gold import set_gold_judgment
from annotation.models import GoldJudgment

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.mark.parametrize("purpose", ["gold", "practice"])
def test_the_known_judgment_of_a_task_is_replaced_when_it_is_set_again(max_, make_batch, purpose):
    task = make_batch(tasks=1, task_fields=lambda number: {"purpose": purpose}).tasks.get()
    a, b = task.task_responses.values_list("response_id", flat=True)
    set_gold_judgment(actor=max_, task=task, tiers=[[a], [b]], strengths=[1])
    set_gold_judgment(actor=max_, task=task, tiers=[[b], [a]], strengths=[3], explanation="Shorter.")
    gold = GoldJudgment.objects.get()
    assert (gold.task, gold.tiers, gold.strengths, gold.explanation) == (task, [[b], [a]], [3], "Shorter.")
    assert task.gold_judgment == gold


def test_a_normal_task_has_no_known_judgment_and_a_known_one_is_a_weak_order(max_, make_batch):
    normal = make_batch(tasks=1).tasks.get()
    gold = make_batch(tasks=1, task_fields=lambda number: {"purpose": "gold"}).tasks.get()
    for task, tiers in ((normal, [[1], [2]]), (gold, [[-1], [-2]])):
        with pytest.raises(InvalidJudgment):
            set_gold_judgment(actor=max_, task=task, tiers=tiers, strengths=[1])
    assert not GoldJudgment.objects.exists()
