"""The recipe through its real command, and the exactness it promises (CHECKS 7, 25)."""

import dataclasses
import json
import math
import signal
import time

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import ModelArchitecture, ModelOptions, ModelSource
from learning.run_context import RunContext, StopRequested
from rewardmodel.training.config import RewardModelConfig
from rewardmodel.training.train import main
from tests.rewardmodel.training.conftest import (
    change,
    comparison_rows,
    create_run,
    demonstration_rows,
    finish,
    lines,
    run,
    small_config,
    start,
    weights,
)


def in_process(path):
    """The recipe without a new Python: no exit codes, the same everything else."""
    torch.manual_seed(0)
    return main(RunContext.open(RunDirectory(path), RewardModelConfig))


def same_bits(one, two):
    assert one.keys() == two.keys()
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture(scope="module")
def module_config(policy_path):
    return small_config(policy_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, module_config):
    """One whole run through the command, looked at by several tests."""
    path = tmp_path_factory.mktemp("run") / "whole"
    create_run(path, module_config, comparison_rows(80, size=3), demonstration_rows(20))
    run(path)
    return path


def test_the_command_trains_judges_and_saves(finished, policy_path, module_config):
    result = json.loads((finished / "result.json").read_text())
    metrics = lines(finished / "metrics.jsonl")
    assert [row["step"] for row in metrics] == list(range(1, result["steps"] + 1))
    first, last = (sum(row["ranking_loss"] for row in part) / 3 for part in (metrics[:3], metrics[-3:]))
    assert last < first < 1.2 and all(math.isfinite(row["loss"]) for row in metrics)
    assert any("eval_accuracy" in row for row in metrics)
    assert result["n"] > 10 and 0 <= result["accuracy"] <= 1
    assert result["interval"][0] <= result["accuracy"] <= result["interval"][1]
    assert sum(row["n"] for row in result["by_grade"].values()) == result["n"]
    assert sum(row["n"] for row in result["calibration"]) == result["n"]
    assert result["layout"] == "shared_prompt" and "differ by" in result["layout_reason"]
    assert result["comparisons"]["train"]["used"] + result["comparisons"]["train"]["not_used"] == 64
    assert result["labelled_answers"] == 3 * result["comparisons"]["train"]["used"]  # three answers each
    saved = json.loads((finished / "model" / "config.json").read_text())
    assert saved["labelled_answers"] == result["labelled_answers"]
    assert json.loads((finished / "status.json").read_text())["outcome"] == "done"
    samples = lines(finished / "samples.jsonl")
    assert samples and all("responses" in row and "of" in row["agrees"] for row in samples)
    before, after = load_file(policy_path / "model.safetensors"), weights(finished)
    moved = [name for name in before.keys() & after.keys() if not torch.equal(before[name], after[name])]
    assert len(moved) > 10
    assert not any(name.startswith("language_head") for name in after)


