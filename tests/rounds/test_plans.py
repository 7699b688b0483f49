import json

import pytest

from learning.interface.options import UserError
from rounds.plans import PRESETS, load_plan, override_plan, plan_to_dict, preset_plan


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_survives_being_recorded(name):
    plan = preset_plan(name)
    assert load_plan(json.loads(json.dumps(plan_to_dict(plan)))) == plan
    assert plan.preset == name


def test_an_unknown_preset_is_refused_with_the_known_names():
    with pytest.raises(UserError, match="instructgpt"):
        preset_plan("best")


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("sampling", {"prompts": 0}),
        ("sampling", {"responses_a_task": 1}),
        ("sampling", {"responses_a_task": 10}),
        ("sampling", {"temperatures": ()}),
        ("sampling", {"temperatures": (0.0,)}),
        ("sampling", {"temperatures": (float("nan"),)}),
        ("sampling", {"temperatures": (1.0, float("inf"))}),
        ("annotation", {"overlap": 51}),
        ("annotation", {"hours": 1e8}),
        ("annotation", {"hours": float("nan")}),
        ("annotation", {"quota": 0}),
        ("annotation", {"hours": -1.0}),
        ("annotation", {"head_to_head_share": 0.9}),
        ("annotation", {"annotator_kinds": ("robot",)}),
    ],
)
def test_a_bad_value_is_refused_and_named(part, values):
    with pytest.raises(UserError) as caught:
        override_plan(preset_plan("tiny"), **{part: values})
    assert next(iter(values)).split("_")[0] in str(caught.value).lower()


def test_a_recorded_plan_with_an_unknown_key_is_refused():
    mapping = plan_to_dict(preset_plan("tiny"))
    mapping["sampling"]["tempreature"] = 1
    with pytest.raises(UserError, match="tempreature"):
        load_plan(mapping)
