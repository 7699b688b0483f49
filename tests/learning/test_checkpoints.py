import json
import signal
import time
from dataclasses import dataclass, field

import pytest
import torch
from safetensors.torch import load_file

from learning.batches.collation import collate
from learning.batches.forward import compute_token_logprobs
from learning.batches.samplers import EpochBatchSampler, StepBatchSize
from learning.checkpoints import Checkpoints, DataclassState
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.options import UserError
from learning.interface.training_options import RuntimeOptions
from learning.run_context import RunContext, StopRequested
from tests.learning.conftest import random_examples
from tests.learning.running import create, start
from tests.learning.small_recipe import SmallOptions

EXAMPLES = random_examples(6, 2)
CPU = DistributedContext(rank=0, world_size=1, device=torch.device("cpu"))


@dataclass
class Kept(DataclassState):
    best: float = -1.0
    trace: list[float] = field(default_factory=list)


class Trained:
    """A little training in this process, over a real run directory."""

    def __init__(self, run, model, scored_by=""):
        self.context = RunContext.open(run, SmallOptions)
        options = self.context.options
        self.engine = Engine(
            model, optimizer=options.optimizer, steps_total=99, runtime=options.runtime, distributed=CPU
        )
        self.sampler = EpochBatchSampler([1] * 6, seed=0, step_batch_size=StepBatchSize(examples=2))
        self.kept = Kept()
        self.checkpoints = Checkpoints(
            self.context,
            CPU,
            engines={"policy": self.engine},
            state={"sampler": self.sampler, "kept": self.kept},
            scored_by=scored_by,
        )
        self.done = self.checkpoints.resume()

    def steps(self, first, last, score=None):
        for step in range(first, last + 1):
            batch = collate([EXAMPLES[i] for i in self.sampler.next()], layout="shared_prompt", pad_id=0)
            loss = self.engine.accumulate_and_step(
                [batch], lambda one: -self.engine.forward(compute_token_logprobs, one).sum(), 9.0
            ).loss
            self.kept.trace.append(torch.rand(()).item())
            self.context.log_metrics(step, {"loss": loss})
            self.checkpoints.after_step(step, score=None if score is None else score(step))

    def weights(self):
        return torch.cat([p.detach().flatten() for p in self.engine.model.parameters()])


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ("ROUNDTABLE_FENCE", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(tmp_path):
    return create(tmp_path / "run")


@pytest.fixture
def train(run, make_policy):
    return lambda: Trained(run, make_policy("gpt2", dropout=0.3))


def names(run):
    return sorted(path.name for path in (run.path / "checkpoints").iterdir())


def test_a_resumed_run_is_the_uninterrupted_one_in_weights_state_and_metrics(train, run, make_policy):
    first = train()
    first.steps(1, 4)  # a checkpoint at 4
    torch.manual_seed(77)  # what happens to the generators after it does not matter
    first.steps(5, 5)
    first.context.release()
    torch.manual_seed(5)
    second = train()
    assert second.done == 4
    assert [row["step"] for row in run.metrics()[0]] == [1, 2, 3, 4, 5]  # until this attempt writes
    second.steps(5, 7)
    assert second.engine.steps_done == 7
    metrics = [row["loss"] for row in run.metrics()[0]]

    whole = Trained(create(run.path.with_name("whole")), make_policy("gpt2", dropout=0.3))
    whole.steps(1, 7)
    assert torch.equal(second.weights(), whole.weights())
    assert second.kept == whole.kept and len(whole.kept.trace) == 7
    assert second.sampler.state_dict() == whole.sampler.state_dict()
    assert metrics == [row["loss"] for row in whole.context.run_directory.metrics()[0]]


def test_random_state_of_every_generator_is_restored(train):
    import random

    import numpy as np

    first = train()
    first.steps(1, 2)
    expected = (random.random(), float(np.random.rand()), torch.rand(3).tolist())
    first.context.release()
    second = train()
    assert second.done == 2
    assert (random.random(), float(np.random.rand()), torch.rand(3).tolist()) == expected
    assert second.sampler.state_dict() == first.sampler.state_dict()
    assert second.kept == first.kept
    assert torch.equal(second.weights(), first.weights())


def test_a_half_written_or_damaged_checkpoint_is_ignored(train, run):
    first = train()
    first.steps(1, 4)
    weights = first.weights()
    first.context.release()
    folder = run.path / "checkpoints"
    assert names(run) == ["step-000002.f0", "step-000004.f0"]
    # one that was being written, one without complete.json, one whose complete.json is torn
    for name in ("tmp-step-000008.f0", "step-000010.f0", "step-000012.f0"):
        (folder / name).mkdir()
        (folder / name / "state.json").write_text("{}")
    (folder / "step-000012.f0" / "complete.json").write_text('{"step": 12')
    second = train()
    assert second.done == 4 and torch.equal(second.weights(), weights)
    assert "tmp-step-000008.f0" not in names(run)
    second.context.release()
    state = folder / "step-000004.f0" / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    third = train()
    assert third.done == 2
    third.context.release()
    (folder / "step-000002.f0" / "random-0.json").unlink()
    assert train().done == 0  # none is left: from the start


def test_the_last_two_and_the_best_are_kept(train, run):
    train().steps(1, 12, score=lambda step: -abs(step - 4))
    assert names(run) == ["step-000004.f0", "step-000010.f0", "step-000012.f0"]


def test_a_new_best_is_written_whatever_the_interval_and_a_killed_run_decides_alike(tmp_path, make_policy):
    """Scores at every second step; a worse one, an equal one and one that is no number write nothing."""
    scores = {2: 1.0, 4: 0.5, 6: 3.0, 8: 3.0, 10: float("nan")}
    runtime = {"checkpoint_every_steps": 100}
    run = create(tmp_path / "best", runtime=runtime)
    first = Trained(run, make_policy("gpt2"))
    first.steps(1, 5, score=scores.get)
    assert names(run) == ["step-000002.f0"]
    first.context.release()
    second = Trained(run, make_policy("gpt2"))
    second.steps(3, 7, score=scores.get)
    assert (second.done, names(run)) == (2, ["step-000002.f0", "step-000006.f0"])
    second.steps(8, 11, score=scores.get)
    assert names(run) == ["step-000002.f0", "step-000006.f0"]
    assert second.checkpoints.restore_best() == 6


def test_scores_of_another_kind_and_of_a_damaged_checkpoint_are_no_measure(tmp_path, make_policy):
    run = create(tmp_path / "kinds", runtime={"checkpoint_every_steps": 100})
    first = Trained(run, make_policy("gpt2"))
    first.steps(1, 3, score={2: 9.0}.get)  # what an earlier version meant by a score
    first.context.release()
    second = Trained(run, make_policy("gpt2"), scored_by="penalised_score")
    assert second.checkpoints.restore_best() is None
    second.steps(3, 5, score={4: 1.0}.get)
    assert names(run) == ["step-000002.f0", "step-000004.f0"]
    assert second.checkpoints.restore_best() == 4
    second.context.release()
    next((run.path / "checkpoints" / "step-000004.f0").glob("state*")).write_bytes(b"")
    third = Trained(run, make_policy("gpt2"), scored_by="penalised_score")
    assert third.done == 2
    third.steps(3, 5, score={4: 1.0}.get)  # as before, bit for bit, and written again
    assert third.checkpoints.restore_best() == 4


def test_a_later_fence_wins_at_equal_steps_and_names_carry_it(train, run):
    run.write_fence(3)
    first = train()
    first.steps(1, 2)
    first.context.release()
    run.write_fence(4)
    second = train()
    assert second.done == 2
    second.checkpoints.save(2)
    assert names(run) == ["step-000002.f3", "step-000002.f4"]


def test_an_edited_configuration_is_refused_saying_clone_this_run(train, run):
    first = train()
    first.steps(1, 2)
    first.context.release()
    envelope = json.loads((run.path / "config.json").read_text())
    envelope["options"]["optimizer"]["learning_rate"] = 0.5
    (run.path / "config.json").write_text(json.dumps(envelope))
    with pytest.raises(UserError, match="edited after step-000002.f0 was made; clone this run"):
        train()


def test_being_asked_to_stop_saves_and_leaves_except_in_the_last_step(train, run):
    trained = train()
    trained.context.stop_requested = True
    with pytest.raises(StopRequested, match="checkpointed at step 1; start the run again to go on"):
        trained.steps(1, 1)
    assert names(run) == ["step-000001.f0"]
    trained.checkpoints.after_step(2, last=True)


def test_an_overtaken_attempt_saves_nothing(train, run):
    from learning.interface.run_directory import StaleFence

    run.write_fence(1)
    trained = train()
    trained.steps(1, 1)
    run.write_fence(2)
    with pytest.raises(StaleFence):
        trained.checkpoints.save(1)
    assert not run.has_checkpoint()


def outcome_of(run):
    return load_file(run.model_path / "model.safetensors"), run.metrics()[0], run.samples()


def assert_same_run(run, other):
    (tensors, metrics, samples), (expected, expected_metrics, expected_samples) = map(
        outcome_of, (run, other)
    )
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[key], expected[key]) for key in tensors)
    assert metrics == expected_metrics
    assert samples == expected_samples
    assert run.result()["sha256s"] == other.result()["sha256s"]


