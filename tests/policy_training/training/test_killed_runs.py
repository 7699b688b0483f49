"""CHECK 25 between checkpoints: killed by SIGKILL anywhere, also while a checkpoint is written, a run of any recipe
ends in the files of one that nobody disturbed, byte for byte; under other conditions it does not go on.
"""

import json
import random
import signal
from dataclasses import replace
from typing import Any

import pyarrow.parquet
import pytest

from learning.interface.training_options import EvaluationOptions, ModelOptions, ModelSource, RuntimeOptions
from policy_training.training.best_of_n.config import CandidateOptions
from policy_training.training.config import LanguageModelDataOptions
from policy_training.training.ppo.config import RolloutOptions
from rewardmodel.training.config import DataOptions
from tests.learning.fork_server import ForkServer, KillPoint
from tests.policy_training.training import recipe_runs, test_best_of_n, test_dpo, test_policy_gradient
from tests.policy_training.training.conftest import (
    BATCH,
    create_run,
    demonstration_rows,
    prompt_rows,
    sft_config,
    text_rows,
)
from tests.rewardmodel.training import conftest as reward_models

KILLED = -signal.SIGKILL
STEPS = 6

# A run that is killed at these points one after the other, each time started again, before it may end.
IN_THE_FIRST_STEP = KillPoint("Engine.step", calls=3)  # after the backward passes
IN_THE_FIRST_CHECKPOINT = KillPoint("Checkpoints._write_manifest", calls=12)  # some of its files are synced
# The third of this attempt, of which half is written:
IN_A_LINE = KillPoint("RunContext._append:metrics.jsonl", nth=3, half_a_line=True)
# The checkpoint has its name, those before it are there still:
AFTER_THE_NAME = KillPoint("Checkpoints._prune", calls=2)
IN_THE_MODEL = KillPoint("Engine.save_model", calls=9)  # the last step is done


