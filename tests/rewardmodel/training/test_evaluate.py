"""The evaluation command."""

import dataclasses
import json
import signal
import time

import pytest

from learning.interface.options import UserError, options_to_dict
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import BatchOptions, EvaluationOptions, ModelSource
from learning.models.files import save_model
from learning.models.loading import load_reward_model
from learning.run_context import RunContext, StopRequested
from rewardmodel.training import evaluate
from rewardmodel.training.config import EvaluateConfig, ObjectiveOptions
from rewardmodel.training.scoring import RewardScorer
from tests.rewardmodel.training.conftest import comparison_rows, create_run, finish, lines, run, start

LIMITS = BatchOptions(max_prompt_tokens=48, max_response_tokens=48)
COMMAND = "rewardmodel.training.evaluate"


@pytest.fixture(scope="module")
def model_path(policy_path, tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("reward") / "model"
    save_model(load_reward_model(ModelSource(path=str(policy_path)), tokenizer), tokenizer, path)
    return path


def test_the_command_reports_the_agreement_that_counting_by_hand_gives(model_path, tmp_path):
    rows = comparison_rows(40, size=3, seed=6)
    create_run(
        tmp_path / "run", EvaluateConfig(model_path=str(model_path), batch=LIMITS), rows, command=COMMAND
    )
    run(tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    scorer = RewardScorer.load(model_path, batch=LIMITS)
    right = n = 0
    for row in rows:
        if row["split"] == "validation":
            scores = [scorer.score([row["prompt"]], [[text]])[0][0] for text in row["responses"]]
            for one in range(3):
                for two in range(3):
                    if row["ranks"][one] < row["ranks"][two]:
                        n += 1
                        # Equal texts have equal scores, and neither wins.
                        same = row["responses"][one] == row["responses"][two]
                        right += 0.5 if same else float(scores[one] > scores[two])
    assert result["n"] == n > 5 and result["accuracy"] == pytest.approx(right / n)
    assert result["split"] == "validation" and result["ranking_loss"] > 0
    samples = lines(tmp_path / "run" / "samples.jsonl")
    worst = [float(row["disagrees_by"]) for row in samples if "disagrees_by" in row]
    assert len(samples) == 4 + len(worst) and worst and worst == sorted(worst)  # the worst is read first


def test_a_split_without_comparisons_is_refused(model_path, tmp_path):
    options = EvaluateConfig(model_path=str(model_path), batch=LIMITS, split="test")
    create_run(tmp_path / "run", options, comparison_rows(10), command=COMMAND)
    with pytest.raises(UserError, match="no untied comparison in the split 'test'"):
        evaluate.main(RunContext.open(RunDirectory(tmp_path / "run"), EvaluateConfig))


def test_asked_to_stop_it_leaves_without_a_result_and_starts_over(model_path, tmp_path):
    rows = comparison_rows(1500, size=3, seed=6, validation_share=1.0)
    limits = dataclasses.replace(LIMITS, max_micro_batch_tokens=1)  # a pass for each
    create_run(
        tmp_path / "run", EvaluateConfig(model_path=str(model_path), batch=limits), rows, command=COMMAND
    )
    process = start(tmp_path / "run", command=COMMAND)
    status = tmp_path / "run" / "status.json"
    while not status.exists() or json.loads(status.read_text())["stage"] != "evaluating":
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    finish(process, tmp_path / "run", expected=75)
    assert json.loads(status.read_text())["outcome"] == "checkpointed"
    assert not (tmp_path / "run" / "result.json").exists()


def test_after_it_is_asked_to_stop_there_is_no_further_pass(model_path, tmp_path, monkeypatch):
    rows = comparison_rows(20, size=3, seed=6, validation_share=1.0)
    options = EvaluateConfig(
        model_path=str(model_path), batch=dataclasses.replace(LIMITS, max_micro_batch_tokens=1)
    )
    create_run(tmp_path / "run", options, rows, command=COMMAND)
    context = RunContext.open(RunDirectory(tmp_path / "run"), EvaluateConfig)
    score, passes = RewardScorer._score, 0

    def counted(self, batch):
        nonlocal passes
        passes += 1
        context.stop_requested = passes >= 12
        return score(self, batch)

    monkeypatch.setattr(RewardScorer, "_score", counted)
    with pytest.raises(StopRequested):
        evaluate.main(context)
    assert passes == 12  # of 20 and more, one a comparison
    context.release()


def test_the_loss_is_the_one_the_model_was_trained_with(config, model_path, tmp_path):
    rows = comparison_rows(40, size=3, seed=6)
    options = dataclasses.replace(
        config,
        objective=ObjectiveOptions(ranking_loss="plackett_luce"),
        data=dataclasses.replace(config.data, epochs=1),
        evaluation=EvaluationOptions(),
    )
    trained = create_run(tmp_path / "trained", options, rows)
    run(trained.path)
    asked = EvaluateConfig(model_path=str(trained.model_path), batch=LIMITS)
    create_run(tmp_path / "evaluated", asked, rows, command=COMMAND)
    result = evaluate.main(RunContext.open(RunDirectory(tmp_path / "evaluated"), EvaluateConfig))
    assert result["ranking_loss"] == pytest.approx(trained.result()["ranking_loss"], abs=1e-5)
    assert result["objective"] == options_to_dict(options.objective)
    assert result["objective_source"] == "the model"
    asked = EvaluateConfig(model_path=str(model_path), batch=LIMITS)
    create_run(tmp_path / "silent", asked, rows, command=COMMAND)
    result = evaluate.main(RunContext.open(RunDirectory(tmp_path / "silent"), EvaluateConfig))
    assert result["objective"]["ranking_loss"] == "pairwise"
    assert result["objective_source"] == "the default: the model does not say"
