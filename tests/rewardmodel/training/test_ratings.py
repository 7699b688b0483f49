"""Ratings as what a reward model trains on: rows, scale, losses against float64 formulas, and the real recipe."""

import dataclasses
import json
import math
import random
import signal
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from transformers import AutoModelForSequenceClassification

from learning.batches.collation import collate
from learning.batches.forward import compute_scores
from learning.interface.options import UserError, options_to_dict
from learning.interface.record_schemas import RATINGS
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import ModelSource
from learning.models.loading import load_reward_model
from learning.run_context import RunContext
from rewardmodel.training.comparisons import build_targets
from rewardmodel.training.config import ObjectiveOptions, RewardModelConfig
from rewardmodel.training.losses import ranking_losses
from rewardmodel.training.rating_accuracy import average_ranks, correlation
from rewardmodel.training.rating_losses import RatingThresholds, attach_thresholds, ordinal_losses
from rewardmodel.training.ratings import RatingScale, ratings_from_row, split_rated
from rewardmodel.training.tokenization import tokenize_comparisons
from rewardmodel.training.total_loss import comparison_losses
from rewardmodel.training.train import main
from tests.rewardmodel.training import reference
from tests.rewardmodel.training.conftest import COLOURS, THINGS, answer, finish, lines, start

LOSSES = ("regression", "ordinal")


def rating_rows(n, *, seed=0, sizes=(1, 3), validation_share=0.2):
    """Rows of the ratings record: 1 to 4 points, every row has its own prompt."""
    rng = random.Random(seed)
    rows = []
    for index in range(n):
        colour, thing = rng.choice(COLOURS), rng.choice(THINGS)
        rated = [answer(rng, colour, thing) for _ in range(rng.randint(*sizes))]
        rows.append(
            {
                "group_id": f"g{index}",
                "criterion": "helpful",
                "mark": "overall",
                "prompt": [{"role": "user", "content": f"Give me the {colour} {thing}, number {index}."}],
                "responses": [text for text, _ in rated],
                "response_ids": [f"r{index}-{place}" for place in range(len(rated))],
                "scores": [float(worth + 2) for _, worth in rated],
                "weight": 1.0,
                "annotator_kind": "person",
                "round": None,
                "split": "validation" if index < n * validation_share else "train",
            }
        )
    return rows


def rated(scores, weight=1.0, split="train"):
    row = rating_rows(1)[0]
    texts = [f"response {place}" for place in range(len(scores))]
    return ratings_from_row({**row, "responses": texts, "scores": scores, "weight": weight, "split": split})


numbers = st.floats(-8, 8, allow_nan=False)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=9))
def test_the_regression_loss_is_the_mean_squared_error(drawn):
    scores, ratings = zip(*drawn, strict=True)
    found = ranking_losses(
        torch.tensor(scores, dtype=torch.float64),
        build_targets([rated(list(ratings))]),
        ObjectiveOptions(ranking_loss="regression"),
    )
    assert float(found.ranking_B[0]) == pytest.approx(
        reference.regression(scores, ratings), rel=1e-12, abs=1e-12
    )


@given(st.data())
def test_the_ordinal_loss_is_the_cumulative_logit_likelihood(data):
    gaps = data.draw(st.lists(st.floats(0.05, 3), max_size=6))
    first = data.draw(st.floats(-4, 4))
    thresholds = [first + sum(gaps[:count]) for count in range(len(gaps) + 1)]
    levels = data.draw(st.lists(st.integers(0, len(thresholds)), min_size=1, max_size=9))
    scores = [data.draw(numbers) for _ in levels]
    found = ranking_losses(
        torch.tensor(scores, dtype=torch.float64),
        build_targets([rated([float(level) for level in levels])]),
        ObjectiveOptions(ranking_loss="ordinal"),
        (torch.tensor(thresholds, dtype=torch.float64), torch.tensor(gaps, dtype=torch.float64)),
    )
    expected = reference.ordinal(scores, levels, thresholds)
    # The formula subtracts two probabilities near 1; ours does not.
    assert float(found.ranking_B[0]) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_probabilities_of_all_levels_add_up_to_one_and_far_scores_stay_finite():
    thresholds, gaps = torch.tensor([-1.0, 0.5, 2.0]).double(), torch.tensor([1.5, 1.5]).double()
    scores = torch.tensor([-900.0, -3.0, 0.0, 0.7, 4.0, 900.0]).double().requires_grad_()
    losses = torch.stack(
        [ordinal_losses(scores, torch.full((6,), level), thresholds, gaps) for level in range(4)]
    )
    assert torch.allclose((-losses).exp().sum(0), torch.ones(6).double(), atol=1e-12)
    losses.sum().backward()
    assert torch.isfinite(losses).all() and torch.isfinite(scores.grad).all()


