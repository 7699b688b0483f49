"""Next-token training: the loop that `pretrain` and `sft` share. They differ only in which tokens count.

An `Example` is a prompt, whose tokens never count, and one response, whose tokens all do. An optimizer step takes
rows: one example each, or with `packing` a sequence filled with whole examples that do not see each other.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from learning.batches.branch_attention import checkpoint_layers
from learning.batches.collation import Example, TokenBatch, collate, collate_packed
from learning.batches.forward import compute_token_logprobs
from learning.batches.layout import choose_layout
from learning.batches.micro_batching import ExampleSize, MicroBatch, example_size, micro_batches
from learning.batches.samplers import EpochBatchSampler, ProportionalSampler, StepBatchSize, exact_share
from learning.batches.sequence_packing import pack_sequences
from learning.checkpoints import Checkpoints, DataclassState, Stateful
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.atomic_files import atomic_folder
from learning.interface.options import UserError
from learning.interface.training_options import Layout
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.adapters import add_adapter
from learning.models.architectures import max_positions, require_max_positions
from learning.models.loading import load_policy
from learning.models.sizes import role_sizes, sizes_as_rows
from learning.models.tokenization import decode_response, train_tokenizer
from learning.models.tokenizers import load_or_train_tokenizer, require_autotokenizer_agrees
from learning.run_context import RunContext
from policy_training.training.attention import with_math_attention
from policy_training.training.config import LanguageModelConfig, SamplingOptions
from policy_training.training.losses import language_model_loss
from policy_training.training.rollouts.sampler import SamplingRequest, sample_responses

log = logging.getLogger(__name__)


@dataclass
class TrainingState(DataclassState):
    """What a checkpoint keeps beside model, optimizer and sampler."""

    loss_before: float | None = None
    tokens: int = 0
    text_tokens: int = 0  # those of them in texts that were mixed in
    seconds: float = 0.0
    train_losses: list[float] = field(default_factory=list)  # of the last few steps


def prepare_tokenizer(config: LanguageModelConfig, texts: Sequence[str]) -> Any:
    """The model's own tokenizer; for a model from scratch the one of `tokenizer.path`, or one trained on `texts`."""
    source = config.model.source
    tokenizer = load_or_train_tokenizer(
        source, config.tokenizer, lambda: train_tokenizer(texts, config.tokenizer.vocabulary_size)
    )
    if source.from_scratch is not None:
        require_autotokenizer_agrees(tokenizer, source.from_scratch)
    return tokenizer