def without_times(value: Any) -> Any:
    """What a clock says is different each time."""
    if isinstance(value, dict):
        clock = ("second", "time", "created_at")
        return {k: without_times(v) for k, v in value.items() if not any(word in k for word in clock)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def require_same_files(run: Any, other: Any, *, steps: int) -> None:
    """Everything that the run made: models, checkpoints with the state of optimizers and generators, metrics,
    samples, result.
    """
    of_the_attempt = {"log.txt", "status.json", "lock", "config.json", "complete.json", "manifest.json"}
    files = [
        {str(file.relative_to(one.path)): file for file in one.path.rglob("*") if file.is_file()}
        for one in (run, other)
    ]
    assert files[0].keys() == files[1].keys()
    assert f"checkpoints/step-{steps:06d}.f0/state.safetensors" in files[0]
    for name, file in files[0].items():
        if file.name in of_the_attempt:
            continue
        texts = [each[name].read_bytes() for each in files]
        if file.suffix in (".json", ".jsonl") and texts[0] != texts[1]:
            rows = [text.splitlines() if file.suffix == ".jsonl" else [text] for text in texts]
            first, second = ([without_times(json.loads(row)) for row in each] for each in rows)
            assert first == second, name
        elif file.suffix == ".parquet":
            first, second = (pyarrow.parquet.read_table(each[name]).to_pylist() for each in files)
            assert [without_times(row) for row in first] == [without_times(row) for row in second], name
        else:
            assert texts[0] == texts[1], name


def require_same_answers(run: Any, name: str, evaluations: list[tuple[int, int]]) -> None:
    """The file of evaluations' samples has those of samples.jsonl that have this name: (step, how many) of each."""
    own, all_samples = (
        [json.loads(line) for line in (run.path / file).read_text().splitlines()]
        for file in ("evaluation_samples.jsonl", "samples.jsonl")
    )
    assert own == [row for row in all_samples if name in row]
    assert [row["step"] for row in own] == [step for step, count in evaluations for _ in range(count)]


def require_refused(fork_server: ForkServer, run: Any) -> None:
    """With other packages, and with other options than its checkpoint was made with."""
    path = run.path / "config.json"
    written = path.read_bytes()
    config = json.loads(written)
    packages = {**config["environment"]["packages"], "torch": "1.0"}
    path.write_text(json.dumps({**config, "environment": {**config["environment"], "packages": packages}}))
    said = fork_server.run(run, expected=2)
    assert "the checkpoints were made with torch 1.0 (now" in said and "clone this run" in said
    options = {**config["options"], "runtime": {**config["options"]["runtime"], "seed": 7}}
    path.write_text(json.dumps({**config, "options": options}))
    assert "config.json was edited after step-000002.f0 was made; clone this run" in fork_server.run(
        run, expected=2
    )
    path.write_bytes(written)


def test_killed_anywhere_a_run_ends_in_the_files_of_an_uninterrupted_one(fork_server, tmp_path, policy_path):
    """Fine-tuning with dropout, texts mixed in, and evaluations that sample."""
    config = sft_config(
        model=ModelOptions(source=ModelSource(path=str(policy_path)), dropout=0.1),
        data=LanguageModelDataOptions(examples_per_step=5, steps=STEPS, texts_share=0.25),
        evaluation=EvaluationOptions(evaluate_every_steps=3, max_examples=4, logged_samples=2),
        runtime=RuntimeOptions(checkpoint_every_steps=2),
    )
    rows = {"demonstrations": demonstration_rows(16), "texts": text_rows(9)}
    whole, cut = (create_run(tmp_path / name, "sft", config, **rows) for name in ("whole", "cut"))
    fork_server.run(whole)
    drawn = random.Random("sft")

    for point in (IN_THE_FIRST_STEP, IN_THE_FIRST_CHECKPOINT):
        fork_server.run(cut, kill=point, expected=KILLED)
        assert not cut.has_checkpoint()
    fork_server.run(cut, kill=IN_A_LINE, expected=KILLED)
    assert cut.has_checkpoint() and len(cut.metrics()[0]) == 2
    assert not (cut.path / "metrics.jsonl").read_bytes().endswith(b"\n")
    require_refused(fork_server, cut)
    # Anywhere in its third and fourth step, then in the checkpoint of the latter, then in what follows the last.
    for _ in range(2):
        anywhere = KillPoint("Checkpoints.resume", calls=drawn.randrange(100, 1500))
        fork_server.run(cut, kill=anywhere, expected=KILLED)
        assert {folder.name for folder in cut.path.glob("checkpoints/step-*")} == {"step-000002.f0"}
    fork_server.run(cut, kill=AFTER_THE_NAME, expected=KILLED)
    assert (cut.path / "checkpoints/step-000004.f0/complete.json").is_file()
    fork_server.run(cut, kill=IN_THE_MODEL, expected=KILLED)
    assert cut.result() is None
    fork_server.run(cut)
    require_same_files(whole, cut, steps=STEPS)
    require_same_answers(cut, "prompt", [(step, 2) for step in (3, 6)])


# Evaluated in the third step, which is the best so far, so that its checkpoint is written whatever the interval.
KEEP_THE_BEST = ("dpo", "reward_model", "policy_gradient")
# Calls after the beginning of the fourth step (of PPO's update in it): a checkpoint is made every second step.
IN_THE_FOURTH_STEP = {
    "pretrain": ["train_step"],
    "dpo": ["train_step"],
    "reward_model": ["train_step"],
    "best_of_n": ["train_step"],
    "policy_gradient": ["gradient_step"],
    "ppo": ["step_rollouts", "ppo_update"],  # one after the other: while it samples, and in the inner epochs
}


def run_of(path: Any, recipe: str, policy: Any, reward_model: Any) -> Any:
    """Five steps, evaluated on the way, with whatever a checkpoint of the recipe has to keep."""
    common: Any = {
        "evaluation": EvaluationOptions(evaluate_every_steps=3, max_examples=2, logged_samples=1),
        "runtime": RuntimeOptions(checkpoint_every_steps=2),
    }
    texts = LanguageModelDataOptions(examples_per_step=5, steps=5)
    comparisons = DataOptions(epochs=None, steps=5, comparisons_per_step=6)
    rollouts = RolloutOptions(steps=5, prompts_per_step=4, samples_per_prompt=4)
    match recipe:
        case "pretrain":
            dropped = ModelOptions(source=ModelSource(path=str(policy)), dropout=0.1)
            config = sft_config(model=dropped, data=texts, **common)
            return create_run(path, recipe, config, texts=text_rows(16, heldout=4))
        case "dpo":
            config = test_dpo.dpo_config(policy, data=comparisons, **common)
            return create_run(path, recipe, config, comparisons=test_dpo.comparison_rows(30))
        case "reward_model":
            config = replace(reward_models.small_config(policy), data=comparisons, batch=BATCH, **common)
            return reward_models.create_run(path, config, test_dpo.comparison_rows(30))
        case "best_of_n":
            candidates = CandidateOptions(samples_per_prompt=3, only_ended=False)
            config = test_best_of_n.config_of(
                policy, reward_model, candidates=candidates, data=texts, **common
            )
            return create_run(path, recipe, config, prompts=prompt_rows(12))
        case "policy_gradient":
            # 0.3 examples to each of the 8 responses of an update: what is due is carried from one to the next.
            algorithm = replace(
                test_policy_gradient.GRPO,
                ptx_coefficient=0.5,
                ptx_texts_share=0.5,
                ptx_examples_per_response=0.3,
            )
            config = test_policy_gradient.gradient_config(
                policy, reward_model, algorithm=algorithm, rollout=rollouts, **common
            )
            return create_run(path, recipe, config, **recipe_runs.PPO_ROWS)
        case _:
            config = replace(recipe_runs.long_ppo(policy, reward_model), rollout=rollouts, **common)
            # The critic alone learns in the first step.
            config = replace(config, critic=replace(config.critic, max_pretraining_updates=2))
            return create_run(path, recipe, config, **recipe_runs.PPO_ROWS)


@pytest.mark.parametrize("recipe", IN_THE_FOURTH_STEP)
def test_every_recipe_killed_between_checkpoints_ends_in_the_same_files(
    fork_server, tmp_path, policy_path, reward_model_path, recipe
):
    whole, cut = (
        run_of(tmp_path / name, recipe, policy_path, reward_model_path) for name in ("whole", "cut")
    )
    fork_server.run(whole)
    drawn, steps_done = random.Random(recipe), 0
    for function in IN_THE_FOURTH_STEP[recipe]:
        point = KillPoint(function, nth=4 - steps_done, calls=drawn.randrange(80))
        fork_server.run(cut, kill=point, expected=KILLED)
        # Where it is not the best, the third step is lost with what was done of the fourth.
        kept = {2, 3} if recipe in KEEP_THE_BEST else {2}
        found = {folder.name for folder in cut.path.glob("checkpoints/step-*")}
        assert found == {f"step-{step:06d}.f0" for step in kept}
        assert len(cut.metrics()[0]) == 3
        steps_done = max(kept)
    fork_server.run(cut)
    steps = len(whole.metrics()[0])
    require_same_files(whole, cut, steps=steps)
    if recipe in ("ppo", "policy_gradient"):
        evaluated = 4 if recipe == "ppo" else 3  # the third step of the policy
        require_same_answers(cut, "evaluation_prompt", [(0, 1), (evaluated, 1), (steps, 1)])
    elif recipe == "dpo":
        require_same_answers(cut, "prompt", [(3, 1), (steps, 1)])
