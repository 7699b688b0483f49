"""Ten steps of a reward-model loss and of a language-model loss on fixed data, plain or under DeepSpeed.

    [torchrun --nproc-per-node 2 -m] tests.learning.parallel_steps OUT plain|deepspeed STAGE[,STAGE...]

Writes OUT/<objective>-<engine>-<stage>.json (losses and gradient norms of each step) and the trained model beside
it; under DeepSpeed also the losses of a continuation from shards saved at step 5.
"""

import json
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

from learning.batching import micro_batches, shape_of
from learning.engine import Engine
from learning.interface.training_options import OptimiserOptions, RuntimeOptions
from learning.language_models import load_policy, load_reward_model
from learning.packing import Example, collate, scores_N, token_logprobs_NR
from learning.processes import Processes, leave
from learning.tokenization import train_tokenizer
from tests.learning.conftest import TEXTS, fresh_source, random_examples

STEPS, HALF = 10, 5
# The largest rate at which the exactness of parameters is promised; clipping and decay are on, to be compared too.
OPTIMISER = OptimiserOptions(learning_rate=1e-5, warmup_steps=2, weight_decay=0.1, max_gradient_norm=1.0)


def steps(objective, engine, processes, examples, start, stop):
    losses = []
    for step in range(start, stop):
        indices = [(step * 6 + offset) % len(examples) for offset in range(6)]
        shapes = [shape_of(example, "packed") for example in examples]
        plan = micro_batches(
            shapes, indices, max_tokens=90, rank=processes.rank, world_size=processes.world_size
        )
        if objective == "reward":
            normaliser = len(indices)
        else:
            normaliser = sum(len(ids) for index in indices for ids in examples[index].responses_ids)
        update = engine.update(plan, lambda one: loss_sum(objective, engine, examples, one), normaliser)
        losses.append((update.loss, update.gradient_norm))
    return losses


def loss_sum(objective, engine, examples: list[Example], one):
    batch = collate([examples[index] for index in one.indices], layout="packed", pad_id=0)
    if objective == "language":
        return -engine.forward(token_logprobs_NR, batch).sum()
    scores = engine.forward(scores_N, batch)
    pairs = [
        -F.logsigmoid(own[:1] - own[1:]).mean()
        for own in (scores[batch.example_N == index] for index in range(len(one.indices)))
    ]
    return torch.stack(pairs).sum()


def make(objective, tokenizer, runtime, processes):
    torch.manual_seed(0 if processes.is_main else 99)  # ranks that start apart must be made alike
    load = load_reward_model if objective == "reward" else load_policy
    model = load(fresh_source(), tokenizer)
    return Engine(model, optimiser=OPTIMISER, steps_total=STEPS, runtime=runtime, processes=processes)


def main(out: Path, kind: str, stages: list[int]) -> None:
    torch.set_num_threads(1)
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    examples = random_examples(13, [2, 3, 4] * 4 + [2])
    for stage in stages:
        runtime = RuntimeOptions(engine=kind, zero_stage=stage)
        processes = Processes.start(runtime)
        for objective in ("reward", "language"):
            name = f"{objective}-{kind}-{stage}"
            engine = make(objective, tokenizer, runtime, processes)
            losses = steps(objective, engine, processes, examples, 0, HALF)
            resumed = None
            if kind == "deepspeed":
                engine.save_shards(out / f"{name}-shards")
                processes.barrier()
            losses += steps(objective, engine, processes, examples, HALF, STEPS)
            engine.save_model(tokenizer, out / f"{name}-model")
            scores = engine.infer(
                token_logprobs_NR if objective == "language" else scores_N,
                collate(examples[:2], layout="packed", pad_id=0),
            )
            if kind == "deepspeed":
                again = make(objective, tokenizer, runtime, processes)
                again.load_state_dict({"steps_done": HALF})
                again.load_shards(out / f"{name}-shards")
                resumed = steps(objective, again, processes, examples, HALF, STEPS)
            if processes.is_main:
                report = {"losses": losses, "resumed": resumed, "scores": scores.tolist()}
                (out / f"{name}.json").write_text(json.dumps(report))
    leave(0, is_orderly=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [int(stage) for stage in sys.argv[3].split(",")])