def fit(
    context: RunContext[Any],
    *,
    config: LanguageModelConfig,
    tokenizer: Any,
    train: Sequence[Example],
    heldout: Sequence[Example],
    texts: Sequence[Example] = (),
    sample_prompts: Sequence[tuple[str, list[int]]] = (),
    distributed: DistributedContext | None = None,
) -> dict[str, Any]:
    """Train, evaluate, save; returns what result.json says.

    `texts` are mixed in by `data.texts_share`, epochs count `train`.
    `sample_prompts` are held-out prompts, (text to show, token ids): at each evaluation a response to each is
    logged for people to read. Raises UserError when nothing is left to train on or the rows do not fit the model.
    """
    distributed = distributed or DistributedContext.start(config.runtime)
    context.set_status(stage="loading")
    if config.model.source.from_scratch is not None:
        _keep_tokenizer(context, distributed, tokenizer)
    model = load_policy(config.model.source, tokenizer, dropout=config.model.dropout)
    if config.model.lora.rank:
        add_adapter(model, config.model.lora, config.model.source)
    config = replace(config, batch=resolve_micro_batch_tokens(context, distributed, config.batch, model))
    if config.model.gradient_checkpointing:
        checkpoint_layers(model)
    rows = RowDataset(config, model, tokenizer, train)
    heldout_rows = RowDataset(config, model, tokenizer, heldout[: config.evaluation.max_examples], like=rows)
    # Of everything that will be read, before the first step: a run must not fail after its training.
    require_max_positions(
        model,
        max(rows.longest_example, heldout_rows.longest_example, *(len(p.response_ids[0]) + 1 for p in texts)),
    )
    mix = TextMix(config, model, tokenizer, texts, like=rows) if texts else None
    batch_sampler = EpochBatchSampler(
        rows.costs,
        seed=config.runtime.seed,
        step_batch_size=StepBatchSize(
            examples=mix.other_rows_per_step if mix else config.data.examples_per_step
        ),
    )
    steps_total = config.data.steps or math.ceil(config.data.epochs * batch_sampler.steps_per_epoch)
    context.write_models(sizes_as_rows(role_sizes({"policy": model}, trained=("policy",))))
    engine = Engine(
        model,
        optimizer=config.optimizer,
        steps_total=steps_total,
        runtime=config.runtime,
        distributed=distributed,
    )
    progress = TrainingState()
    stateful: dict[str, Stateful] = {"sampler": batch_sampler, "progress": progress}
    if mix is not None:
        stateful["texts"] = mix.sampler
    checkpoints = Checkpoints(
        context,
        distributed,
        engines={"policy": engine},
        state=stateful,
        keep_steps=epoch_ends(batch_sampler.steps_per_epoch, steps_total)
        if config.data.keep_epoch_ends
        else (),
    )

    checkpoints.require_steps(steps_total)
    done = checkpoints.resume()
    if done == 0:
        context.set_status(stage="evaluating", step=0, steps_total=steps_total)
        progress.loss_before = heldout_loss(engine, heldout_rows, distributed)
    for step in range(done + 1, steps_total + 1):
        context.require_current()
        metrics = train_step(engine, rows, batch_sampler, distributed, progress, mix)
        every = config.evaluation.evaluate_every_steps
        if every and step % every == 0 and step < steps_total:
            metrics["eval_loss"] = heldout_loss(engine, heldout_rows, distributed)
            log_sample_responses(context, engine, tokenizer, sample_prompts, step)
        context.log_metrics(step, metrics)
        context.set_status(stage="training", step=step, steps_total=steps_total)
        checkpoints.after_step(step, last=step == steps_total)

    context.set_status(stage="evaluating", step=steps_total, steps_total=steps_total)
    loss_after = heldout_loss(engine, heldout_rows, distributed)
    log_sample_responses(context, engine, tokenizer, sample_prompts, steps_total)
    context.require_current()
    context.set_status(stage="saving", step=steps_total, steps_total=steps_total)
    sha256s = engine.save_model(tokenizer, context.path / "model")
    mixed_in = {"text_rows": mix.sampler.drawn, "text_tokens": progress.text_tokens} if mix else {}
    return {
        "steps": steps_total,
        "epochs": steps_total / batch_sampler.steps_per_epoch,
        "train_examples": len(train),
        "heldout_examples": len(heldout_rows.examples),
        "tokens": progress.tokens,
        **mixed_in,
        "loss_before": progress.loss_before,
        "loss_after": loss_after,
        "train_loss": sum(progress.train_losses) / len(progress.train_losses),
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary_size": len(tokenizer),
        "layout": rows.layout,
        "layout_reason": rows.layout_reason,
        "model_sha256s": sha256s,
        "seconds": progress.seconds,
    }


def epoch_ends(steps_per_epoch: int, steps_total: int) -> list[int]:
    """The last step of each epoch but that of the run, whose end is a policy anyway."""
    return list(range(steps_per_epoch, steps_total, steps_per_epoch))


def _keep_tokenizer(context: RunContext[Any], distributed: DistributedContext, tokenizer: Any) -> None:
    """In the run's folder: who makes a policy of a checkpoint needs it before the run has ended."""
    folder = context.path / "tokenizer"
    if distributed.is_main and not folder.exists():
        with atomic_folder(folder) as unfinished:
            tokenizer.save_pretrained(unfinished)
    distributed.barrier()


