"""Reward functions run apart from the trainer, within a time limit, and name themselves when they fail."""

import json
import os
import re
import sys
import textwrap
from pathlib import Path

import pytest

from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.training_options import RuntimeOptions
from policy_training.training.reward_config import EXACT_ANSWER, LENGTH_PENALTY, RewardFunctionPart
from policy_training.training.rewards.function_calls import (
    ALLOWED_VARIABLE,
    RewardFunction,
    require_functions,
)
from policy_training.training.rewards.functions import exact_answer, length_penalty
from policy_training.training.rewards.prompt_records import record_of_row

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

def seen(prompts, responses, records):
    raise ValueError(repr(records))

def with_an_option(prompts, responses, scale=2.0):
    return [scale for _ in responses]

def records_if_there(prompts, responses, records=None):
    return [float(len(records or ())) for _ in responses]

def by_another_name(prompts, responses, of_prompts):
    return [float(record["metadata"]["level"]) for record in of_prompts]

by_another_name.needs = ("level", "reference")

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


def row(prompt_id: str, columns: dict | None = None, tags: tuple[str, ...] = ()) -> dict:
    return {
        "prompt_id": prompt_id,
        "tags": list(tags),
        "metadata": None if columns is None else json.dumps(columns),
    }


def test_a_third_parameter_gets_the_records_and_functions_with_two_stay_as_they_were(function):
    rows = [row("p0", {"answer": 4, "level": 1.5}, ("sums",)), {"prompt_id": "p1"}]
    records = [record_of_row(one) for one in rows]
    with pytest.raises(UserError) as told:
        function("seen")(PROMPTS, ["", ""], records)
    assert str(
        [
            {
                "prompt_id": "p0",
                "tags": ["sums"],
                "source_id": None,
                "metadata": {"answer": 4, "level": 1.5},
                "reference": "4",
            },
            {"prompt_id": "p1", "tags": [], "source_id": None, "metadata": {}, "reference": None},
        ]
    ) in str(told.value)
    assert function("with_an_option")(PROMPTS, ["", ""], records) == [2.0, 2.0]
    assert function("records_if_there")(PROMPTS, ["", ""], records) == [2.0, 2.0]
    assert function("by_another_name")(PROMPTS[:1], [""], records[:1]) == [1.5]


def test_a_prompt_without_what_a_function_needs_is_named_before_models_are_loaded(function):
    part = function("by_another_name").part
    alone = DistributedContext.start(RuntimeOptions())
    whole = [row("p0", {"level": 1, "ground_truth": "x"}), row("p1", {"level": 0, "reference_answer": "y"})]
    require_functions([part], whole, alone)
    with pytest.raises(
        UserError, match=r"by_another_name: the prompt 'p2' has no 'level', and neither have 1 others"
    ):
        require_functions([part], [*whole, row("p2", {"answer": "z"}), row("p3")], alone)
    exact = RewardFunctionPart(function=EXACT_ANSWER)
    with pytest.raises(
        UserError, match=r"exact_answer: the prompt 'p9' has no reference answer \(one of the col"
    ):
        require_functions([exact], [*whole, row("p9", {"answer": ["a", "b"]})], alone)
    with pytest.raises(UserError, match=r"metadata of the prompt 'p8' is not the text of a JSON object"):
        require_functions([exact], [{"prompt_id": "p8", "metadata": "[1"}], alone)


@pytest.mark.parametrize(
    ("response", "reference", "right"),
    [
        # GSM8K's answers end with #### and the number.
        ("48 / 2 = 24, and 48 + 24 = 72", "She sold 48/2 = 24 in May.\n#### 72", True),
        ("72 at first, then 24", "#### 72", False),
        ("#### 72\nThat is 3 dozen.", "#### 72", True),
        ("1,234 is it", "1234.0", True),
        ("The answer is $18.00 a day for 3 days.", "18", True),
        ("**Answer**:\n42", "42", True),
        ("Answer: none", "42", False),
        ("x = \u22123", "-3", True),
        ("from 5-3", "3", True),
        ("one of 1,2,3", "3", True),
        ("Half: 0.50", "50%", False),
        # A point before any digit belongs to the number, and a part of a fraction is none.
        ("The answer is 5", ".5", False),
        ("The answer is 0.5", ".5", True),
        ("The answer is .5", "0.5", True),
        ("answer: 2/4", "2", False),
        ("She ate 1/2, then 3 / 4", "4", False),
        ("72/2=36", "36", True),
        ("#### -$5", "-5", True),
        ("I think of it. The answer is  the red FOX.", "The red fox", True),
        ("the red fox", "answer: The red fox", True),
        ("It is the red fox", "the red fox", False),
        ("", "the red fox", False),
        ("", "####", False),
    ],
)
def test_an_exact_answer_by_its_rule(response, reference, right):
    records = [{"reference": reference}]
    assert exact_answer(PROMPTS[:1], [response], records) == [float(right)]


def test_the_guides_unit_tests_pass_the_program_that_is_right_and_end_the_others(tmp_path, monkeypatch):
    guide = (Path(__file__).parents[3] / "docs" / "researcher-guide.md").read_text()
    [code] = re.findall(r"test_reward_functions\.py runs it -->\n```python\n(.*?)\n```\n\n", guide, re.DOTALL)
    (tmp_path / "executed.py").write_text(code.replace("SECONDS, MEMORY = 5,", "SECONDS, MEMORY = 1,"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setenv(ALLOWED_VARIABLE, "executed.unit_tests")
    part = RewardFunctionPart(function="executed.unit_tests")
    rows = [row("p0", {"tests": "assert double(2) == 4 and double(-1) == -2"})]
    require_functions([part], rows, DistributedContext.start(RuntimeOptions()))
    programs = [
        "Here it is:\n```python\ndef double(x):\n    return 2 * x\n```\nDone.",
        "def double(x):\n    return x * x",
        "def double(x):\n    return",
        "while True: pass",
        "hold = bytearray(2**30)\ndef double(x):\n    return 2 * x",
        "def double(x)",
        "\0",
    ]
    records = [record_of_row(one) for one in rows] * len(programs)
    function = RewardFunction(part)
    try:
        assert function(PROMPTS[:1] * len(programs), programs, records) == [1.0] + [0.0] * 6
    finally:
        function.close()


def test_the_length_penalty_is_a_point_for_every_hundred_characters():
    assert length_penalty(PROMPTS, ["", "x" * 250]) == [0.0, -2.5]