def test_the_saved_model_has_mean_nought_on_the_demonstrations(finished):
    """Plain transformers, from disk, and the ranking of the raw scores."""
    result = json.loads((finished / "result.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(finished / "model")
    model = AutoModelForSequenceClassification.from_pretrained(finished / "model").eval()
    assert model.config.num_labels == 1 and model.config.reward_shift == result["reward_shift"]
    assert result["reward_shift_source"] == "demonstrations" and result["n_demonstrations"] == 20
    logits = []
    for row in demonstration_rows(20):
        text = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(
            text + row["response"] + tokenizer.eos_token, add_special_tokens=False, return_tensors="pt"
        )
        with torch.no_grad():
            logits.append(model(ids["input_ids"]).logits[0, 0].double())
    rewards = torch.stack(logits) - model.config.reward_shift
    assert rewards.mean().abs() <= 1e-6
    assert torch.equal(rewards.argsort(), torch.stack(logits).argsort())


def test_a_finished_run_is_not_done_again(finished):
    before = (finished / "result.json").stat().st_mtime_ns
    run(finished)
    assert (finished / "result.json").stat().st_mtime_ns == before


def test_killed_and_stopped_and_started_again_it_ends_in_the_same_bits(finished, module_config, tmp_path):
    path = tmp_path / "interrupted"
    create_run(path, module_config, comparison_rows(80, size=3), demonstration_rows(20))
    kill_at_step(path, 5)  # between two checkpoints
    assert not (path / "result.json").exists()
    process = start(path)
    wait_for_step(path, 7, process)
    process.send_signal(signal.SIGTERM)
    finish(process, path, expected=75)
    assert json.loads((path / "status.json").read_text())["outcome"] == "checkpointed"
    run(path)
    require_same_run(path, finished)


def test_a_number_of_steps_ends_in_the_middle_of_an_epoch_and_is_resumed_there(config, tmp_path, monkeypatch):
    """Seven steps where an epoch has four: the schedule, the progress and the end count steps."""
    options = change(
        config,
        data={"epochs": None, "steps": 7, "balance_tokens": True, "min_comparisons_per_step": 4},
        optimizer={"learning_rate": 1e-3, "warmup_steps": 0},
    )
    rows = [row for row in comparison_rows(90, seed=5) if row["ranks"][0] != row["ranks"][1]][:64]
    rows = [{**row, "split": "train"} for row in rows]
    for name in ("whole", "stopped"):
        create_run(tmp_path / name, options, rows)
    result = in_process(tmp_path / "whole")
    metrics = lines(tmp_path / "whole" / "metrics.jsonl")
    assert [row["step"] for row in metrics] == [1, 2, 3, 4, 5, 6, 7]
    # A linear schedule from the peak to 0 over the seven steps, whatever an epoch is.
    assert [row["learning_rate"] for row in metrics] == pytest.approx([1e-3 * (1 - n / 7) for n in range(7)])
    assert [row["epoch"] for row in metrics] == [n / 4 for n in range(1, 8)]
    assert result["steps"] == 7 and result["epochs"] == 1.75
    status = json.loads((tmp_path / "whole" / "status.json").read_text())
    assert (
        status["steps_total"] == 7
        and f"7 steps are 1.75 epochs of {len(rows)} comparisons." in status["notes"]
    )

    log = RunContext.log_metrics

    def log_and_stop(self, step, values):
        log(self, step, values)
        self.stop_requested = step == 5  # between two checkpoints, in the middle of the second epoch

    monkeypatch.setattr(RunContext, "log_metrics", log_and_stop)
    with pytest.raises(StopRequested):
        in_process(tmp_path / "stopped")
    monkeypatch.undo()
    in_process(tmp_path / "stopped")
    assert same_bits(weights(tmp_path / "stopped"), weights(tmp_path / "whole"))
    assert lines(tmp_path / "stopped" / "metrics.jsonl") == metrics


@pytest.mark.slow
def test_killed_at_any_step_it_ends_in_the_same_bits(finished, module_config, tmp_path):
    path = tmp_path / "killed"
    create_run(path, module_config, comparison_rows(80, size=3), demonstration_rows(20))
    for step in (1, 3, 4, 8, 12):  # before the first checkpoint, at one, after one, at an evaluation
        kill_at_step(path, step)
    run(path)
    require_same_run(path, finished)


def require_same_run(path, other):
    """Weights, metrics, samples and result: nothing tells the runs apart."""
    assert same_bits(weights(path), weights(other))
    for name in ("metrics.jsonl", "samples.jsonl", "result.json"):
        assert (path / name).read_text() == (other / name).read_text(), name


def kill_at_step(path, step):
    process = start(path)
    try:
        wait_for_step(path, step, process)
    finally:
        process.kill()
        process.communicate()


def wait_for_step(path, step, process):
    metrics = path / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() or metrics.read_text().count("\n") < step:
        assert process.poll() is None and time.monotonic() < deadline, "the run ended before the step"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rows: rows[-1:], "has 1 usable comparison in the split train"),
        (
            lambda rows: [
                {**row, "soft_preference": [[None, 0.5], [0.5, None]], "ranks": [0, 0]} for row in rows
            ],
            "ties alone teach the pairwise loss nothing",
        ),
        (
            lambda rows: [*rows, {**rows[-1], "group_id": "again", "split": "validation"}],
            "have the same prompt but are in the splits",
        ),
    ],
    ids=["one comparison", "only ties", "prompt in two splits"],
)
def test_unusable_comparisons_are_refused_with_a_sentence(config, tmp_path, spoil, sentence):
    rows = [row for row in comparison_rows(40, seed=3) if row["ranks"] in ([0, 1], [1, 0])]
    assert len(rows) > 10 and rows[-1]["split"] == "train"
    create_run(tmp_path / "bad", config, spoil(rows))
    with pytest.raises(UserError, match=sentence):
        in_process(tmp_path / "bad")


