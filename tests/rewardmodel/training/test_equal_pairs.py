"""Pairs whose responses are the same tokens after the cut: no loss learns from them, and nobody is right about them."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import BatchOptions
from learning.models.files import save_model
from learning.models.loading import load_reward_model
from learning.run_context import RunContext
from rewardmodel.training import evaluate, train
from rewardmodel.training.comparisons import comparison_from_row, separate_equal_pairs
from rewardmodel.training.config import EvaluateConfig, RewardModelConfig
from rewardmodel.training.scoring import RewardScorer
from tests.rewardmodel.training.conftest import comparison_rows, create_run

LIMIT = 24  # tokens; the beginnings below are longer


def rows_with_equal_pairs(n, equal):
    """Of n training and n held-out pairs the first `equal` each begin alike for longer than the limit."""
    rows = [row for row in comparison_rows(20 * n) if row["ranks"][0] != row["ranks"][1]][: 2 * n]
    beginning = "Well, since you ask me so very nicely, let me think about it for a while. " * 3
    made = []
    for index, row in enumerate(rows):
        responses = row["responses"]
        if index % n < equal:
            responses = [beginning + text for text in responses]
        made.append(row | {"responses": responses, "split": "train" if index < n else "validation"})
    return made


def trained(path, config, rows):
    create_run(path, config, rows)
    torch.manual_seed(0)
    result = train.main(RunContext.open(RunDirectory(path), RewardModelConfig))
    return json.loads(json.dumps(result)), json.loads((path / "status.json").read_text())


@pytest.fixture
def short(config):
    return dataclasses.replace(
        config,
        batch=BatchOptions(max_prompt_tokens=48, max_response_tokens=LIMIT, max_micro_batch_tokens=1024),
    )


def test_equal_pairs_are_left_out_of_the_loss_and_count_half_in_the_accuracy(short, tmp_path):
    rows = rows_with_equal_pairs(20, 8)
    result, status = trained(tmp_path / "with", short, rows)
    assert result["pairs"] == {"train": {"pairs": 20, "equal": 8}, "validation": {"pairs": 20, "equal": 8}}
    assert status["notes"][1:3] == [
        f"8 of 20 training pairs are equal after the cut at {LIMIT} tokens: left out of the loss.",
        f"8 of 20 held-out pairs are equal after the cut at {LIMIT} tokens: half a point each in the accuracy.",
    ]
    assert result["comparisons"]["train"] == {"used": 12, "not_used": 8}
    assert result["truncated_responses"] >= 32
    # The run without those rows is the same run to the bit, and its accuracy is the rest of the mean.
    without = [row for index, row in enumerate(rows) if index % 20 >= 8]
    other, _ = trained(tmp_path / "without", short, without)
    mine, others = (load_file(tmp_path / name / "model/model.safetensors") for name in ("with", "without"))
    assert all(torch.equal(mine[name], others[name]) for name in mine)
    assert other["n"] == 12 and result["n"] == 20
    assert result["accuracy"] == pytest.approx((12 * other["accuracy"] + 8 * 0.5) / 20)
    assert result["ranking_loss"] == pytest.approx(other["ranking_loss"])


def test_a_file_of_equal_pairs_is_refused_with_the_way_out(short, tmp_path):
    with pytest.raises(
        UserError, match=f"20 of 20 training pairs are equal after the cut at {LIMIT} tokens.*raise"
    ):
        trained(tmp_path / "run", short, rows_with_equal_pairs(20, 20))


@pytest.fixture(scope="module")
def model_path(policy_path, tokenizer, tmp_path_factory):
    from learning.interface.training_options import ModelSource

    path = tmp_path_factory.mktemp("reward") / "model"
    save_model(load_reward_model(ModelSource(path=str(policy_path)), tokenizer), tokenizer, path)
    return path


def evaluated(path, model_path, rows):
    limits = BatchOptions(max_prompt_tokens=48, max_response_tokens=LIMIT)
    options = EvaluateConfig(model_path=str(model_path), batch=limits)
    create_run(path, options, rows, command="rewardmodel.training.evaluate")
    return evaluate.main(RunContext.open(RunDirectory(path), EvaluateConfig))


def test_an_evaluation_gives_half_a_point_and_says_so(model_path, tmp_path):
    rows = rows_with_equal_pairs(20, 8)
    result = evaluated(tmp_path / "with", model_path, rows)
    other = evaluated(tmp_path / "without", model_path, [r for i, r in enumerate(rows) if i % 20 >= 8])
    assert result["pairs"] == {"validation": {"pairs": 20, "equal": 8}}
    assert result["accuracy"] == pytest.approx((12 * other["accuracy"] + 8 * 0.5) / 20)
    notes = json.loads((tmp_path / "with" / "status.json").read_text())["notes"]
    assert notes[1].startswith(f"8 of 20 held-out pairs are equal after the cut at {LIMIT} tokens")
    with pytest.raises(UserError, match="20 of 20 pairs of the split 'validation' are equal"):
        evaluated(tmp_path / "all", model_path, rows_with_equal_pairs(20, 20))


def test_equal_responses_have_the_same_score_to_the_bit(model_path):
    limits = BatchOptions(max_prompt_tokens=48, max_response_tokens=LIMIT, layout="shared_prompt")
    scorer = RewardScorer.load(model_path, batch=limits)
    texts = ["Here is the red ball.", "Whatever.", "Here is the red ball."]
    first, other, last = scorer.score([[{"role": "user", "content": "Give me the red ball."}]], [texts])[0]
    assert first == last != other


THREE = {
    "group_id": "g",
    "prompt": [{"role": "user", "content": "Name a fruit."}],
    "responses": ["a", "b", "c"],
    "weight": 1.0,
    "split": "train",
    "grade": [[None, 1.0, 2.0], [None, None, 1.0], [None, None, None]],
    "soft_preference": [[None, 1.0, 1.0], [0.0, None, 1.0], [0.0, 0.0, None]],
}


@pytest.mark.parametrize(
    ("ranks", "ids", "left", "equal", "merged"),
    [
        # a > b > c, worked out by hand: a and b read alike, both are above c.
        ([0, 1, 2], [[1], [1], [2]], [(0, 2), (1, 2)], [(0, 1)], (0, 0, 2)),
        ([0, 1, 2], [[1], [2], [2]], [(0, 1), (0, 2)], [(1, 2)], (0, 1, 1)),
        # a above b above something that reads like a: the pairs stay, and there is no order.
        ([0, 1, 2], [[1], [2], [1]], [(0, 1), (1, 2)], [(0, 2)], None),
        ([0, 1, 2], [[1], [1], [1]], [], [(0, 1), (0, 2), (1, 2)], (0, 0, 0)),
        ([0, 1, 2], [[1], [2], [3]], [(0, 1), (0, 2), (1, 2)], [], (0, 1, 2)),
    ],
)
def test_of_a_ranking_only_the_equal_pair_is_left_out(ranks, ids, left, equal, merged):
    item = separate_equal_pairs(comparison_from_row({**THREE, "ranks": ranks}), ids)
    assert [(pair.first, pair.second) for pair in item.pairs] == left
    assert [(pair.first, pair.second) for pair in item.equal_pairs] == equal
    assert item.ranks == merged
    assert item.is_usable("pairwise") == bool(left)
    assert item.is_usable("plackett_luce") == (merged is not None and len(set(merged)) > 1)


def test_a_tie_of_equal_responses_is_not_counted_as_a_pair_that_was_lost():
    tied = [[None, 0.5, 1.0], [0.5, None, 1.0], [0.0, 0.0, None]]
    row = {**THREE, "ranks": [0, 0, 1], "soft_preference": tied}
    item = separate_equal_pairs(comparison_from_row(row), [[1], [1], [2]])
    assert item.equal_pairs == () and len(item.pairs) == 2 and item.ranks == (0, 0, 2)
