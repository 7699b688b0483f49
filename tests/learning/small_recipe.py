"""A recipe as small as one can be, with everything a resume must restore: dropout, a
sampler, moments, noise.

python -m tests.learning.small_recipe RUN_DIR
"""

import os
import random
import signal
import time
from dataclasses import dataclass

import numpy as np
import torch

from learning.batches.collation import Example, collate
from learning.batches.forward import compute_token_logprobs
from learning.batches.micro_batching import example_size, micro_batches
from learning.batches.samplers import EpochBatchSampler, StepBatchSize
from learning.checkpoints import Checkpoints, DataclassState
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.options import UserError
from learning.interface.training_options import (
    ModelArchitecture,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.models.loading import load_policy
from learning.models.tokenization import train_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext


@dataclass(frozen=True, kw_only=True)
class SmallOptions:
    optimizer: OptimizerOptions
    runtime: RuntimeOptions
    steps: int = 6
    dropout: float = 0.1
    kill_at_step: int | None = None  # SIGKILL to itself in this step, in the first attempt only
    seconds_per_step: float = 0.0
    held_at_step: int | None = None  # stands still in this step until the file `released` lies in its folder
    fail: str | None = None


@dataclass
class Average(DataclassState):
    value: float = 0.0


def main(context: RunContext[SmallOptions]) -> dict[str, object]:
    options = context.options
    distributed = DistributedContext.start(options.runtime)
    tokenizer = train_tokenizer(["a small text, a small model"], vocab_size=280)
    source = ModelSource(
        from_scratch=ModelArchitecture(
            architecture="gpt2",
            hidden_size=16,
            intermediate_size=32,
            num_attention_heads=2,
            initializer_range=0.2,
        )
    )
    model = load_policy(source, tokenizer, dropout=options.dropout)
    examples = _examples()
    shapes = [example_size(example, "shared_prompt") for example in examples]
    engine = Engine(
        model,
        optimizer=options.optimizer,
        steps_total=options.steps,
        runtime=options.runtime,
        distributed=distributed,
    )
    sampler = EpochBatchSampler(
        [s.tokens for s in shapes], seed=options.runtime.seed, step_batch_size=StepBatchSize(examples=4)
    )
    average = Average()
    checkpoints = Checkpoints(
        context, distributed, engines={"policy": engine}, state={"sampler": sampler, "average": average}
    )
    done = checkpoints.resume()
    for step in range(done + 1, options.steps + 1):
        context.require_current()
        indices = sampler.next()
        tokens = sum(len(ids) for i in indices for ids in examples[i].response_ids)
        plan = micro_batches(
            shapes, indices, max_tokens=60, rank=distributed.rank, world_size=distributed.world_size
        )
        update = engine.accumulate_and_step(
            plan, lambda one: _loss_sum(engine, [examples[i] for i in one.indices]), tokens
        )
        average.value = 0.9 * average.value + 0.1 * update.loss
        noise = random.random() + float(np.random.rand())
        context.log_metrics(
            step,
            {
                "loss": update.loss,
                "norm": update.gradient_norm,
                "rate": update.learning_rate,
                "noise": noise,
                "average": average.value,
            },
        )
        context.log_sample(step, text=f"step {step}")
        context.set_status(stage="training", step=step, steps_total=options.steps)
        _misbehave(context, step)
        checkpoints.after_step(step, last=step == options.steps)
    return {"loss": update.loss, "sha256s": engine.save_model(tokenizer, context.run_directory.model_path)}


def _loss_sum(engine: Engine, examples: list[Example]) -> torch.Tensor:
    batch = collate(examples, layout="shared_prompt", pad_id=0)
    return -engine.forward(compute_token_logprobs, batch).sum()


def _misbehave(context: RunContext[SmallOptions], step: int) -> None:
    options = context.options
    time.sleep(options.seconds_per_step)
    while step == options.held_at_step and not (context.path / "released").exists():
        context.require_current()
        time.sleep(0.05)
    marker = context.path / "killed"
    if step == options.kill_at_step and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if options.fail == "user":
        raise UserError("the salt is missing: add salt")
    if options.fail == "crash":
        raise ZeroDivisionError("one by\nnothing")


def _examples() -> list[Example]:
    rng = random.Random(1)

    def ids(low: int, high: int) -> list[int]:
        return [rng.randrange(7, 280) for _ in range(rng.randint(low, high))]

    return [Example(ids(3, 9), [ids(2, 9) for _ in range(rng.randint(1, 3))]) for _ in range(10)]


if __name__ == "__main__":
    run_recipe(main, SmallOptions)