def test_gradients_of_scores_and_thresholds_equal_finite_differences():
    module = RatingThresholds([-1.0, 0.25, 2.0]).double()
    levels = torch.tensor([0, 1, 2, 3, 1])
    scores = torch.tensor([-2.0, 0.3, 1.0, 0.1, 5.0]).double().requires_grad_()

    def loss(scores, raw):
        gaps = raw[1:].exp()
        return ordinal_losses(scores, levels, torch.cat([raw[:1], raw[:1] + gaps.cumsum(0)]), gaps)

    raw = module.first_and_log_gaps.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(loss, (scores, raw))
    thresholds, gaps = module()
    assert torch.allclose(thresholds, torch.tensor([-1.0, 0.25, 2.0]), atol=1e-6)
    assert torch.allclose(gaps, torch.tensor([1.25, 1.75]), atol=1e-6)


def test_the_initial_thresholds_give_every_level_its_share_at_score_nought():
    rows = [rated([1.0, 1.0, 3.0]), rated([5.0]), rated([3.0], weight=4.0)]
    scale = RatingScale.of(rows, "ordinal")
    assert scale.levels == (1.0, 3.0, 5.0) and scale.shares == (0.25, 0.625, 0.125)
    thresholds = scale.initial_thresholds()
    at_most = [1 / (1 + math.exp(-value)) for value in thresholds]
    assert at_most == pytest.approx([0.25, 0.875])


def test_scores_are_placed_on_the_training_splits_scale():
    rows = [rated([2.0, 4.0]), rated([4.0, 6.0])]
    scale = RatingScale.of(rows, "regression")
    assert (scale.mean, scale.standard_deviation) == (4.0, math.sqrt(2))
    assert scale.place(rows[0]).scores == (-2 / math.sqrt(2), 0.0)
    levels = RatingScale.of(rows, "ordinal").place(rated([1.0, 2.0, 2.9, 3.0, 3.1, 6.0, 9.0])).scores
    assert levels == (0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 2.0)


def test_a_row_is_judged_by_the_pairs_of_its_scores_and_counts_as_many_as_it_has_ratings():
    row = rated([3.0, 5.0, 3.0], weight=0.5)
    assert row.ranks == (1, 0, 1) and row.weight == 1.5
    assert [(pair.first, pair.second, pair.preference) for pair in row.pairs] == [
        (1, 0, 1.0),
        (0, 2, 0.5),
        (1, 2, 1.0),
    ]
    assert rated([4.0]).pairs == ()


@pytest.mark.parametrize("rows", [[rated([3.0, 3.0])], [rated([3.0]), rated([5.0], weight=0.0)], []])
def test_equal_ratings_teach_nothing_and_are_refused(rows):
    with pytest.raises(UserError, match="different score"):
        split_rated([*rows, rated([1.0, 2.0], split="validation")], "regression")


def test_correlations_are_those_of_scipy():
    random_ = np.random.default_rng(0)
    one, two = random_.normal(size=40), random_.integers(1, 6, size=40).astype(float)
    assert average_ranks(two) == stats.rankdata(two).tolist()
    found = correlation(average_ranks(one), average_ranks(two))
    assert found == pytest.approx(stats.spearmanr(one, two).statistic, abs=1e-12)
    assert correlation(one, two) == pytest.approx(stats.pearsonr(one, two).statistic, abs=1e-12)
    assert correlation([1.0, 1.0], [1.0, 2.0]) is None and correlation([1.0], [1.0]) is None


def test_losses_of_ratings_refuse_what_belongs_to_comparisons():
    for changes in ({"center_rewards_coefficient": 0.01}, {"margin": "large"}, {"strength_weighted": True}):
        with pytest.raises(ValueError, match="belong"):
            ObjectiveOptions(ranking_loss="ordinal", **changes)