def killed_and_resumed(fork_server, folder, kill_at_step, **changes):
    run = create(folder / "killed", kill_at_step=kill_at_step, **changes)
    fork_server.run(run, expected=-signal.SIGKILL)
    assert run.result() is None and run.status().outcome == "running"
    fork_server.run(run)
    return run


@pytest.fixture(scope="module")
def whole(fork_server, tmp_path_factory):
    """The uninterrupted run. Where a run stops and how often it saves change nothing in its result."""
    run = create(tmp_path_factory.mktemp("uninterrupted") / "whole")
    fork_server.run(run)
    return run


def test_a_run_killed_in_mid_step_and_resumed_is_the_uninterrupted_run_bit_for_bit(
    fork_server, tmp_path, whole
):
    killed = killed_and_resumed(fork_server, tmp_path, kill_at_step=4)
    assert "resumed from step-000002.f0" in killed.log_tail()
    assert_same_run(killed, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kill_at_step", "runtime"),
    [
        (1, {}),
        (3, {"dtype": "bf16"}),
        pytest.param(6, {"threads": 2}, marks=pytest.mark.full_size),
        pytest.param(5, {"checkpoint_every_steps": 1}, marks=pytest.mark.full_size),
    ],
)
def test_killed_at_other_steps_and_in_other_settings(fork_server, tmp_path, kill_at_step, runtime):
    killed = killed_and_resumed(fork_server, tmp_path, kill_at_step, runtime=runtime)
    whole = create(tmp_path / "whole", runtime=runtime)
    fork_server.run(whole)
    assert_same_run(killed, whole)


