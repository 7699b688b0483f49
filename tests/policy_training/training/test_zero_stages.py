"""CHECK 20 for the recipes: two processes, plain or under DeepSpeed ZeRO 0-3, learn and sample what one of plain torch
does. ZeRO 3 divides every weight, as of a real model.

The reward model's is in tests/rewardmodel/training/test_same_update.py, the engine's in tests/learning/test_engine.py.
"""

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
from policy_training.training.ppo.config import AlgorithmOptions, CriticOptions, RolloutOptions
from rewardmodel.training.config import DataOptions
from tests.learning.fork_server import ForkServer
from tests.policy_training.training.conftest import (
    create_run,
    demonstration_rows,
    ppo_config,
    prompt_rows,
    sft_config,
    text_rows,
)
from tests.policy_training.training.test_best_of_n import config_of
from tests.policy_training.training.test_dpo import comparison_rows, dpo_config
from tests.policy_training.training.test_policy_gradient import gradient_config

STEPS = 10
TORCH = "torch"
# The engines of processes, or stages of ZeRO, of each recipe. "lora": by adapters. What samples with a shared base is
# refused under ZeRO 3.
ENGINES: dict[str, tuple[str | int, ...]] = {
    "pretrain": (0, 1, 2, 3),
    "sft lora": (2, 3),
    "dpo": (TORCH, 2),
    "dpo lora": (2, 3),
    "best_of_n": (2, 3),
    "policy_gradient": (TORCH, 2, 3),
    "policy_gradient lora": (2,),
    "ppo": (0, 1, 2, 3),
    "ppo lora": (2,),
}
# A prompt at a time of an odd number: one process samples longer than the other, and makes more passes.
ROLLOUTS = RolloutOptions(
    steps=STEPS, prompts_per_step=3, samples_per_prompt=4, sampling=SamplingOptions(batch_size=4)
)


@pytest.fixture(scope="module")
def fork_server():
    recipes = ("dpo", "policy_gradient", "ppo", "best_of_n")
    server = ForkServer(
        "tests.learning.divided_weights",
        "peft",
        *(f"policy_training.training.{name}.recipe" for name in recipes),
        "policy_training.training.supervised.pretrain",
        "policy_training.training.supervised.sft",
    )
    yield server
    server.close()


@pytest.fixture(scope="module")
def alone(fork_server, tmp_path_factory, policy_path, reward_model_path):
    """The run of a recipe in one process of plain torch, made once."""
    made: dict[str, Any] = {}

    def run_of(name: str) -> Any:
        if name not in made:
            path = tmp_path_factory.mktemp("alone") / "run"
            made[name] = make_run(path, name, policy_path, reward_model_path, RuntimeOptions())
            fork_server.run(made[name])
        return made[name]

    return run_of


def make_run(path: Path, name: str, policy: Path, reward_model: Path, runtime: RuntimeOptions) -> Any:
    recipe, by_lora = name.removesuffix(" lora"), name.endswith(" lora")
    lora = LoraOptions(rank=4, alpha=8.0) if by_lora else LoraOptions()
    model = ModelOptions(source=ModelSource(path=str(policy)), lora=lora)
    # Adapters begin with zeros, so that they must move further to be seen.
    rate = OptimizerOptions(learning_rate=1e-4 if by_lora else 1e-5, schedule="constant")
    common: Any = {"evaluation": EvaluationOptions(max_examples=3, logged_samples=2), "runtime": runtime}
    if recipe in ("policy_gradient", "ppo"):
        common |= {"policy": model, "policy_optimizer": rate, "rollout": ROLLOUTS}
    else:
        common |= {"model": model, "optimizer": rate}
    data = LanguageModelDataOptions(examples_per_step=5, steps=STEPS)
    match recipe:
        case "pretrain":
            return create_run(path, recipe, sft_config(data=data, **common), texts=text_rows(20, heldout=3))
        case "sft":
            rows = demonstration_rows(17)
            return create_run(path, recipe, sft_config(data=data, **common), demonstrations=rows)
        case "dpo":
            steps = DataOptions(epochs=None, steps=STEPS, comparisons_per_step=5)
            config = dpo_config(policy, data=steps, **common)
            return create_run(path, recipe, config, comparisons=comparison_rows(21))
        case "best_of_n":
            config = config_of(policy, reward_model, data=data, **common)
            return create_run(path, recipe, config, prompts=prompt_rows(11))
        case "policy_gradient":
            algorithm = PolicyGradientOptions(advantage="leave_one_out", responses_per_minibatch=4)
            config = gradient_config(policy, reward_model, algorithm=algorithm, **common)
            return create_run(path, recipe, config, prompts=prompt_rows(9))
        case _:
            config = ppo_config(
                policy,
                reward_model,
                critic_optimizer=rate,
                algorithm=AlgorithmOptions(responses_per_minibatch=8, ppo_epochs=2, whiten_advantages=True),
                critic=CriticOptions(max_pretraining_updates=2, plateau_window=1),
                **common,
            )
            return create_run(path, recipe, config, prompts=prompt_rows(9))


def require_same_figures(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        if not isinstance(value, (float, list)):
            assert two[name] == value, name
        elif "second" not in name and name != "sqrt_kl":  # a root near 0 magnifies rounding; `kl` is compared
            relative = 0.0 if "loss" in name else 1e-4
            assert two[name] == pytest.approx(value, abs=1e-5, rel=relative), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "engine"), [(name, engine) for name, engines in ENGINES.items() for engine in engines]
)
def test_two_processes_learn_and_sample_what_one_does(
    fork_server, alone, tmp_path, policy_path, reward_model_path, name, engine
):
    runtime = RuntimeOptions()
    if engine != TORCH:
        runtime = RuntimeOptions(backend="deepspeed", zero_stage=engine)
    one = alone(name)
    two = make_run(tmp_path / "run", name, policy_path, reward_model_path, runtime)
    fork_server.run(two, processes=2)
    assert one.samples(1000) == two.samples(1000)
    assert (one.samples(1000) == []) == (name == "pretrain")
    metrics = [run.metrics()[0] for run in (one, two)]
    assert len(metrics[0]) >= STEPS
    for first, second in zip(*metrics, strict=True):
        require_same_figures(first, second)
    before = load_file(policy_path / "model.safetensors")
    for model in ("model", "critic") if name.startswith("ppo") else ("model",):
        first, second = (load_file(run.path / model / "model.safetensors") for run in (one, two))
        assert first.keys() == second.keys()
        assert max((first[key] - second[key]).abs().max().item() for key in first) <= 1e-5
        assert (
            max((first[key] - before[key]).abs().max().item() for key in before.keys() & first.keys()) > 1e-5
        )
