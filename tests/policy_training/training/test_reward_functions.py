"""Reward functions run apart from the trainer, within a time limit, and name themselves when they fail."""

import os
import sys
import textwrap

import pytest

from learning.interface.options import UserError
from policy_training.training.reward_config import LENGTH_PENALTY, RewardFunctionPart
from policy_training.training.rewards.function_calls import ALLOWED_VARIABLE, RewardFunction
from policy_training.training.rewards.functions import length_penalty

PROMPTS = [[{"role": "user", "content": "What is 2 + 2?"}], [{"role": "user", "content": "And 3 + 3?"}]]

MODULE = '''
import os, sys, time

def question_mark(prompts, responses):
    print("a function may print")
    asked = [messages[-1]["content"].count("+") for messages in prompts]
    return [float(n) + 10 * text.count("4") for n, text in zip(asked, responses)]

def too_few(prompts, responses):
    return [1.0]

def not_a_number(prompts, responses):
    return [float("nan") for _ in responses]

def words(prompts, responses):
    return ["good", "bad"]

def fails(prompts, responses):
    return [1 / len(text) for text in responses]

def hangs(prompts, responses):
    while True:
        time.sleep(60)

def ends(prompts, responses):
    os._exit(7)

def sentences(prompts, responses):
    """A point for each sentence, where it ends; a text without one gets a number."""
    ends = [[place + 1 for place, sign in enumerate(text) if sign == "."] for text in responses]
    return [[(end, 1.0 + number) for number, end in enumerate(own)] if own else -2 for own in ends]

def too_far(prompts, responses):
    return [[(len(text) + 1, 1.0)] for text in responses]

def no_pairs(prompts, responses):
    return [[1.0] for _ in responses]

number = 4
'''


@pytest.fixture
def function(tmp_path, monkeypatch):
    """A factory of functions of a module that stands in the setting."""
    (tmp_path / "our_rewards.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    made = []

    def build(name: str, *, allowed: bool = True, **options) -> RewardFunction:
        dotted = f"our_rewards.{name}"
        monkeypatch.setenv(ALLOWED_VARIABLE, f"other.function, {dotted}" if allowed else "other.function")
        made.append(RewardFunction(RewardFunctionPart(function=dotted, **options)))
        return made[-1]

    yield build
    for one in made:
        one.close()


def test_it_gets_messages_and_texts_and_gives_a_number_a_response(function):
    rewards = function("question_mark")
    assert rewards(PROMPTS, ["It is 4.", "\u2028 6 \u00e9"]) == [11.0, 1.0]
    first = rewards._process.pid
    assert rewards(PROMPTS, ["44", ""]) == [21.0, 1.0]
    assert rewards._process.pid == first


def test_rewards_of_steps_stand_where_the_steps_end(function):
    rewards = function("sentences")
    assert rewards(PROMPTS, ["One. Two.", "none"]) == [[(4, 1.0), (9, 2.0)], -2.0]


def test_only_functions_of_the_setting_and_built_in_ones_run(function):
    with pytest.raises(
        UserError, match=r"our_rewards\.question_mark is not allowed here; name it in ROUNDTABLE_"
    ):
        function("question_mark", allowed=False)
    assert RewardFunction(RewardFunctionPart(function=LENGTH_PENALTY)).part.weight == 1.0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("too_few", "returned 1 rewards for 2 responses"),
        ("not_a_number", "returned nan, which is no finite number"),
        ("words", "failed .ValueError: could not convert string to float"),
        ("fails", "failed .ZeroDivisionError: "),
        ("too_far", "returned a step that ends at 1 of 0 characters"),
        ("no_pairs", "failed .TypeError: "),
        ("ends", "its process ended .exit code 7"),
        ("missing", "cannot be imported .AttributeError: "),
        ("number", "cannot be imported .TypeError: our_rewards.number is a int, not a function"),
    ],
)
def test_what_goes_wrong_names_the_function(function, name, sentence):
    rewards = function(name)
    with pytest.raises(UserError, match=rf"the reward function our_rewards\.{name}: .*{sentence}"):
        rewards(PROMPTS, ["", ""])
    assert rewards._process is None


def test_a_function_that_takes_too_long_is_ended(function):
    rewards = function("hangs", time_limit_seconds=2.0)
    with pytest.raises(UserError, match=r"took longer than its limit of 2 seconds"):
        rewards(PROMPTS, ["", ""])
    assert rewards._process is None


def test_the_length_penalty_is_a_point_for_every_hundred_characters():
    assert length_penalty(PROMPTS, ["", "x" * 250]) == [0.0, -2.5]
