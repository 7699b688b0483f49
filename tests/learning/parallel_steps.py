"""Ten steps of a reward-model loss, of a language-model loss and of the latter by LoRA (over a whole base, over one in
8 bit), on fixed data, plain or under DeepSpeed.

    [torchrun --nproc-per-node 2 -m] tests.learning.parallel_steps OUT torch|deepspeed STAGE[,STAGE...]

Writes OUT/<objective>-<engine>-<stage>.json (losses and gradient norms of each step) and the trained model
beside it; under DeepSpeed also the losses of a continuation from shards saved at step 5.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F

from learning.batches.collation import Example, collate
from learning.batches.forward import compute_scores, compute_token_logprobs
from learning.batches.micro_batching import example_size, micro_batches
from learning.distributed import DistributedContext, exit_process
from learning.engine import Engine
from learning.interface.training_options import LoraOptions, OptimizerOptions, RuntimeOptions
from learning.models.adapters import add_adapter
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenization import train_tokenizer
from tests.learning.conftest import TEXTS, random_examples, scratch_source

# Objectives by the stages of ZeRO that take them: LoRA over whole weights under 3 alone, over 8 bit under the others.
OBJECTIVES = {"reward": (0, 1, 2, 3), "language": (0, 1, 2, 3), "adapter": (3,), "int8": (0, 1, 2)}
STEPS, HALF = 10, 5
# The largest rate at which the exactness of parameters is promised; clipping and decay are on, to be compared too.
OPTIMIZER = OptimizerOptions(learning_rate=1e-5, warmup_steps=2, weight_decay=0.1, max_grad_norm=1.0)
# At that rate an adapter, which begins with zeros, would not show in a loss.
ADAPTER_RATE = 3e-3


def steps(objective, engine, distributed, examples, start, stop):
    losses = []
    for step in range(start, stop):
        indices = [(step * 6 + offset) % len(examples) for offset in range(6)]
        shapes = [example_size(example, "shared_prompt") for example in examples]
        plan = micro_batches(
            shapes, indices, max_tokens=90, rank=distributed.rank, world_size=distributed.world_size
        )
        if objective == "reward":
            loss_denominator = len(indices)
        else:
            loss_denominator = sum(len(ids) for index in indices for ids in examples[index].response_ids)
        update = engine.accumulate_and_step(
            plan, lambda one: loss_sum(objective, engine, examples, one), loss_denominator
        )
        losses.append((update.loss, update.gradient_norm))
    return losses


def loss_sum(objective, engine, examples: list[Example], one):
    batch = collate([examples[index] for index in one.indices], layout="shared_prompt", pad_id=0)
    if objective != "reward":
        return -engine.forward(compute_token_logprobs, batch).sum()
    scores = engine.forward(compute_scores, batch)
    pairs = [
        -F.logsigmoid(own[:1] - own[1:]).mean()
        for own in (scores[batch.example_N == index] for index in range(len(one.indices)))
    ]
    return torch.stack(pairs).sum()


def make(objective, tokenizer, runtime, distributed):
    torch.manual_seed(0 if distributed.is_main else 99)  # ranks that start apart must be made alike
    load = load_reward_model if objective == "reward" else load_policy
    model, optimizer = load(scratch_source(), tokenizer), OPTIMIZER
    if objective in ("adapter", "int8"):
        precision = "int8" if objective == "int8" else "full"
        add_adapter(model, LoraOptions(rank=4, base_precision=precision), scratch_source())
        optimizer = replace(OPTIMIZER, learning_rate=ADAPTER_RATE)
    return Engine(model, optimizer=optimizer, steps_total=STEPS, runtime=runtime, distributed=distributed)


def main(out: Path, backend: str, stages: list[int]) -> None:
    torch.set_num_threads(1)
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    examples = random_examples(13, [2, 3, 4] * 4 + [2])
    for stage in stages:
        runtime = RuntimeOptions(backend=backend, zero_stage=stage)
        distributed = DistributedContext.start(runtime)
        for objective, stages_of in OBJECTIVES.items():
            if backend == "deepspeed" and stage not in stages_of:
                continue
            name = f"{objective}-{backend}-{stage}"
            engine = make(objective, tokenizer, runtime, distributed)
            losses = steps(objective, engine, distributed, examples, 0, HALF)
            resumed = None
            if backend == "deepspeed":
                engine.save_deepspeed(out / f"{name}-shards")
                distributed.barrier()
            losses += steps(objective, engine, distributed, examples, HALF, STEPS)
            engine.save_model(tokenizer, out / f"{name}-model")
            scores = engine.infer(
                compute_scores if objective == "reward" else compute_token_logprobs,
                collate(examples[:2], layout="shared_prompt", pad_id=0),
            )
            if backend == "deepspeed":
                again = make(objective, tokenizer, runtime, distributed)
                again.load_state_dict({"steps_done": HALF, "steps_skipped": 0})
                again.load_deepspeed(out / f"{name}-shards")
                resumed = steps(objective, again, distributed, examples, HALF, STEPS)
            if distributed.is_main:
                report = {"losses": losses, "resumed": resumed, "scores": scores.tolist()}
                (out / f"{name}.json").write_text(json.dumps(report))
    exit_process(0, is_orderly=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [int(stage) for stage in sys.argv[3].split(",")])