def train_step(
    engine: Engine,
    rows: "RowDataset",
    batch_sampler: EpochBatchSampler,
    distributed: DistributedContext,
    progress: TrainingState,
    mix: "TextMix | None" = None,
) -> dict[str, Any]:
    """One optimizer step over the sampler's next rows and the texts due with them; its metrics."""
    started = time.perf_counter()
    indices = batch_sampler.next()
    inputs = rows.inputs(indices, engine, distributed)
    text_inputs = mix.inputs(len(indices), engine, distributed) if mix is not None else []
    text_tokens = count_tokens(text_inputs, distributed)
    tokens = count_tokens(inputs, distributed) + text_tokens
    inputs += text_inputs
    result = engine.accumulate_and_step(
        inputs,
        lambda micro_batch: language_model_loss(
            engine.forward(with_math_attention, compute_token_logprobs, micro_batch.batch),
            micro_batch.batch.is_response_NR,
        ),
        loss_denominator=float(tokens),
    )
    seconds = time.perf_counter() - started
    progress.tokens += tokens
    progress.text_tokens += text_tokens
    progress.seconds += seconds
    progress.train_losses = [*progress.train_losses[-19:], result.loss]
    return {
        "loss": result.loss,
        "gradient_norm": result.gradient_norm,
        "learning_rate": result.learning_rate,
        "tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "epoch": batch_sampler.epoch,
    } | ({"text_tokens": text_tokens} if mix is not None else {})


def count_tokens(inputs: "Sequence[MicroBatchInputs]", distributed: DistributedContext) -> int:
    """Counted tokens on all ranks."""
    return int(distributed.sum(sum(float(p.batch.n_tokens) for p in inputs if not p.is_dummy)))


@dataclass(frozen=True)
class MicroBatchInputs:
    batch: TokenBatch
    is_dummy: bool


class RowDataset:
    """Examples cut into rows, and the micro-batches made of them."""

    def __init__(
        self,
        config: LanguageModelConfig,
        model: Any,
        tokenizer: Any,
        examples: Sequence[Example],
        *,
        like: "RowDataset | None" = None,
    ) -> None:
        self.config, self.pad_id, self.examples = config, tokenizer.pad_token_id, list(examples)
        self.longest_example = max((example.shared_prompt_tokens for example in examples), default=0)
        self.layout: Layout
        self.layout_reason: str
        if like is not None:
            self.layout, self.layout_reason = like.layout, like.layout_reason
        else:
            self.layout, self.layout_reason = _layout(config, model, self.examples)
        lengths = [example.shared_prompt_tokens for example in self.examples]
        if config.data.packing:
            if self.longest_example > config.data.max_length:
                raise UserError(
                    f"config.data.max_length: {config.data.max_length} is shorter than the longest conversation "
                    f"({self.longest_example} tokens); make it longer or lower batch.max_prompt_tokens"
                )
            self.rows = pack_sequences(lengths, config.data.max_length)
            self.shapes = [ExampleSize(1, sum(lengths[index] for index in row)) for row in self.rows]
        else:
            self.rows = [[index] for index in range(len(self.examples))]
            self.shapes = [example_size(example, self.layout) for example in self.examples]
        self.costs = [shape.tokens for shape in self.shapes]

    def micro_batches(self, indices: Sequence[int], distributed: DistributedContext) -> list[MicroBatch]:
        return micro_batches(
            self.shapes,
            indices,
            max_tokens=self.config.batch.micro_batch_tokens,
            rank=distributed.rank,
            world_size=distributed.world_size,
        )

    def inputs(
        self, indices: Sequence[int], engine: Engine, distributed: DistributedContext
    ) -> list[MicroBatchInputs]:
        """The forward passes of these rows."""
        return [
            MicroBatchInputs(self.batch(micro, engine), micro.is_dummy)
            for micro in self.micro_batches(indices, distributed)
        ]

    def batch(self, micro: MicroBatch, engine: Engine) -> TokenBatch:
        device = next(engine.model.parameters()).device
        rows = [[self.examples[index] for index in self.rows[row]] for row in micro.indices]
        if self.config.data.packing:
            return collate_packed(rows, pad_id=self.pad_id, device=device)
        return collate([row[0] for row in rows], layout=self.layout, pad_id=self.pad_id, device=device)


