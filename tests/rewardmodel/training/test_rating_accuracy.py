"""How close scores are to ratings, and the evaluation command that says so."""

import json
import math

import numpy as np
import pytest

from learning.interface.options import UserError, options_to_dict
from learning.interface.record_schemas import RATINGS
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import BatchOptions, ModelSource
from learning.models.files import save_model
from learning.models.loading import load_reward_model
from learning.run_context import RunContext
from rewardmodel.training import evaluate
from rewardmodel.training.config import EvaluateConfig
from rewardmodel.training.rating_accuracy import rating_report
from rewardmodel.training.scoring import RewardScorer
from tests.rewardmodel.training.conftest import run
from tests.rewardmodel.training.test_ratings import rating_rows

COMMAND = "rewardmodel.training.evaluate"
LIMITS = BatchOptions(max_prompt_tokens=48, max_response_tokens=48)


def test_the_correlations_are_those_of_the_formulas():
    """Scores 1, 2, 3, 4 and ratings 1, 3, 2, 10: ranks differ by 0, 1, 1, 0, so that Spearman's is 1 - 6 * 2 / (4 * 15)
    = 0.8; Pearson's is 13 / sqrt(5 * 50).
    """
    report = rating_report([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 10.0], list("abcd"))
    assert report["spearman"] == pytest.approx(0.8)
    assert report["pearson"] == pytest.approx(13 / math.sqrt(250))
    assert (report["n"], report["n_prompts"]) == (4, 4)


def fisher(value, n):
    """Fisher 1915: the 95 % interval of a correlation of n normal pairs."""
    return [math.tanh(math.atanh(value) + side * 1.959964 / math.sqrt(n - 3)) for side in (-1, 1)]


def test_intervals_are_fishers_and_do_not_shrink_by_more_ratings_of_the_same_answers():
    chance = np.random.default_rng(3)
    ratings = chance.normal(size=400)
    scores = 0.6 * ratings + 0.8 * chance.normal(size=400)
    one = rating_report(scores.tolist(), ratings.tolist(), range(400))
    assert one["pearson_interval"] == pytest.approx(fisher(one["pearson"], 400), abs=0.02)
    four = rating_report(np.tile(scores, 4).tolist(), np.tile(ratings, 4).tolist(), [*range(400)] * 4)
    assert (four["n"], four["n_prompts"]) == (1600, 400)
    for name in ("pearson", "spearman"):
        assert four[name] == pytest.approx(one[name])
        assert four[f"{name}_interval"] == pytest.approx(one[f"{name}_interval"], abs=0.02)
    # Told apart they would seem twice as exact.
    apart = rating_report(np.tile(scores, 4).tolist(), np.tile(ratings, 4).tolist(), range(1600))
    width = [np.diff(found["pearson_interval"])[0] for found in (one, apart)]
    assert width[1] == pytest.approx(width[0] / 2, rel=0.15)


def test_what_is_constant_or_of_one_prompt_has_none():
    assert rating_report([1.0, 1.0], [1.0, 2.0], "ab")["spearman"] is None
    report = rating_report([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "aaa")
    assert report["pearson"] == pytest.approx(1) and report["pearson_interval"] is None


@pytest.fixture(scope="module")
def model_path(policy_path, tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("reward") / "model"
    save_model(load_reward_model(ModelSource(path=str(policy_path)), tokenizer), tokenizer, path)
    return path


def create(path, model_path, rows, **options):
    config = EvaluateConfig(model_path=str(model_path), batch=LIMITS, **options)
    inputs = {"ratings": (rows, RATINGS)}
    return RunDirectory.create(path, command=COMMAND, config=options_to_dict(config), inputs=inputs)


def test_the_command_holds_scores_against_ratings(model_path, tmp_path):
    rows = rating_rows(60, seed=4, validation_share=0.6)
    create(tmp_path / "run", model_path, rows)
    run(tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    scorer = RewardScorer.load(model_path, batch=LIMITS)
    scores, ratings, right, pairs = [], [], 0.0, 0
    for row in rows[:36]:
        of_row = [scorer.score([row["prompt"]], [[text]])[0][0] for text in row["responses"]]
        scores += of_row
        ratings += row["scores"]
        for one, first in enumerate(row["scores"]):
            for two, second in enumerate(row["scores"]):
                if first > second:
                    pairs += 1
                    same = row["responses"][one] == row["responses"][two]
                    right += 0.5 if same else float(of_row[one] > of_row[two])
    assert result["ratings"]["n"] == len(ratings) > 36 and result["ratings"]["n_prompts"] == 36
    assert result["ratings"]["pearson"] == pytest.approx(np.corrcoef(scores, ratings)[0, 1], abs=1e-5)
    low, high = result["ratings"]["spearman_interval"]
    assert low < result["ratings"]["spearman"] < high
    assert result["n"] == pairs > 5 and result["accuracy"] == pytest.approx(right / pairs)
    assert result["split"] == "validation"


def test_a_split_with_one_rating_is_refused(model_path, tmp_path):
    rows = [row | {"split": "train"} for row in rating_rows(5, sizes=(1, 1))]
    create(tmp_path / "run", model_path, [*rows[1:], rows[0] | {"split": "test"}], split="test")
    with pytest.raises(UserError, match="has 1 ratings in the split 'test'"):
        evaluate.main(RunContext.open(RunDirectory(tmp_path / "run"), EvaluateConfig))
