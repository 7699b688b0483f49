"""The same update however the work is divided: micro-batches, processes, DeepSpeed (CHECKS 19, 20)."""

import dataclasses

import pytest
import torch

from learning.batches.micro_batching import example_size
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.models.architectures import output_head
from learning.models.loading import load_reward_model
from rewardmodel.training.batcher import Batcher
from rewardmodel.training.comparisons import comparison_from_row
from rewardmodel.training.config import DataOptions, ObjectiveOptions, RewardModelConfig
from rewardmodel.training.tokenization import tokenize_comparisons
from rewardmodel.training.train import TrainingData, train_step
from tests.learning.fork_server import shared_fork_server
from tests.rewardmodel.training.conftest import (
    comparison_rows,
    create_run,
    demonstration_rows,
    lines,
    weights,
)


def training_data(tokenizer, config):
    comparisons = [comparison_from_row(row) for row in comparison_rows(24, size=3, seed=8)]
    comparisons = [item for item in comparisons if item.untied_pairs]
    examples = tokenize_comparisons(tokenizer, comparisons, config.batch)
    sizes = [example_size(example, "shared_prompt") for example in examples]
    return TrainingData(comparisons=comparisons, examples=examples, sizes=sizes)


@pytest.mark.parametrize(
    "objective", [{}, {"lm_coefficient": 1.0, "center_rewards_coefficient": 0.01}], ids=["ranking", "all"]
)
def test_micro_batches_of_any_size_give_the_same_update(tokenizer, config, policy_path, objective):
    """CHECK 19: comparisons of unequal weight and length, normalised by the weight of the whole step."""
    data = training_data(tokenizer, config)
    data = dataclasses.replace(
        data,
        comparisons=[
            dataclasses.replace(item, weight=0.5 + index % 3) for index, item in enumerate(data.comparisons)
        ],
    )
    runtime = RuntimeOptions()
    found = {}
    for max_tokens in (1, 200, 400, 800, 100_000):
        torch.manual_seed(0)
        model = load_reward_model(ModelSource(path=str(policy_path)), tokenizer)
        torch.nn.init.normal_(output_head(model).weight, std=0.2, generator=torch.Generator().manual_seed(1))
        distributed = DistributedContext.start(runtime)
        engine = Engine(
            model,
            optimizer=OptimizerOptions(learning_rate=1e-3, schedule="constant", epsilon=1e-3),
            steps_total=3,
            runtime=runtime,
            distributed=distributed,
        )
        batcher = Batcher(
            layout="shared_prompt",
            layout_reason="",
            pad_id=tokenizer.pad_token_id,
            max_tokens=max_tokens,
            distributed=distributed,
        )
        figures = [
            train_step(engine, batcher, ObjectiveOptions(**objective), data, list(range(start, start + 6)))
            for start in (0, 6, 12)
        ]
        passes = len(batcher.micro_batches(data.sizes, list(range(6))))
        found[max_tokens] = (passes, figures, torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert found[1][0] == 6 and found[100_000][0] == 1
    for _, figures, parameters in found.values():
        assert (parameters - found[1][2]).abs().max() <= 1e-6
        for ours, theirs in zip(figures, found[1][1], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)


def run_of(path, policy_path, *, processes, **runtime):
    """Metrics and weights of ten steps and more at a learning rate of 1e-5."""
    options = RewardModelConfig(
        model=ModelOptions(source=ModelSource(path=str(policy_path))),
        optimizer=OptimizerOptions(learning_rate=1e-5, schedule="constant"),
        data=DataOptions(epochs=2, comparisons_per_step=11),
        batch=BatchOptions(max_prompt_tokens=48, max_response_tokens=48, max_micro_batch_tokens=500),
        evaluation=EvaluationOptions(),
        runtime=RuntimeOptions(**runtime),
    )
    create_run(
        path, options, comparison_rows(64, size=3, seed=4, validation_share=0.1), demonstration_rows(8)
    )
    shared_fork_server().run(RunDirectory(path), processes=processes)
    return lines(path / "metrics.jsonl"), weights(path)


@pytest.fixture(scope="module")
def plain(policy_path, tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("plain") / "run", policy_path, processes=1)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.full_size), 2])
@pytest.mark.parametrize(
    "zero_stage", [*(pytest.param(stage, marks=pytest.mark.full_size) for stage in (0, 1)), 2, 3]
)
def test_one_and_two_processes_under_deepspeed_equal_plain_torch(
    plain, policy_path, tmp_path, processes, zero_stage
):
    """CHECK 20 for the reward model, by its real command."""
    metrics, parameters = plain
    assert len(metrics) >= 10
    other_metrics, other_parameters = run_of(
        tmp_path / "run", policy_path, processes=processes, backend="deepspeed", zero_stage=zero_stage
    )
    assert [row["comparisons"] for row in other_metrics] == [row["comparisons"] for row in metrics]
    for ours, theirs in zip(other_metrics, metrics, strict=True):
        assert abs(ours["loss"] - theirs["loss"]) <= 1e-5
        assert ours["accuracy"] == theirs["accuracy"]  # no comparison dropped or seen twice
    for name, value in parameters.items():
        assert (other_parameters[name] - value).abs().max() <= 1e-5