def test_the_command_says_the_users_mistake_in_one_sentence_and_exits_2(config, tmp_path):
    rows = [row for row in comparison_rows(40) if len(set(row["ranks"])) == 2]
    create_run(tmp_path / "few", config, rows[-1:])
    error = finish(start(tmp_path / "few"), tmp_path / "few", expected=2)
    assert "training needs at least 2" in error and "Traceback" not in error
    assert json.loads((tmp_path / "few" / "status.json").read_text())["outcome"] == "user_error"
    assert not (tmp_path / "few" / "model").exists() and not (tmp_path / "few" / "result.json").exists()


def test_without_heldout_comparisons_or_demonstrations_there_is_a_model_and_no_accuracy(config, tmp_path):
    rows = comparison_rows(24, validation_share=0)
    create_run(tmp_path / "run", config, rows)
    result = in_process(tmp_path / "run")
    assert result["accuracy"] is None and result["n"] == 0 and result["ranking_loss"] is None
    assert result["reward_shift_source"] == "training responses" and math.isfinite(result["reward_shift"])


@pytest.mark.parametrize(
    "objective",
    [
        {"ranking_loss": "soft_labels"},
        {"ranking_loss": "plackett_luce"},
        {"ranking_loss": "best_of_k"},
        {"margin": "large", "pair_weight": "all", "center_rewards_coefficient": 0.01},
        {"lm_coefficient": 1.0},
    ],
    ids=lambda options: "-".join(options),
)
def test_every_objective_trains_from_random_weights_and_a_new_tokenizer(config, tmp_path, objective):
    fresh = ModelArchitecture(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=128,
        tie_word_embeddings=False,
    )
    options = dataclasses.replace(
        change(
            config,
            objective=objective,
            data={"epochs": 1, "tokens_per_step": 600, "min_comparisons_per_step": 2},
        ),
        model=ModelOptions(source=ModelSource(from_scratch=fresh)),
        tokenizer=dataclasses.replace(config.tokenizer, vocabulary_size=300),
    )
    create_run(tmp_path / "run", options, comparison_rows(40, size=3))
    result = in_process(tmp_path / "run")
    metrics = lines(tmp_path / "run" / "metrics.jsonl")
    assert len(metrics) == result["steps"] > 2 and all(row["gradient_norm"] > 0 for row in metrics)
    assert ("lm_loss" in metrics[0]) == ("lm_coefficient" in objective)
    assert not any(name.startswith("language_head") for name in weights(tmp_path / "run"))
    model, info = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "run" / "model", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and model.config.num_labels == 1


def test_an_earlier_reward_model_is_a_start_and_keeps_its_head(finished, config, tmp_path):
    options = dataclasses.replace(
        change(config, data={"epochs": 1}, optimizer={"learning_rate": 1e-12, "warmup_steps": 0}),
        model=ModelOptions(source=ModelSource(path=str(finished / "model"))),
    )
    create_run(tmp_path / "next", options, comparison_rows(24, size=3))
    in_process(tmp_path / "next")
    before, after = weights(finished), weights(tmp_path / "next")
    assert torch.allclose(before["score.weight"], after["score.weight"], atol=1e-8)


def test_the_margin_reaches_the_loss_of_the_very_first_step(config, tmp_path):
    """The same weights and comparisons: every graded pair costs more the larger its margin."""
    losses = []
    for margin in ("none", "small", "large"):
        options = change(config, objective={"margin": margin}, data={"epochs": 1})
        create_run(tmp_path / margin, options, comparison_rows(30, seed=2))
        in_process(tmp_path / margin)
        losses.append(lines(tmp_path / margin / "metrics.jsonl")[0]["ranking_loss"])
    assert losses[0] < losses[1] < losses[2]
