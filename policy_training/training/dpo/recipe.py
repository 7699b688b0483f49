"""DPO: the policy learns from judgments themselves, without a reward model and without sampling.

    python -m policy_training.training.dpo.recipe RUN_DIR

Reads input `comparisons`, as a reward model does: split "train" trains, "validation" is held out. The log-probabilities
of the reference, by default the policy as it is at the start, are computed once, before the first step. Starts from a
folder or a hub id. Writes model/ and result.json.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from learning.batches.branch_attention import checkpoint_layers
from learning.batches.collation import Example
from learning.batches.forward import compute_token_logprobs
from learning.batches.micro_batching import MicroBatch, example_size
from learning.batches.samplers import EpochBatchSampler
from learning.checkpoints import Checkpoints, DataclassState
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.messages import answer_turns
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.adapters import add_adapter
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.sizes import role_sizes, sizes_as_rows
from learning.models.tokenization import encode_prompt
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.attention import with_math_attention
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.dpo.losses import DPOLosses, PreferenceFigures, dpo_losses, response_logprobs
from policy_training.training.rollouts.model_sources import load_reference, model_source_sha256s
from policy_training.training.rollouts.rollouts import FrozenModel
from policy_training.training.supervised.training import log_sample_responses
from rewardmodel.training.batcher import Batcher, step_batch_size
from rewardmodel.training.comparisons import (
    Comparison,
    PairCounts,
    build_targets,
    count_by_split,
    count_pairs_without_strength,
    criteria_in_turn,
    keep_distinct,
    read_comparisons,
    separate_equal_pairs,
    split_usable,
)
from rewardmodel.training.reporting import pair_notes, supply_notes
from rewardmodel.training.tokenization import CutCounts, tokenize_comparisons


@dataclass
class TrainingState(DataclassState):
    """What a checkpoint keeps beside model, optimizer and sampler."""

    # Of every response, in the order of the comparisons: log-probability under the reference, nats, float64.
    reference_train_N: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    reference_heldout_N: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    before: dict[str, float | None] = field(default_factory=dict)  # held-out figures before training
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ComparisonSet:
    """Comparisons and their token ids; `starts`: where the responses of each begin among all of them."""

    comparisons: Sequence[Comparison]
    examples: Sequence[Example]

    @cached_property
    def starts(self) -> list[int]:
        return [0, *accumulate(len(example.response_ids) for example in self.examples)]

    def places(self, indices: Sequence[int]) -> list[int]:
        """Of the responses of these comparisons, in their order."""
        return [n for index in indices for n in range(self.starts[index], self.starts[index + 1])]


def main(context: RunContext[DPOConfig]) -> dict[str, Any]:
    config = context.options
    distributed = DistributedContext.start(config.runtime)

    # 1. The comparisons as token ids, and the policy that learns from them.
    context.set_status(stage="loading")
    comparisons = read_comparisons(context)
    spoken = [item for item in comparisons if not has_tool_turns(item)]
    training, validation = split_usable(spoken, config.objective.ranking.ranking_loss)
    pairs_without_strength = count_pairs_without_strength(training, config.objective.ranking)
    validation = criteria_in_turn(validation)[: config.evaluation.max_examples]
    tokenizer = load_tokenizer(config.model.source)
    model = load_policy(config.model.source, tokenizer, dropout=config.model.dropout)
    if config.model.lora.rank:
        add_adapter(model, config.model.lora, config.model.source)
    require_max_positions(model, config.batch.max_sequence_tokens)
    config = replace(config, batch=resolve_micro_batch_tokens(context, distributed, config.batch, model))
    if config.model.gradient_checkpointing:
        checkpoint_layers(model)
    cuts, limit = CutCounts(), config.batch.max_response_tokens
    examples = tokenize_comparisons(tokenizer, training, config.batch, cuts)
    heldout_examples = tokenize_comparisons(tokenizer, validation, config.batch, cuts)
    training, examples, training_pairs = keep_distinct(
        training, examples, config.objective.ranking.ranking_loss, limit
    )
    validation = [
        separate_equal_pairs(item, example.response_ids)
        for item, example in zip(validation, heldout_examples, strict=True)
    ]
    train = ComparisonSet(comparisons=training, examples=examples)
    heldout = ComparisonSet(comparisons=validation, examples=heldout_examples)
    notes = [
        cuts.note(config.batch),
        *pair_notes(training_pairs, PairCounts.of(validation), limit),
        *supply_notes(len(training), len(validation)),
    ]
    if len(spoken) < len(comparisons):
        notes.append(
            f"{len(comparisons) - len(spoken)} of {len(comparisons)} comparisons are left out: tools speak in their "
            "answers, and what a tool says is not learned."
        )
    context.set_status(notes=notes)

    # 2. The plan of optimizer steps.
    model.to(distributed.device)
    batcher = Batcher.choose_layout(model, examples, config, tokenizer.pad_token_id, distributed)
    sizes = [example_size(example, batcher.layout) for example in examples]
    sampler = EpochBatchSampler(
        [size.rows * size.tokens for size in sizes],
        seed=config.runtime.seed,
        step_batch_size=step_batch_size(config.data),
    )
    steps_total = config.data.steps or sampler.steps_for_epochs(config.data.epochs or 1)
    context.write_models(sizes_as_rows(role_sizes({"policy": model}, trained=("policy",))))
    engine = Engine(
        model,
        optimizer=config.optimizer,
        steps_total=steps_total,
        runtime=config.runtime,
        distributed=distributed,
    )
    progress = TrainingState()
    checkpoints = Checkpoints(
        context, distributed, engines={"policy": engine}, state={"sampler": sampler, "progress": progress}
    )
    sample_prompts = [
        (item.prompt[-1]["content"], encode_prompt(tokenizer, item.prompt, config.batch.max_prompt_tokens))
        for item in validation[: config.evaluation.logged_samples]
    ]

    # 3. The reference's log-probabilities, once; then training.
    stop = context.stop_if_requested
    checkpoints.require_steps(steps_total)
    done = checkpoints.resume()
    if done == 0:
        context.set_status(stage="reading the reference", step=0, steps_total=steps_total)
        reference = read_reference(config, engine, tokenizer, distributed)
        progress.reference_train_N, progress.reference_heldout_N = (
            logprobs_of(reference, batcher, part.examples, stop) for part in (train, heldout)
        )
        del reference
        progress.before = evaluate(config, engine, batcher, heldout, progress.reference_heldout_N, stop)
    for step in range(done + 1, steps_total + 1):
        context.require_current()
        metrics = train_step(config, engine, batcher, train, sizes, sampler.next(), progress)
        every, score = config.evaluation.evaluate_every_steps, None
        if every and step % every == 0 and step < steps_total and heldout.examples:
            figures = evaluate(config, engine, batcher, heldout, progress.reference_heldout_N)
            metrics |= {f"eval_{name}": value for name, value in figures.items()}
            score = figures["accuracy"]
            log_sample_responses(context, engine, tokenizer, sample_prompts, step)
        context.log_metrics(
            step, {**metrics, "epoch": sampler.epoch + sampler.position / sampler.steps_per_epoch}
        )
        context.set_status(stage="training", step=step, steps_total=steps_total)
        checkpoints.after_step(step, last=step == steps_total, score=score)

    # 4. Held-out figures, and the model.
    context.set_status(stage="evaluating", step=steps_total, steps_total=steps_total)
    # The last step's checkpoint is there: a run that is asked to stop now loses nothing.
    after = evaluate(config, engine, batcher, heldout, progress.reference_heldout_N, stop)
    log_sample_responses(context, engine, tokenizer, sample_prompts, steps_total)
    context.require_current()
    context.set_status(stage="saving", step=steps_total, steps_total=steps_total)
    sha256s = engine.save_model(tokenizer, context.path / "model")
    return {
        "steps": steps_total,
        "epochs": steps_total / sampler.steps_per_epoch,
        "train_examples": len(training),
        "heldout_examples": len(validation),
        "tokens": progress.tokens,
        "loss_before": progress.before.get("preference_loss"),
        "loss_after": after.get("preference_loss"),
        **{
            f"{name}_{when}": figures.get(name)
            for name in ("accuracy", "reward_margin", "preferred_reward", "other_reward")
            for when, figures in (("before", progress.before), ("after", after))
        },
        "comparisons": count_by_split(comparisons, training, validation),
        "pairs_without_strength": pairs_without_strength,
        **cuts.as_result(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "layout": batcher.layout,
        "layout_reason": batcher.layout_reason,
        "model_sha256s": sha256s,
        "policy_sha256s": model_source_sha256s(config.model.source),
        "reference_sha256s": model_source_sha256s(config.reference or config.model.source),
        "seconds": progress.seconds,
    }


def has_tool_turns(comparison: Comparison) -> bool:
    return any(turn["role"] == "tool" for answer in comparison.responses for turn in answer_turns(answer))


def read_reference(
    config: DPOConfig, engine: Engine, tokenizer: Any, distributed: DistributedContext
) -> Engine | FrozenModel:
    """The policy itself before its first step, or another model, which is in memory only while it is read."""
    if config.reference is None or config.reference == config.model.source:
        return engine
    model = load_reference(config.reference, tokenizer)
    require_max_positions(model, config.batch.max_sequence_tokens)
    return FrozenModel(model, config.runtime, distributed.device)


def logprobs_of(
    model: Engine | FrozenModel,
    batcher: Batcher,
    examples: Sequence[Example],
    before_pass: Callable[[], None],
) -> Tensor:
    """Log-probability of every response of the examples, nats, (N,) float64 on the CPU."""
    groups = batcher.scores(model, response_logprobs, examples, before_pass)
    return torch.tensor([value for group in groups for value in group], dtype=torch.float64)


def train_step(
    config: DPOConfig,
    engine: Engine,
    batcher: Batcher,
    train: ComparisonSet,
    sizes: Sequence[Any],
    indices: Sequence[int],
    progress: TrainingState,
) -> dict[str, Any]:
    """One optimizer step on these comparisons; returns its metrics. Every process does its share."""
    started = time.perf_counter()
    figures, tokens = PreferenceFigures(), 0.0

    def loss_sum(micro_batch: MicroBatch) -> Tensor:
        nonlocal tokens
        batch = batcher.collate([train.examples[index] for index in micro_batch.indices])
        device = batcher.distributed.device
        targets = build_targets([train.comparisons[index] for index in micro_batch.indices], device)
        logprobs_NR = engine.forward(with_math_attention, compute_token_logprobs, batch)
        losses: DPOLosses = dpo_losses(
            logprobs_NR,
            batch.is_response_NR,
            progress.reference_train_N[train.places(micro_batch.indices)].to(device),
            targets,
            config.objective,
        )
        if not micro_batch.is_dummy:
            figures.add(losses, targets)
            tokens += float(batch.n_tokens)
        return (losses.total_B * targets.weight_B).sum()

    weight = sum(train.comparisons[index].weight for index in indices)
    update = engine.accumulate_and_step(batcher.micro_batches(sizes, indices), loss_sum, weight)
    sums = torch.tensor([*figures.sums(), tokens], dtype=torch.float64, device=batcher.distributed.device)
    *totals, all_tokens = batcher.distributed.all_reduce_sum(sums).tolist()
    seconds = time.perf_counter() - started
    progress.tokens += int(all_tokens)
    progress.seconds += seconds
    return {
        "loss": update.loss,
        **PreferenceFigures(*totals).means(config.objective),
        "gradient_norm": update.gradient_norm,
        "learning_rate": update.learning_rate,
        "comparisons": len(indices),
        "tokens_per_second": all_tokens / seconds,
    }


def evaluate(
    config: DPOConfig,
    engine: Engine,
    batcher: Batcher,
    heldout: ComparisonSet,
    reference_N: Tensor,
    before_pass: Callable[[], None] = lambda: None,
) -> dict[str, float | None]:
    """Loss, accuracy and implicit rewards of the held-out comparisons; {} where there are none."""
    if not heldout.examples:
        return {}
    objective = replace(config.objective, sft_coefficient=0.0)
    logprob_N = logprobs_of(engine, batcher, heldout.examples, before_pass)
    targets = build_targets(heldout.comparisons)
    # Whole log-probs in the place of a single token's: the loss reads their sum.
    losses = dpo_losses(
        logprob_N[:, None],
        torch.ones(len(logprob_N), 1, dtype=torch.bool),
        reference_N,
        targets,
        objective,
    )
    figures = PreferenceFigures()
    figures.add(losses, targets)
    return figures.means(objective)


if __name__ == "__main__":
    run_recipe(main, DPOConfig)
