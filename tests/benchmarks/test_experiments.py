"""The small world of the experiments, their bookkeeping, and one run of a configuration."""

import itertools
import json
import math
import random
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from benchmarks.experiments import best_of_n, gradients, jobs, materials, over_optimisation, watched, world
from benchmarks.experiments.charts import Curve, histograms, panels
from benchmarks.experiments.configurations import CONFIGURATIONS, changed
from benchmarks.experiments.intervals import interval
from benchmarks.experiments.report import write_report
from benchmarks.experiments.runs import execute, run_key
from benchmarks.experiments.studies import STUDIES
from demo import grammar
from learning.interface.training_options import ModelSource
from policy_training.training.ppo.presets import PPO_PRESETS


def test_every_answer_that_is_written_stands_for_sentences_of_the_grammar():
    rng = random.Random(0)
    for text, food, flavour in world.questions()[:50]:
        answer = world.write_answer(food, flavour, rng)
        written = world.render(answer)
        assert grammar.fluency(written) == 1.0, written
        assert set(answer.split()) <= set(world.WORDS) and len(text.split()) == 3


def test_gold_of_answers_by_hand():
    asked = "salmon cumin dinner"
    # Topic 1.5, flavour 0.5, polite 1, a reason 1, a tip 0.5.
    best = world.gold(asked, "greet0 salmon cumin why1 tip1", ended=True)
    assert best == pytest.approx(4.5)
    # Another food: -1 for the topic instead of 1.5.
    assert world.gold(asked, "greet0 chicken cumin why1 tip1", ended=True) == pytest.approx(best - 2.5)
    # A reason before any step is no sentence of the world.
    garbled = "why1 salmon cumin"
    assert world.gold(asked, garbled, ended=True) < world.gold(asked, "salmon cumin why1", ended=True)
    assert world.gold(asked, garbled, ended=False) < world.gold(asked, garbled, ended=True)


def test_held_out_questions_are_the_same_at_every_call():
    rows = world.prompt_rows(world.questions())
    assert len(rows) == 320 and sum(row["split"] == "validation" for row in rows) == 128
    assert rows == world.prompt_rows(world.questions())


def test_a_changed_option_lies_at_its_path_and_an_unknown_one_is_refused():
    config = PPO_PRESETS["ppo_max"].config(ModelSource(path="policy"), "reward_model")
    other = changed(config, {"reward.normalize": False, "reward.clip_range": None, "rollout.steps": 3})
    assert (other.reward.normalize, other.reward.clip_range, other.rollout.steps) == (False, None, 3)
    assert other.algorithm == config.algorithm and config.reward.normalize
    with pytest.raises(KeyError, match="no option 'rewardd'"):
        changed(config, {"rewardd.clip_range": 1})


def test_every_study_has_its_configurations_and_every_configuration_a_study():
    used = {name for study in STUDIES.values() for name in study.configurations}
    assert used == set(CONFIGURATIONS)


def test_what_has_run_is_not_run_again_and_half_a_line_is_nothing(tmp_path):
    names = STUDIES["collapse"].configurations
    assert [job[:2] for job in jobs.missing(["collapse"], 2, tmp_path)] == [
        (name, seed) for seed in range(2) for name in names
    ]
    row = json.dumps({"key": run_key(CONFIGURATIONS["max"], 1)})
    (tmp_path / "results.jsonl").write_text(f"{row}\n{row[:20]}")
    left = [job[:2] for job in jobs.missing(["collapse"], 2, tmp_path)]
    assert ("max", 1) not in left and len(left) == 3


