import json
from dataclasses import dataclass, field

import pytest
import torch

import learning.micro_batch_size as sizes
from learning.distributed import DistributedContext
from learning.interface.options import UserError, load_options
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import BatchOptions, RuntimeOptions
from learning.micro_batch_size import micro_batch_tokens, resolve_micro_batch_tokens, with_micro_batch_tokens
from learning.run_context import RunContext

CPU = DistributedContext(rank=0, world_size=1, device=torch.device("cpu"))


@dataclass(frozen=True, kw_only=True)
class Options:
    batch: BatchOptions = field(default_factory=BatchOptions)
    reward_model_batch: BatchOptions | None = None
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)


def create(path, **options):
    return RunDirectory.create(path, command="a.recipe", config=options)


def open_context(run, environment=None):
    context = RunContext.open(
        run, Options, describe_environment=lambda options: environment or {"threads": 1}
    )
    return context


def pretend_checkpoint(run):
    folder = run.path / "checkpoints" / "step-000001.f0"
    folder.mkdir(parents=True)
    (folder / "complete.json").write_text("{}")


@pytest.mark.parametrize(
    ("device", "width", "tokens"),
    [
        ("cpu", 32, 2048),
        ("cpu", 64, 2048),
        ("cpu", 65, 1024),
        ("cpu", 4096, 1024),
        ("cpu", None, 1024),
        ("cuda", 64, 4096),
        ("cuda", None, 4096),
    ],
)
def test_the_size_is_a_table_by_device_and_width(device, width, tokens):
    assert micro_batch_tokens(device, width) == tokens


@pytest.mark.parametrize(
    ("device", "width", "tokens"),
    [("cpu", 64, 2048), ("cpu", 255, 1024), ("cpu", 256, 512), ("cpu", None, 1024), ("cuda", 256, 4096)],
)
def test_two_graphs_in_memory_share_the_tokens_of_one_where_that_costs_no_time(device, width, tokens):
    assert micro_batch_tokens(device, width, graphs=2) == tokens


def test_the_widest_of_the_models_that_share_the_passes_decides(make_policy, make_reward_model):
    narrow, wide = make_policy(hidden_size=32), make_reward_model(hidden_size=128)
    assert with_micro_batch_tokens(BatchOptions(), [narrow], "cpu").micro_batch_tokens == 2048
    assert with_micro_batch_tokens(BatchOptions(), [narrow, wide], "cpu").micro_batch_tokens == 1024
    assert with_micro_batch_tokens(BatchOptions(), [make_policy("gpt2")], "cpu").micro_batch_tokens == 2048
    asked = BatchOptions(max_micro_batch_tokens=300)
    assert with_micro_batch_tokens(asked, [wide], "cpu") == asked


def test_a_resumed_run_keeps_the_size_it_began_with(tmp_path, make_policy, monkeypatch):
    run, model = create(tmp_path / "run"), make_policy(hidden_size=32)
    context = open_context(run)
    assert resolve_micro_batch_tokens(context, CPU, context.options.batch, model).micro_batch_tokens == 2048
    recorded = json.loads((run.path / "config.json").read_text())
    assert recorded["environment"] == {"threads": 1, "resolved": {"batch.max_micro_batch_tokens": 2048}}
    assert recorded["options"] == {}
    context.close("checkpointed", "")
    pretend_checkpoint(run)

    monkeypatch.setattr(sizes, "CPU_TOKENS_NARROW", 512)  # a later version
    context = open_context(run)
    batch = context.options.batch
    assert batch.max_micro_batch_tokens == "auto"
    assert resolve_micro_batch_tokens(context, CPU, batch, model).micro_batch_tokens == 2048
    # Another limit of the same run has no record yet.
    other = resolve_micro_batch_tokens(context, CPU, batch, model, name="reward_model_batch")
    assert other.micro_batch_tokens == 512


def test_a_run_without_results_that_starts_elsewhere_chooses_anew(tmp_path, make_policy, monkeypatch):
    run, model = create(tmp_path / "run"), make_policy(hidden_size=32)
    context = open_context(run)
    resolve_micro_batch_tokens(context, CPU, context.options.batch, model)
    context.close("failed", "")
    monkeypatch.setattr(sizes, "CPU_TOKENS_NARROW", 512)
    context = open_context(run, {"threads": 2})
    assert resolve_micro_batch_tokens(context, CPU, context.options.batch, model).micro_batch_tokens == 512
    assert run.environment() == {"threads": 2, "resolved": {"batch.max_micro_batch_tokens": 512}}


def test_a_run_with_checkpoints_of_the_former_default_goes_on_with_it(tmp_path):
    """What it left out was 4,096 when its checkpoints were made, and they know it by a hash of all options."""
    run = create(tmp_path / "run", batch={"max_prompt_tokens": 9}, reward_model_batch={})
    run.record_environment({"threads": 1})  # as versions before "auto" wrote it
    context = open_context(run)
    assert context.options.batch.max_micro_batch_tokens == "auto"  # nothing was computed yet
    context.close("failed", "")
    pretend_checkpoint(run)
    options = open_context(run).options_as_asked
    assert options.batch == BatchOptions(max_prompt_tokens=9, max_micro_batch_tokens=4096)
    assert options.reward_model_batch == BatchOptions(max_micro_batch_tokens=4096)


def test_what_an_old_run_named_is_what_it_gets(tmp_path):
    run = create(tmp_path / "run", batch={"max_micro_batch_tokens": 700})
    run.record_environment({"threads": 1})
    pretend_checkpoint(run)
    options = open_context(run).options
    assert options.batch.micro_batch_tokens == 700
    assert options.reward_model_batch is None


@pytest.mark.parametrize("value", [0, "automatic", 1.5, True])
def test_anything_but_auto_and_a_number_above_0_is_refused_by_name(value):
    with pytest.raises(UserError, match="max_micro_batch_tokens"):
        load_options(BatchOptions, {"max_micro_batch_tokens": value})


def test_a_size_that_nobody_resolved_is_a_mistake_of_the_recipe():
    with pytest.raises(RuntimeError, match="auto"):
        _ = BatchOptions().micro_batch_tokens