class TextMix:
    """Texts mixed in with other rows, so many that they have their share of all rows."""

    def __init__(
        self,
        config: LanguageModelConfig,
        model: Any,
        tokenizer: Any,
        texts: Sequence[Example],
        *,
        like: RowDataset,
    ) -> None:
        share = exact_share(config.data.texts_share)
        self._rows = RowDataset(config, model, tokenizer, texts, like=like)
        self.sampler = ProportionalSampler(
            len(self._rows.rows), seed=config.runtime.seed + 1, ratio=share / (1 - share)
        )
        self.other_rows_per_step = max(1, round(config.data.examples_per_step * (1 - share)))

    def inputs(
        self, other_rows: int, engine: Engine, distributed: DistributedContext
    ) -> list[MicroBatchInputs]:
        """The texts that are due with so many other rows; maybe none."""
        indices = self.sampler.next(other_rows)
        return self._rows.inputs(indices, engine, distributed) if indices else []


def _layout(config: LanguageModelConfig, model: Any, examples: Sequence[Example]) -> tuple[Layout, str]:
    packing = config.data.packing
    layout, reason = choose_layout(
        model,
        examples[:8],
        dtype=config.runtime.dtype,
        requested="shared_prompt" if packing else config.batch.layout,
        in_one_row=packing,
    )
    if packing and layout != "shared_prompt":
        raise UserError(
            f"config.data.packing: this model cannot read packed rows ({reason}); set it to false"
        )
    return layout, reason


def heldout_loss(engine: Engine, heldout_rows: RowDataset, distributed: DistributedContext) -> float | None:
    """Mean negative log-likelihood in nats a counted token; None where nothing is held out."""
    if not heldout_rows.rows:
        return None
    total = torch.zeros(2, dtype=torch.float64, device=distributed.device)
    for micro in heldout_rows.micro_batches(range(len(heldout_rows.rows)), distributed):
        batch = heldout_rows.batch(micro, engine)
        logprobs_NR: Tensor = engine.infer(compute_token_logprobs, batch)
        if not micro.is_dummy:
            total[0] += language_model_loss(logprobs_NR, batch.is_response_NR).double()
            total[1] += batch.n_tokens
    total = distributed.all_reduce_sum(total)
    return float(total[0] / total[1])


def log_sample_responses(
    context: RunContext[Any],
    engine: Engine,
    tokenizer: Any,
    sample_prompts: Sequence[tuple[str, list[int]]],
    step: int,
) -> None:
    """A response to each held-out prompt, shorter where the model's positions leave less room than the options."""
    config = context.options
    max_tokens = config.batch.max_response_tokens
    limit = max_positions(engine.model)
    if limit is not None:
        sample_prompts = [(text, token_ids) for text, token_ids in sample_prompts if len(token_ids) < limit]
    sample_prompts = sample_prompts[: config.evaluation.logged_samples]
    if not sample_prompts:
        return
    if limit is not None:
        max_tokens = min(max_tokens, limit - max(len(token_ids) for _, token_ids in sample_prompts))
    responses = engine.infer_alone(
        sample_responses,
        [(str(number), token_ids) for number, (_, token_ids) in enumerate(sample_prompts)],
        SamplingRequest(
            n_samples=1,
            max_response_tokens=max_tokens,
            options=SamplingOptions(),
            seed=f"{config.runtime.seed}/{step}",
        ),
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )
    for (text, _), response in zip(sample_prompts, responses, strict=True):
        context.log_evaluation_sample(
            step, prompt=text, response=decode_response(tokenizer, response.token_ids)
        )