def test_the_fits_find_the_curves_they_were_given():
    ds = [place / 4 for place in range(1, 40)]
    ppo = over_optimisation.fit_ppo([(d, d * (1.3 - 0.7 * math.log(d))) for d in ds])
    assert ppo == (pytest.approx(1.3), pytest.approx(0.7))
    best = over_optimisation.fit_best_of_n([(d, d * (1.3 - 0.4 * d)) for d in ds])
    assert best == (pytest.approx(1.3), pytest.approx(0.4))
    for (alpha, beta), peak, curve in (
        (ppo, over_optimisation.peak_ppo, lambda d: d * (1.3 - 0.7 * math.log(d))),
        (best, over_optimisation.peak_best_of_n, lambda d: d * (1.3 - 0.4 * d)),
    ):
        top = peak(alpha, beta)
        assert curve(top) > max(curve(top - 0.01), curve(top + 0.01))
    (low, high), _ = over_optimisation.resampled(
        [[(d, d * (slope - 0.4 * d)) for d in ds] for slope in (1.0, 1.6)], over_optimisation.fit_best_of_n
    )
    assert (low, high) == (pytest.approx(1.0), pytest.approx(1.6))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_best_of_n_is_the_mean_over_every_draw_from_the_pool(n):
    proxy, gold = [0.3, -1.0, 2.0, 0.1, 1.5], [1.0, 2.0, -3.0, 0.5, 4.0]
    draws = list(itertools.combinations(range(5), n))
    best = [max(draw, key=proxy.__getitem__) for draw in draws]
    assert best_of_n.best_of(n, proxy, gold) == pytest.approx(sum(gold[one] for one in best) / len(draws))
    with pytest.raises(ValueError, match="n must be between 1 and the pool's 5 answers, found 6"):
        best_of_n.best_of(6, proxy, gold)


def test_the_trace_of_the_covariance_is_numpys():
    rows = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))
    tally = gradients.Tally()
    for row in rows:
        tally.add(torch.from_numpy(row))
    assert tally.trace == pytest.approx(np.trace(np.cov(rows.T)))
    assert tally.mean.numpy() == pytest.approx(rows.mean(0))
    assert tally.squared_mean == pytest.approx((rows.mean(0) ** 2).sum() - tally.trace / 50)


def test_the_peak_of_gold_and_what_is_lost_after_it():
    golds = [0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0, -1.0]
    assert watched.gold_peak(golds) == 4
    # The peak is the mean of 2, 3, 2; at the sixth step gold is that of 3, 2, 1... of the steps 4 to 6.
    assert watched.gold_lost(golds, 6) == pytest.approx((7 / 3 - 2.0) / (7 / 3))


def test_an_interval_holds_the_mean_and_grows_with_the_spread():
    low, high = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert 1.0 < low < 3.0 < high < 5.0
    assert interval([2.0, 2.0]) == (2.0, 2.0)


def test_a_picture_is_xml_and_names_its_curves():
    curve = Curve([1, 2, 3], [0.0, 1.0, -1.0], [-1.0, 0.0, -2.0], [1.0, 2.0, 0.0])
    picture = ElementTree.fromstring(panels("Gold & <proxy>", "step", [("one", {"a < b": curve})]))
    texts = [element.text for element in picture.iter() if element.text]
    assert "Gold & <proxy>" in texts and "a < b" in texts and "step 3" in texts
    # A bar for each of two bins: three of four values lie in the lower.
    bars = ElementTree.fromstring(
        histograms("Scores", "points", [("one", [0.0, 0.1, 0.2, 2.0])], columns=1, bins=2)
    )
    heights = [float(bar.get("height")) for bar in bars.iter() if bar.get("fill") == "#0b6e99"]
    assert heights[1] == pytest.approx(heights[0] / 3, abs=0.1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The world's materials, with fewer answers than the experiments have."""
    folder = tmp_path_factory.mktemp("experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(materials, "ANSWERS_A_PROMPT", 4)
        made = materials.Materials(folder / "materials")
        made.folder.mkdir()
        made.prepare()
    return made


@pytest.mark.slow
def test_one_run_is_measured_from_outside_and_reported(made, tmp_path):
    configuration = CONFIGURATIONS["max"]
    short = configuration.changes | {"rollout.steps": 2, "critic.max_pretraining_updates": 4}
    row = execute(type(configuration)("max", "ppo_max", short, labels=100), 0, made.folder.parent)
    assert len(row["steps"]) == 2 and not list((made.folder.parent / "runs").iterdir())
    # The first answers are the fine-tuned policy's: its gold, measured from the answers it was sampled for.
    usual = [
        world.gold(answer["prompt"][-1]["content"], answer["text"], ended=answer["ended"])
        for answer in made.answers()
    ]
    assert row["steps"][0]["gold"] == pytest.approx(sum(usual) / len(usual), abs=0.6)
    assert row["text_perplexity"] > 1.0 and row["steps"][0]["kl"] == pytest.approx(0.0, abs=1e-3)
    row |= {"key": run_key(configuration, 0)}
    write_report([row], tmp_path / "report", tmp_path)
    page = (tmp_path / "report" / "README.md").read_text()
    assert "| max | 1 |" in page and (tmp_path / "report" / "collapse.svg").is_file()
