"""One reward model over several criteria: trained together, reported apart."""

import json

import pytest
import torch

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from learning.run_context import RunContext
from rewardmodel.training import evaluate, train
from rewardmodel.training.comparisons import comparison_from_row, criteria_in_turn
from rewardmodel.training.config import EvaluateConfig, RewardModelConfig
from rewardmodel.training.scoring import RewardScorer
from tests.rewardmodel.training.conftest import comparison_rows, create_run, lines


def two_criteria(n=60):
    """Helpful as in the world of the tests; harmless the other way round, on other prompts, and less of it."""
    rows = [row for row in comparison_rows(2 * n, seed=9) if row["ranks"][0] != row["ranks"][1]][:n]
    for index, row in enumerate(rows):
        row["split"] = "validation" if index % 4 == 0 else "train"
        if index >= 2 * n // 3:
            row |= {"criterion": "harmless", "responses": row["responses"][::-1]}
    return rows


def trained(path, config, rows):
    create_run(path, config, rows)
    torch.manual_seed(0)
    return train.main(RunContext.open(RunDirectory(path), RewardModelConfig))


def right_of(scorer, rows):
    """Counted pair by pair, one text at a time."""
    right = 0.0
    for row in rows:
        scores = [scorer.score([row["prompt"]], [[text]])[0][0] for text in row["responses"]]
        better = row["ranks"].index(0)
        right += float(scores[better] > scores[1 - better])
    return right


def test_the_figures_of_each_criterion_are_those_that_counting_gives(config, tmp_path):
    rows = two_criteria()
    result = trained(tmp_path / "run", config, rows)
    heldout = [row for row in rows if row["split"] == "validation"]
    scorer = RewardScorer.load(tmp_path / "run" / "model", batch=config.batch)
    assert result["by_criterion"].keys() == {"helpful", "harmless"}
    total = 0.0
    for name, figures in result["by_criterion"].items():
        of_it = [row for row in heldout if row["criterion"] == name]
        right = right_of(scorer, of_it)
        total += right
        assert (figures["n"], figures["accuracy"]) == (len(of_it), pytest.approx(right / len(of_it)))
        assert figures["interval"][0] < figures["accuracy"] < figures["interval"][1] or right in (
            0,
            len(of_it),
        )
    assert result["n"] == len(heldout) and result["accuracy"] == pytest.approx(total / len(heldout))
    notes = json.loads((tmp_path / "run" / "status.json").read_text())["notes"]
    assert [note.split(":")[0] for note in notes[-2:]] == ["helpful", "harmless"]
    helpful = result["by_criterion"]["helpful"]
    assert f"{helpful['accuracy']:.1%} of {helpful['n']} held-out pairs" in notes[-2]
    # The quick evaluations are of both too, though the file has all of one criterion first.
    curves = [row for row in lines(tmp_path / "run" / "metrics.jsonl") if "eval_accuracy" in row]
    assert curves and all({"eval_accuracy_helpful", "eval_accuracy_harmless"} <= row.keys() for row in curves)

    options = EvaluateConfig(model_path=str(tmp_path / "run" / "model"), batch=config.batch)
    create_run(tmp_path / "evaluation", options, rows, command="rewardmodel.training.evaluate")
    evaluated = evaluate.main(RunContext.open(RunDirectory(tmp_path / "evaluation"), EvaluateConfig))
    for name, figures in evaluated["by_criterion"].items():
        assert figures["accuracy"] == result["by_criterion"][name]["accuracy"]


def test_a_prompt_of_two_criteria_is_on_one_side(config, tmp_path):
    rows = two_criteria()
    first = next(row for row in rows if row["split"] == "train")
    again = {**first, "group_id": "again", "criterion": "harmless"}
    assert "harmless" in trained(tmp_path / "same", config, [*rows, again])["by_criterion"]
    with pytest.raises(UserError, match="have the same prompt but are in the splits"):
        trained(tmp_path / "both", config, [*rows, {**again, "split": "validation"}])


def test_comparisons_of_one_criterion_stay_in_the_order_of_the_file():
    items = [comparison_from_row(row) for row in comparison_rows(12)]
    assert criteria_in_turn(items) == items
    mixed = [comparison_from_row(row) for row in two_criteria()]
    assert {item.criterion for item in criteria_in_turn(mixed)[:2]} == {"helpful", "harmless"}
    assert sorted(item.group_id for item in criteria_in_turn(mixed)) == sorted(
        item.group_id for item in mixed
    )