@pytest.mark.parametrize("loss", LOSSES)
def test_packed_rows_give_the_loss_and_gradients_of_separate_ones(loss, tokenizer, config, policy_path):
    scale = RatingScale.of([ratings_from_row(row) for row in rating_rows(8, sizes=(2, 4))], loss)
    rows = [scale.place(ratings_from_row(row)) for row in rating_rows(8, sizes=(2, 4))]
    examples = tokenize_comparisons(tokenizer, rows, config.batch)
    objective = ObjectiveOptions(ranking_loss=loss)
    found = []
    for layout in ("shared_prompt", "padded"):
        torch.manual_seed(0)
        model = load_reward_model(ModelSource(path=str(policy_path)), tokenizer)
        if loss == "ordinal":
            attach_thresholds(model, scale.initial_thresholds())
        batch = collate(examples, layout=layout, pad_id=tokenizer.pad_token_id)
        losses = comparison_losses(model, batch, build_targets(rows), objective)
        losses.total_B.sum().backward()
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((losses.total_B.detach(), gradients))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)


def rating_config(config, loss):
    return dataclasses.replace(config, objective=ObjectiveOptions(ranking_loss=loss))


def create_run(path, options):
    return RunDirectory.create(
        path,
        command="rewardmodel.training.train",
        config=options_to_dict(options),
        inputs={"ratings": (rating_rows(90), RATINGS)},
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_it_learns_and_its_model_says_what_a_score_means_in_points(loss, config, tmp_path):
    create_run(tmp_path / "run", rating_config(config, loss))
    torch.manual_seed(0)
    result = main(RunContext.open(RunDirectory(tmp_path / "run"), RewardModelConfig))
    metrics = lines(tmp_path / "run" / "metrics.jsonl")
    first, last = (sum(row["ranking_loss"] for row in part) / 3 for part in (metrics[:3], metrics[-3:]))
    assert last < first and any("eval_spearman" in row for row in metrics)
    scores = [score for row in rating_rows(90) if row["split"] == "validation" for score in row["scores"]]
    assert result["ratings"]["n"] == len(scores) and result["ratings"]["spearman"] > 0
    assert result["comparisons"]["train"] == {"used": 72, "not_used": 0}
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model")
    assert not hasattr(model, "rating_thresholds")
    described = model.config.reward_ratings
    assert described == result["rating_scale"] and described["loss"] == loss
    if loss == "ordinal":
        assert described["levels"] == [1.0, 2.0, 3.0, 4.0]
        assert described["thresholds"] == sorted(described["thresholds"])
        start_of_training = RatingScale.of(
            [ratings_from_row(row) for row in rating_rows(90) if row["split"] == "train"], loss
        ).initial_thresholds()
        assert described["thresholds"] != pytest.approx(start_of_training, abs=1e-4)
    assert "rank correlation" in (tmp_path / "run" / "model" / "README.md").read_text()
    # The held-out loss is of the raw scores: before the shift that gives demonstrations the mean 0.
    best = min(row["eval_ranking_loss"] for row in metrics if "eval_ranking_loss" in row)
    assert 0 < result["ranking_loss"] < 2 * best


def test_an_interrupted_run_ends_in_the_same_bits(config, tmp_path):
    options = rating_config(config, "ordinal")
    for name in ("whole", "cut"):
        create_run(tmp_path / name, options)
    process = start(tmp_path / "cut")
    metrics = tmp_path / "cut" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) >= 5):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for name in ("whole", "cut"):
        finish(start(tmp_path / name), tmp_path / name)
    one, two = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert one == two
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "cut")]
    assert results[0]["rating_scale"] == results[1]["rating_scale"]


def test_an_answer_that_was_rated_alone_has_no_pair_and_a_loss_all_the_same(config, tokenizer, policy_path):
    rows = [ratings_from_row(row) for row in rating_rows(6, sizes=(1, 1))]
    scale = RatingScale.of(rows, "regression")
    placed = [scale.place(row) for row in rows]
    model = load_reward_model(ModelSource(path=str(policy_path)), tokenizer).eval()
    examples = tokenize_comparisons(tokenizer, placed, config.batch)
    batch = collate(examples, layout="shared_prompt", pad_id=tokenizer.pad_token_id)
    losses = comparison_losses(
        model, batch, build_targets(placed), ObjectiveOptions(ranking_loss="regression")
    )
    scores = compute_scores(model, batch).tolist()
    expected = [reference.regression([score], row.scores) for score, row in zip(scores, placed, strict=True)]
    assert losses.total_B.tolist() == pytest.approx(expected, abs=1e-6)
    assert len(build_targets(placed).first_P) == 0
