"""The alarms that pause a run, and which checkpoint is the best."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
import torch

from learning.interface.options import UserError, load_options
from learning.interface.training_options import (
    EvaluationOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.run_context import PauseRequested
from policy_training.training.alarms.alarms import AlarmWatch, RewardLimits
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.alarms.steps import best_by, compare_ends
from policy_training.training.config import AdoptConfig
from policy_training.training.evaluation import compare
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.policy_gradient.config import PolicyGradientConfig, PolicyGradientOptions
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import AlgorithmOptions, PPOConfig, RewardOptions, RolloutOptions
from policy_training.training.ppo.objective import kl_weight_in_loss, penalised_score, score_deviation
from policy_training.training.rollouts.rollouts import Prompt, Rollout
from policy_training.training.rollouts.sampler import SampledResponse
from policy_training.training.weights import adopt
from tests.policy_training.training.conftest import create_run, in_process, launch, ppo_config, prompt_rows
from tests.policy_training.training.recipe_runs import assert_same_run, tensors
from tests.policy_training.training.test_best_of_n import config_of as best_of_n_config
from tests.policy_training.training.test_policy_gradient import gradient_config

NO_LIMITS = RewardLimits()


def row(tokens=10.0, perplexity=4.0, kl=0.0, score=0.0, spread=None, reward=0.0):
    found = {"response_tokens": tokens, "response_perplexity": perplexity, "kl": kl, "score": score}
    found["penalised_score"] = reward
    return found if spread is None else found | {"score_model_spread": spread}


def raised(rows, options, limits=NO_LIMITS):
    """{step: sentences} of the steps that raise something."""
    watch = AlarmWatch()
    found = {}
    for step, metrics in enumerate(rows, 1):
        if sentences := watch.look(metrics, options, step=step, limits=limits):
            found[step] = sentences
    return found


def test_a_collapse_is_longer_surer_and_farther_away_at_once():
    """Window 2: the first level is 10 tokens, perplexity 4. The last two steps of each: 13 and 12 tokens (12.5: +25 %),
    perplexity 3 and 3 (-25 %), KL 9 and 11 (10): the limits exactly.
    """
    options = AlarmOptions(window=2)
    calm = [row()] * 4
    collapsing = [*calm, row(13, 3, 9), row(12, 3, 11), row(20, 1, 90)]
    [(step, [sentence])] = raised(collapsing, options).items()
    assert step == 6
    assert sentence == (
        "Alarm at step 6: it looks like a collapse: responses of 12.5 tokens instead of 10.0, with perplexity 3.00 "
        "instead of 4.00, and a KL of 10.0 nats."
    )
    for name in ("response_tokens", "response_perplexity", "kl"):
        spared = [{**metrics, name: row()[name]} for metrics in collapsing]
        assert raised(spared, options) == {}, f"without {name}"
    assert raised(collapsing, AlarmOptions(window=2, action="off")) == {}


def test_scores_out_of_range_and_models_that_drift_apart():
    options = AlarmOptions(window=1)
    rows = [row(score=1.0, spread=2.0), row(score=3.0, spread=2.9), row(score=3.1, spread=3.0)]
    assert {step: len(found) for step, found in raised(rows, options, RewardLimits(score=3.0)).items()} == {
        3: 2
    }
    assert raised(rows, options) == {
        3: ["Alarm at step 3: the reward models differ by 3.00 (standard deviation), at first by 2.00."]
    }


def test_after_a_pause_levels_begin_anew_and_a_score_out_of_range_stays_known():
    options, watch = AlarmOptions(window=1), AlarmWatch()
    for step in (1, 2):
        found = watch.look(
            row(score=9.0, spread=float(step)), options, step=step, limits=RewardLimits(score=1.0)
        )
    assert len(found) == 2 and watch.objective() is None
    watch.start_anew()
    assert watch.look(row(score=9.0, spread=2.0), options, step=3, limits=RewardLimits(score=1.0)) == []
    assert watch.look(row(score=9.0, spread=2.0), options, step=4, limits=RewardLimits(score=1.0)) == []
    assert len(watch.look(row(score=9.0, spread=3.0), options, step=5, limits=RewardLimits(score=1.0))) == 1
    again = AlarmWatch()
    again.load_state_dict(watch.state_dict())
    assert again == watch


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"window": 0}, "window"),
        ({"perplexity_fall": 1.0}, "perplexity_fall must be between 0 and 1"),
        ({"kl_limit": 0}, "kl_limit must be positive"),
        ({"supporting_answers": 0}, "supporting_answers must be positive or null"),
        ({"action": "stop"}, "is not one of off, note, pause"),
    ],
)
def test_alarm_options_that_cannot_be_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        load_options(AlarmOptions, values)


@pytest.fixture
def alarming(policy_path, reward_model_path) -> PPOConfig:
    """The second step of the policy raises an alarm: every score is above the limit. Rates are constant, so that a
    shorter run takes the same steps.
    """
    base = ppo_config(policy_path, reward_model_path)
    return dataclasses.replace(
        base,
        policy_optimizer=OptimizerOptions(learning_rate=1e-3, schedule="constant"),
        rollout=dataclasses.replace(base.rollout, steps=4, prompts_per_step=2),
        critic=dataclasses.replace(base.critic, max_pretraining_updates=2),
        alarms=AlarmOptions(action="pause", window=1, score_limit=-1000.0),
        evaluation=EvaluationOptions(max_examples=4, evaluate_every_steps=1),
        runtime=RuntimeOptions(checkpoint_every_steps=100),  # none is due: the best is kept all the same
    )


def test_an_alarm_pauses_the_run_which_goes_on_or_ends_before_it(tmp_path, alarming):
    rows = prompt_rows(10)
    paused = create_run(tmp_path / "paused", "ppo", alarming, prompts=rows)
    launch(paused, expected=75)
    status = paused.status()
    assert status.outcome == "paused" and status.reason.startswith("Alarm at step ")
    assert "is above -1000.00" in status.reason and status.reason in status.notes
    assert paused.metrics()[0][-1]["phase"] == "policy"
    shutil.copytree(paused.path, tmp_path / "ended")

    # It goes on as if nothing had been: the alarm moves no weight.
    noted = dataclasses.replace(alarming, alarms=dataclasses.replace(alarming.alarms, action="note"))
    whole = create_run(tmp_path / "whole", "ppo", noted, prompts=rows)
    assert len(in_process(ppo, PPOConfig, whole)["alarms"]) == 1
    result = in_process(ppo, PPOConfig, paused)
    assert_same_run(whole, paused, "model", "critic")
    assert (result["steps"], result["ended_early_at_step"]) == (4, None) and result["alarms"] == [
        status.reason
    ]

    # It ends with the best checkpoint from before the alarm, which the first step of the policy made.
    ended = type(paused)(tmp_path / "ended")
    ended.ask_to_end()
    result = in_process(ppo, PPOConfig, ended)
    assert result["steps"] == 1 and result["alarms"] == [status.reason]
    assert result["ended_early_at_step"] == paused.metrics()[0][-1]["step"] - 3
    one_step = dataclasses.replace(noted, rollout=dataclasses.replace(noted.rollout, steps=1))
    short = create_run(tmp_path / "short", "ppo", one_step, prompts=rows)
    in_process(ppo, PPOConfig, short)
    left, right = tensors(ended), tensors(short)
    assert all(torch.equal(left[name], right[name]) for name in left)
    # The same checkpoint becomes a policy by itself.
    best = max(
        (tmp_path / "ended/checkpoints").glob("step-*"),
        key=lambda folder: json.loads((folder / "complete.json").read_bytes())["score"] or -math.inf,
    )
    taken = AdoptConfig(checkpoint_path=str(best), policy=alarming.policy.source)
    adopted = create_run(tmp_path / "adopted", "adopt", taken)
    assert in_process(adopt, AdoptConfig, adopted)["steps"] == 1
    right = tensors(adopted)
    assert all(torch.equal(left[name], right[name]) for name in left)
    # And stands beside the start as the policy that was made of it does.
    beside = ComparePoliciesConfig(
        policy=alarming.policy.source,
        reward_model_path=alarming.reward_model_path,
        others=(
            Contestant(name="step 1", checkpoint_path=str(best), step=1),
            Contestant(name="adopted", source=ModelSource(path=str(adopted.path / "model"))),
        ),
        batch=alarming.batch,
    )
    compared = create_run(tmp_path / "compared", "compare", beside, prompts=rows)
    one, other = in_process(compare, ComparePoliciesConfig, compared)["others"]
    assert one["kl"] == other["kl"] > 0 or one["kl"] == other["kl"] < 0
    assert one["by_reward"] == other["by_reward"] and (one["step"], other["step"]) == (1, None)
    (best / "state.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match="cannot be used: state.safetensors is not what was written"):
        in_process(adopt, AdoptConfig, create_run(tmp_path / "torn", "adopt", taken))
    # What was seen up to the pause stays on the page.
    assert len(ended.metrics()[0]) == len(paused.metrics()[0]) - 2
    evaluated = [line for line in whole.metrics()[0] if "eval_scores" in line]
    assert len(evaluated) == 4 and all(
        line["eval_scores"] == sorted(line["eval_scores"]) for line in evaluated
    )
    assert np.mean(evaluated[0]["eval_scores"]) == pytest.approx(evaluated[0]["eval_score"], abs=1e-3)
    assert whole.metrics()[0][0]["initial_scores"] == whole.result()["scores_before"]
    # The same prompts at the start, after each step of the policy and at the end, with the KL of that moment.
    fixed = [row for row in whole.samples(1000) if "evaluation_prompt" in row]
    steps = [0, *(line["step"] for line in evaluated), evaluated[-1]["step"]]
    prompts = [row["evaluation_prompt"] for row in fixed]
    assert len(set(prompts[:4])) == 4 and prompts == prompts[:4] * len(steps)
    assert [row["step"] for row in fixed] == [step for step in steps for _ in range(4)]
    assert {row["kl"] for row in fixed[4:8]} == {f"{evaluated[0]['eval_kl']:.4f}"}
    scores = [float(row["score"]) for row in fixed[4:8]]
    assert np.mean(scores) == pytest.approx(evaluated[0]["eval_score"], abs=1e-3)


def test_a_policy_gradient_pauses_goes_on_and_ends_as_ppo_does(tmp_path, policy_path, reward_model_path):
    """Windows of one step: the second raises the alarm, so that the first is the best. Nothing is evaluated between the
    steps, and no checkpoint is due.
    """
    config = gradient_config(
        policy_path,
        reward_model_path,
        policy_optimizer=OptimizerOptions(learning_rate=1e-3, schedule="constant"),
        rollout=RolloutOptions(steps=3, prompts_per_step=2, samples_per_prompt=2),
        algorithm=PolicyGradientOptions(responses_per_minibatch=4),
        alarms=AlarmOptions(action="pause", window=1, score_limit=-1000.0),
        evaluation=EvaluationOptions(max_examples=4),
        runtime=RuntimeOptions(checkpoint_every_steps=100),
    )
    rows = prompt_rows(10)
    paused = create_run(tmp_path / "paused", "policy_gradient", config, prompts=rows)
    with pytest.raises(PauseRequested, match="Alarm at step 2: the mean score"):
        in_process(policy_gradient, PolicyGradientConfig, paused)
    shutil.copytree(paused.path, tmp_path / "ended")
    noted = dataclasses.replace(config, alarms=dataclasses.replace(config.alarms, action="note"))
    whole = create_run(tmp_path / "whole", "policy_gradient", noted, prompts=rows)
    known = in_process(policy_gradient, PolicyGradientConfig, whole)
    result = in_process(policy_gradient, PolicyGradientConfig, paused)
    assert_same_run(whole, paused, "model")
    assert result["alarms"] == known["alarms"] and result["ended_early_at_step"] is None
    [first, *_] = whole.metrics()[0]
    assert first["initial_scores"] == known["scores_before"] and len(known["scores_after"]) == 4

    ended = type(paused)(tmp_path / "ended")
    ended.ask_to_end()
    result = in_process(policy_gradient, PolicyGradientConfig, ended)
    assert (result["steps"], result["ended_early_at_step"]) == (1, 1) and len(result["alarms"]) == 1
    short = dataclasses.replace(noted, rollout=dataclasses.replace(noted.rollout, steps=1))
    one_step = create_run(tmp_path / "short", "policy_gradient", short, prompts=rows)
    in_process(policy_gradient, PolicyGradientConfig, one_step)
    left, right = tensors(ended), tensors(one_step)
    assert all(torch.equal(left[name], right[name]) for name in left)

    # Where that checkpoint is damaged the alarmed weights do not take its place: the run is paused as before.
    again = type(paused)(shutil.copytree(tmp_path / "ended", tmp_path / "again"))
    (again.path / "result.json").unlink()
    (again.path / "checkpoints/step-000001.f0/state.safetensors").write_bytes(b"torn")
    with pytest.raises(PauseRequested, match="No checkpoint from before the alarm can be used"):
        in_process(policy_gradient, PolicyGradientConfig, again)
    assert not again.is_asked_to_end() and again.has_checkpoint()


SCORED = [  # (score of which 0.5 stands at a step, ended)
    (1.5, True),
    (2.5, False),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # (1 + 2) / 2 of the ends, 0.5 of the steps, 0.1 x 3 nats.
        ({"normalize": False}, 1.5 + 0.5 - 0.3),
        ({"normalize": True}, 1.5 / 4 + 0.5 - 0.3),
        ({"normalize": True, "missing_eos_rule": "replace"}, (1.0 - 1.0) / 2 / 4 + 0.5 - 0.3),
        ({"normalize": True, "missing_eos_rule": "subtract"}, (1 / 4 + 2 / 4 - 1.0) / 2 + 0.5 - 0.3),
    ],
)
def test_what_the_best_checkpoint_is_chosen_by_is_on_one_scale_all_along(options, expected):
    prompt = Prompt(prompt_id="p", messages=[{"role": "user", "content": "?"}], token_ids=[1])
    rollouts = [
        Rollout(
            prompt=prompt,
            response=SampledResponse(
                prompt_id="p", sample_index=0, token_ids=[2], logprobs=[0.0], has_eos=ended
            ),
            score=score,
            step_rewards=((0, 0.5),),
        )
        for score, ended in SCORED
    ]
    options = RewardOptions(kl_coefficient=0.1, **options)
    deviation = score_deviation(options, {"score_std": 4.0}, whiten=False)
    found = penalised_score(rollouts, kl=3.0, options=options, deviation=deviation)
    assert found == pytest.approx(expected, abs=1e-12)
    assert score_deviation(options, {"score_std": 0.0}, whiten=True) == 1.0
    # GRPO's penalty stands in the loss; by token it weighs a response's KL over its length, which is 1 here.
    grpo = PolicyGradientOptions(kl_loss_coefficient=0.04, averaging="tokens_of_each")
    longer = [
        dataclasses.replace(one, response=dataclasses.replace(one.response, token_ids=[2, 2, 2, 2]))
        for one in rollouts
    ]
    for some, tokens in ((rollouts, 1), (longer, 4)):
        weight = kl_weight_in_loss(grpo, some)
        assert weight == pytest.approx(0.04 / tokens)
        found = penalised_score(some, kl=3.0, options=options, deviation=deviation, kl_in_loss=weight)
        assert found == pytest.approx(expected - 3.0 * 0.04 / tokens, abs=1e-12)
    assert kl_weight_in_loss(PolicyGradientOptions(kl_loss_coefficient=0.04), longer) == 0.04
    assert kl_weight_in_loss(AlgorithmOptions(), rollouts) == 0.0


def test_the_best_is_looked_for_at_evaluations_or_once_a_window_and_never_after_an_alarm():
    options, watch = AlarmOptions(window=2), AlarmWatch()
    for value in (1.0, 2.0, 6.0, 8.0):
        watch.see({"penalised_score": value}, window=2)

    def best(step, metrics, evaluates, options=options):
        return best_by(watch, options, metrics, policy_step=step, evaluates=evaluates)

    assert (best(4, {}, False), best(3, {}, False)) == (7.0, None)
    assert (best(4, {"eval_penalised_score": 3.0}, True), best(4, {}, True)) == (3.0, None)
    assert best(4, {}, False, AlarmOptions(action="off")) is None
    watch.notes.append("Alarm at step 5.")
    assert best(4, {}, False) is best(4, {"eval_penalised_score": 3.0}, True) is None


def test_a_training_measured_at_its_ends_alone_is_held_against_the_same_limits():
    options = AlarmOptions()
    calm, collapsed = row(score=1.0), row(tokens=12.5, perplexity=3.0, kl=10.0, score=4.0)
    assert compare_ends(calm, calm, options, RewardLimits(score=3.0)) == []
    collapse, score = compare_ends(calm, collapsed, options, RewardLimits(score=3.0))
    assert collapse.startswith("Alarm: it looks like a collapse: responses of 12.5 tokens instead of 10.0")
    assert score.startswith("Alarm: the mean score, 4.00, is above 3.00")
    assert compare_ends(calm, collapsed, AlarmOptions(action="off"), RewardLimits(score=3.0)) == []
    with pytest.raises(ValueError, match="best-of-n measures its answers once it has learned them"):
        best_of_n_config("x", "y", alarms=AlarmOptions(action="pause"))


def test_the_last_step_s_alarm_pauses_nothing(tmp_path, alarming):
    config = dataclasses.replace(alarming, rollout=dataclasses.replace(alarming.rollout, steps=2))
    run = create_run(tmp_path / "run", "ppo", config, prompts=prompt_rows(10))
    assert len(in_process(ppo, PPOConfig, run)["alarms"]) == 1
    with pytest.raises(PauseRequested):
        longer = create_run(tmp_path / "longer", "ppo", alarming, prompts=prompt_rows(10))
        in_process(ppo, PPOConfig, longer)
