"""What a reward model can speak for: how far away a policy may be, and how high it scored what it was tested on."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from policy_training.training.alarms.alarms import AlarmWatch, RewardLimits, supported_kl
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.alarms.steps import compare_ends, reward_limits, unknown_support
from policy_training.training.reward_config import RewardFunctionPart, RewardModelPart, RewardSourcesOptions

OPTIONS = AlarmOptions(window=1000)  # nothing else looks before step 2000


def row(kl, responses=128):
    return {
        "responses": responses,
        "kl": kl,
        "response_tokens": 10.0,
        "response_perplexity": 4.0,
        "score": 0.0,
    }


def steps_raised(rows, limits, options=OPTIONS):
    watch = AlarmWatch()
    return {
        step: found
        for step, metrics in enumerate(rows, 1)
        if (found := watch.look(metrics, options, step=step, limits=limits))
    }


def scorer_of(*answers, highest=()):
    """Of reward models that learned from so many answers, and whose highest scores of held-out ones were these; None:
    from before they said so. The further ones are called 0, 1 and so on.
    """
    highest = highest or [None] * len(answers)
    models = [
        SimpleNamespace(
            reward_model=SimpleNamespace(
                model=SimpleNamespace(
                    config=SimpleNamespace(
                        **({} if count is None else {"labelled_answers": count}),
                        **({} if most is None else {"reward_range": [-9.0, most]}),
                    )
                )
            )
        )
        for count, most in zip(answers, highest, strict=True)
    ]
    return SimpleNamespace(
        reward_model=models[0].reward_model, further_scorers={str(n): m for n, m in enumerate(models[1:])}
    )


@pytest.mark.parametrize("kl", [0.5, 2.0, 4.0])
def test_at_the_limit_the_weights_of_the_labelled_answers_are_those_of_the_supporting_ones(kl):
    """Where a share exp(-KL) of one policy's answers are all of the other's, KL and weights can be counted."""
    share = math.exp(-kl)
    n = 200_000
    other = np.random.default_rng(0).random(n) < share
    weights = other / share
    effective = weights.sum() ** 2 / (weights**2).sum()
    assert supported_kl(n, effective) == pytest.approx(kl, abs=0.05)


def test_few_answers_support_nothing_and_ten_times_as_many_two_nats_more():
    assert supported_kl(80, 100.0) == supported_kl(100, 100.0) == 0.0
    assert supported_kl(20_000, 100.0) - supported_kl(2000, 100.0) == pytest.approx(2.302585, abs=1e-6)


def test_the_step_that_is_too_far_raises_it_once_without_waiting_for_windows():
    limits = RewardLimits(kl=3.0)
    found = steps_raised([row(0.0), row(2.9), row(3.0), row(3.4), row(9.0)], limits)
    assert found == {
        4: [
            "Alarm at step 4: the policy is 3.4 nats a response away from its reference, above 3.0: fewer than 100 of "
            "the answers that the reward model learned from are like its own."
        ]
    }
    assert steps_raised([row(9.0)], RewardLimits()) == {}
    assert steps_raised([row(9.0)], limits, AlarmOptions(supporting_answers=None)) == {}
    assert steps_raised([row(9.0)], limits, AlarmOptions(action="off")) == {}


def test_small_steps_are_taken_together():
    """Of 32 responses a step four make 128: the fourth step's mean is 3.25, the fifth's 4.25."""
    kls = [0.0, 4.0, 4.0, 5.0, 4.0]
    assert list(steps_raised([row(kl, 32) for kl in kls], RewardLimits(kl=3.5))) == [5]
    assert list(steps_raised([row(kl, 256) for kl in kls], RewardLimits(kl=3.5))) == [2]


def test_a_manager_who_has_the_run_go_on_is_not_asked_again():
    watch, limits = AlarmWatch(), RewardLimits(kl=1.0)
    assert len(watch.look(row(2.0), OPTIONS, step=1, limits=limits)) == 1
    watch.start_anew()
    again = AlarmWatch()
    again.load_state_dict(watch.state_dict())
    assert again == watch and again.look(row(5.0), OPTIONS, step=2, limits=limits) == []


def test_the_reward_model_with_the_fewest_answers_decides_and_one_without_weight_does_not():
    options = AlarmOptions()
    single = reward_limits(options, RewardSourcesOptions(), scorer_of(2000))
    assert single.kl == pytest.approx(math.log(20)) and single.score is None
    second = RewardModelPart(name="second", path="x")
    both = RewardSourcesOptions(models=(second,))
    assert reward_limits(options, both, scorer_of(2000, 400)).kl == pytest.approx(math.log(4))
    assert reward_limits(options, both, scorer_of(2000, None)).kl is None
    unused = RewardSourcesOptions(models=(RewardModelPart(name="second", path="x", weight=0.0),))
    assert reward_limits(options, unused, scorer_of(2000, 400)).kl == pytest.approx(math.log(20))
    functions = RewardSourcesOptions(
        weight=0.0, functions=(RewardFunctionPart(function="rewards.length_penalty"),)
    )
    assert reward_limits(options, functions, scorer_of(2000)).kl is None


def test_a_run_that_may_pause_says_where_this_alarm_cannot_come():
    pausing, old = AlarmOptions(action="pause"), RewardLimits()
    [sentence] = unknown_support(pausing, old)
    assert "does not say how many answers it learned from" in sentence
    assert unknown_support(pausing, RewardLimits(kl=1.0)) == unknown_support(AlarmOptions(), old) == []
    assert unknown_support(AlarmOptions(action="pause", supporting_answers=None), old) == []


def test_a_training_measured_at_its_ends_is_held_against_it_too():
    [sentence] = compare_ends(row(0.0), row(2.0), AlarmOptions(), RewardLimits(kl=1.5))
    assert sentence.startswith("Alarm: the policy is 2.0 nats a response away")


LENGTH = RewardFunctionPart(function="rewards.length_penalty")


@pytest.mark.parametrize(
    ("sources", "highest", "score", "parts"),
    [
        (RewardSourcesOptions(), (3.0,), 3.0, {}),
        (RewardSourcesOptions(), (None,), None, {}),
        # What is added has no range, so the reward model is watched by itself.
        (RewardSourcesOptions(functions=(LENGTH,)), (3.0,), None, {"reward_model": 3.0}),
        (RewardSourcesOptions(weight=2.0), (3.0,), None, {"reward_model": 3.0}),
        (RewardSourcesOptions(normalize_models=True), (3.0,), None, {"reward_model": 3.0}),
        (RewardSourcesOptions(weight=0.0, functions=(LENGTH,)), (3.0,), None, {}),
    ],
)
def test_each_reward_model_is_held_against_its_own_range(sources, highest, score, parts):
    found = reward_limits(AlarmOptions(), sources, scorer_of(2000, highest=highest))
    assert (found.score, found.parts) == (score, parts)


def test_of_several_reward_models_the_one_that_leaves_its_range_is_named():
    """Their sum stays what it was. A score that is given is of the sum, and takes the place of the ranges."""
    both = RewardSourcesOptions(models=(RewardModelPart(name="0", path="x"),))
    scorer = scorer_of(2000, 2000, highest=(3.0, 2.0))
    limits = reward_limits(AlarmOptions(), both, scorer)
    assert limits.parts == {"reward_model": 3.0, "0": 2.0}
    assert reward_limits(AlarmOptions(score_limit=9.0), both, scorer).parts == {}
    watch, options = AlarmWatch(), AlarmOptions(window=1)
    steps = [(1.0, 2.0), (3.0, 0.0), (4.0, -1.0), (5.0, -2.0)]  # (first, further model)
    found = [
        watch.look(
            row(0.0) | {"score": 3.0, "score_reward_model": first, "score_0": further},
            options,
            step=step,
            limits=limits,
        )
        for step, (first, further) in enumerate(steps, 1)
    ]
    assert found == [
        [],
        [],
        [
            "Alarm at step 3: the mean score of reward_model, 4.00, is above 3.00, which it gave none of the answers "
            "it was tested on."
        ],
        [],
    ]
    watch.start_anew()
    assert watch.raised == {"score_reward_model": 3}
    [sentence] = compare_ends(
        row(0.0) | {"score_0": 0.0}, row(0.0) | {"score_0": 2.5}, AlarmOptions(), limits
    )
    assert sentence.startswith("Alarm: the mean score of 0, 2.50, is above 2.00")
