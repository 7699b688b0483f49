import json

import pytest

from learning.interface.options import UserError
from rounds.plan_changes import override_plan
from rounds.plans import PRESETS, load_plan, plan_to_dict, preset_plan


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_survives_being_recorded(name):
    plan = preset_plan(name)
    assert load_plan(json.loads(json.dumps(plan_to_dict(plan)))) == plan
    assert plan.preset == name


def test_an_unknown_preset_is_refused_with_the_known_names():
    with pytest.raises(UserError, match="instructgpt"):
        preset_plan("best")


@pytest.mark.parametrize(
    ("part", "values", "named"),
    [
        ("sampling", {"prompts": 0}, "prompts"),
        ("sampling", {"responses_per_task": 1}, "responses"),
        ("sampling", {"responses_per_task": 10}, "responses"),
        ("temperatures", (), "temperature"),
        ("temperatures", (0.0,), "temperature"),
        ("temperatures", (float("nan"),), "temperature"),
        ("temperatures", (1.0, float("inf")), "temperature"),
        ("annotation", {"overlap": 51}, "overlap"),
        ("annotation", {"max_hours": 1e8}, "max_hours"),
        ("annotation", {"max_hours": float("nan")}, "max_hours"),
        ("annotation", {"quota": 0}, "quota"),
        ("annotation", {"max_hours": -1.0}, "max_hours"),
        ("annotation", {"head_to_head_share": 0.9}, "head"),
        ("annotation", {"annotator_kinds": ("robot",)}, "annotator"),
    ],
)
def test_a_bad_value_is_refused_and_named(part, values, named):
    with pytest.raises(UserError) as caught:
        override_plan(preset_plan("tiny"), **{part: values})
    assert named in str(caught.value).lower()


def test_processes_and_what_keeps_them_together_hold_for_all_that_a_round_runs():
    plan = override_plan(
        preset_plan("tiny"), processes=2, runtime={"backend": "deepspeed", "zero_stage": 1, "device": "auto"}
    )
    assert plan.processes == 2
    for runtime in (plan.reward_model.runtime, plan.policy.runtime):
        assert (runtime.backend, runtime.zero_stage, runtime.device) == ("deepspeed", 1, "auto")
    with pytest.raises(UserError, match="runtime: processes must be between 1 and 64, found 65"):
        override_plan(preset_plan("tiny"), processes=65)
    recorded = plan_to_dict(plan)
    recorded["policy"]["runtime"] |= {"backend": "torch"}
    with pytest.raises(UserError, match="policy.runtime: zero_stage 1 needs"):
        load_plan(recorded)
    recorded = plan_to_dict(preset_plan("tiny"))
    del recorded["processes"]  # as plans were recorded before
    assert load_plan(recorded).processes == 1


def test_a_recorded_plan_with_an_unknown_key_is_refused():
    mapping = plan_to_dict(preset_plan("tiny"))
    mapping["sampling"]["tempreature"] = 1
    with pytest.raises(UserError, match="tempreature"):
        load_plan(mapping)


def test_a_loss_of_ratings_is_refused_since_a_round_collects_comparisons():
    recorded = plan_to_dict(preset_plan("tiny"))
    recorded["reward_model"]["objective"] |= {"ranking_loss": "ordinal", "center_rewards_coefficient": 0.0}
    with pytest.raises(UserError, match="a round collects comparisons"):
        load_plan(recorded)
