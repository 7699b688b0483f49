import pytest

from rounds.plans import override_plan, preset_plan
from rounds.stages.machine import advance_round
from runs.models import Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_sampling_queues_one_run_a_policy_once_however_often_it_ticks(begin, make_policy):
    make_policy("older")
    plan = override_plan(preset_plan("tiny"), sampling={"other_policies": ("older",), "prompts": 5})
    round_ = begin(plan=plan)
    assert advance_round(round_.pk)
    assert not advance_round(round_.pk)
    runs = Run.objects.all()
    assert {run.parameters["policy"] for run in runs} == {link.policy_id for link in round_.round_runs.all()}
    assert len(runs) == 2
    assert all(len(run.parameters["prompt_ids"]) == 5 for run in runs)
