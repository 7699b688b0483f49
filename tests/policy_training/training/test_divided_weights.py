"""CHECK 20 where ZeRO 3 divides every weight, as of a real model: two processes learn and sample what one does."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from learning.interface.training_options import (
    EvaluationOptions,
    LoraOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from policy_training.training.config import LanguageModelDataOptions, SamplingOptions
from policy_training.training.policy_gradient.config import PolicyGradientOptions
from policy_training.training.ppo.config import RolloutOptions
from rewardmodel.training.config import DataOptions
from tests.learning.fork_server import ForkServer
from tests.policy_training.training.conftest import create_run, demonstration_rows, prompt_rows, sft_config
from tests.policy_training.training.test_dpo import comparison_rows, dpo_config
from tests.policy_training.training.test_policy_gradient import gradient_config

STEPS = 3
# A prompt at a time of an odd number: one process samples longer than the other, and makes more passes.
ROLLOUTS = RolloutOptions(
    steps=2, prompts_per_step=3, samples_per_prompt=4, sampling=SamplingOptions(batch_size=4)
)


@pytest.fixture(scope="module")
def fork_server():
    server = ForkServer(
        "tests.learning.divided_weights",
        "peft",
        "policy_training.training.dpo.recipe",
        "policy_training.training.policy_gradient.recipe",
    )
    yield server
    server.close()


def make_run(path: Path, name: str, policy: Path, reward_model: Path, runtime: RuntimeOptions) -> Any:
    """Fine-tuning and DPO by LoRA, a policy gradient of all weights."""
    lora = LoraOptions() if name == "rloo" else LoraOptions(rank=4, alpha=8.0)
    model = ModelOptions(source=ModelSource(path=str(policy)), lora=lora)
    # Adapters begin with zeros, so that they must move further to be seen.
    rate = OptimizerOptions(learning_rate=1e-5 if name == "rloo" else 1e-4, schedule="constant")
    common: Any = {"evaluation": EvaluationOptions(max_examples=3, logged_samples=2), "runtime": runtime}
    if name == "rloo":
        algorithm = PolicyGradientOptions(advantage="leave_one_out", responses_per_minibatch=4)
        changes = {"policy": model, "policy_optimizer": rate, "rollout": ROLLOUTS, "algorithm": algorithm}
        config = gradient_config(policy, reward_model, **changes, **common)
        return create_run(path, "policy_gradient", config, prompts=prompt_rows(9))
    common |= {"model": model, "optimizer": rate}
    if name == "sft":
        data = LanguageModelDataOptions(examples_per_step=5, steps=STEPS)
        config = sft_config(data=data, **common)
        return create_run(path, name, config, demonstrations=demonstration_rows(17))
    steps = DataOptions(epochs=None, steps=STEPS, comparisons_per_step=5)
    return create_run(path, name, dpo_config(policy, data=steps, **common), comparisons=comparison_rows(21))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sft", "dpo", "rloo"])
def test_two_processes_learn_and_sample_what_one_does(
    fork_server, tmp_path, policy_path, reward_model_path, name
):
    runs = []
    for processes, runtime in ((1, RuntimeOptions()), (2, RuntimeOptions(backend="deepspeed", zero_stage=3))):
        run = make_run(tmp_path / str(processes), name, policy_path, reward_model_path, runtime)
        fork_server.run(run, processes=processes)
        runs.append(run)
    alone, divided = runs
    assert alone.samples(1000) == divided.samples(1000) != []
    for one, two in zip(alone.metrics()[0], divided.metrics()[0], strict=True):
        assert one.keys() == two.keys()
        for figure, value in one.items():
            if isinstance(value, float) and "second" not in figure:
                assert two[figure] == pytest.approx(value, abs=1e-5, rel=1e-4), figure
    before = load_file(policy_path / "model.safetensors")
    first, second = (load_file(run.path / "model" / "model.safetensors") for run in runs)
    assert first.keys() == second.keys()
    assert max((first[key] - second[key]).abs().max().item() for key in first) <= 1e-5
    assert max((first[key] - before[key]).abs().max().item() for key in before.keys() & first.keys()) > 1e-5
