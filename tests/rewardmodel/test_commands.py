"""The options of train_reward_model; its refusals are tested beside those of the policies' commands."""

import pytest

from rewardmodel.management.commands.train_reward_model import Command


@pytest.mark.parametrize("option", ["--annotator-kinds", "--kinds"])
def test_annotator_kinds_may_be_written_in_the_old_way(option):
    parser = Command().create_parser("manage.py", "train_reward_model")
    arguments = ["kitchen", "taste", "--start", "base"]
    assert parser.parse_args(arguments).annotator_kinds == ["person"]
    assert parser.parse_args([*arguments, option, "simulated", "ai"]).annotator_kinds == ["simulated", "ai"]


def test_a_criterion_may_be_named_several_times():
    parser = Command().create_parser("manage.py", "train_reward_model")
    arguments = ["kitchen", "taste", "--start", "base"]
    assert parser.parse_args(arguments).criterion is None
    both = ["--criterion", "helpful", "--criterion", "harmless"]
    assert parser.parse_args([*arguments, *both]).criterion == ["helpful", "harmless"]