def test_sigterm_checkpoints_with_exit_75_and_the_resumed_run_is_the_uninterrupted_one(
    fork_server, tmp_path, whole
):
    run = create(tmp_path / "run", seconds_per_step=0.4, runtime={"checkpoint_every_steps": 50})
    process = start(run, fence=None)
    deadline = time.monotonic() + 300
    while not run.metrics()[0] and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 75, stderr
    status = run.status()
    assert status.outcome == "checkpointed"
    assert status.reason.startswith("checkpointed at step")
    fork_server.run(run)
    assert run.status().outcome == "done"
    assert_same_run(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [
        {"backend": "deepspeed", "zero_stage": 2},
        pytest.param({"backend": "torch"}, marks=pytest.mark.full_size),
    ],
)
def test_two_processes_stop_together_resume_and_refuse_another_number(fork_server, tmp_path, engine):
    runtime = {**engine, "checkpoint_every_steps": 2}
    whole = create(tmp_path / "whole", dropout=0.0, runtime=runtime)
    fork_server.run(whole, processes=2)
    run = create(tmp_path / "run", dropout=0.0, seconds_per_step=1.0, runtime=runtime)
    process = start(run, processes=2)
    deadline = time.monotonic() + 400
    while len(run.metrics()[0]) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)  # torchrun hands it on to its children
    process.communicate(timeout=400)
    assert run.status().outcome == "checkpointed", run.log_tail()
    stopped_at = run.status().step
    stderr = fork_server.run(run, expected=2)  # one process cannot go on from two
    assert "processes 2 (now 1)" in stderr and "clone this run" in stderr
    fork_server.run(run, processes=2)
    losses = [row["loss"] for row in run.metrics()[0]]
    assert losses == pytest.approx([row["loss"] for row in whole.metrics()[0]], abs=1e-6)
    assert 3 <= stopped_at <= 6
    tensors, expected = outcome_of(run)[0], outcome_of(whole)[0]
    assert all(torch.allclose(tensors[key], expected[key], atol=1e-6) for key in expected)


def test_checkpoints_of_the_steps_that_are_named_are_written_and_stay(tmp_path, make_policy):
    runtime = {"checkpoint_every_steps": 4, "keep_checkpoints": 1, "keep_steps": [1, 3]}
    run = create(tmp_path / "named", runtime=runtime)
    Trained(run, make_policy("gpt2")).steps(1, 8)
    assert names(run) == ["step-000001.f0", "step-000003.f0", "step-000008.f0"]


def test_a_step_to_keep_is_a_step():
    with pytest.raises(ValueError, match="keep_steps must be at least 1, found 0"):
        RuntimeOptions(keep_steps=(3, 0))
