"""What the trainings of a reward model begin with: the data, the model before its first step, token ids, the rows.

The program that makes a model of a checkpoint begins in the same way (adopt.py), so that it sees the same held-out
comparisons and demonstrations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from learning.batches.branch_attention import checkpoint_layers
from learning.batches.collation import Example
from learning.batches.micro_batching import ExampleSize, example_size
from learning.batches.samplers import EpochBatchSampler
from learning.distributed import DistributedContext
from learning.interface.usable_comparisons import learns_from_ratings
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.adapters import add_adapter
from learning.models.architectures import require_max_positions
from learning.models.loading import load_reward_model
from learning.models.sizes import role_sizes, sizes_as_rows
from learning.run_context import RunContext
from rewardmodel.training.batcher import Batcher, step_batch_size
from rewardmodel.training.comparisons import (
    Comparison,
    PairCounts,
    count_pairs_without_strength,
    criteria_in_turn,
    keep_distinct,
    read_comparisons,
    separate_equal_pairs,
    split_usable,
)
from rewardmodel.training.config import RewardModelConfig
from rewardmodel.training.lm_head import attach_language_head
from rewardmodel.training.rating_losses import attach_thresholds
from rewardmodel.training.ratings import RatingScale, read_ratings, split_rated
from rewardmodel.training.reporting import pair_notes, rating_notes, supply_notes
from rewardmodel.training.tokenization import (
    CutCounts,
    prepare_tokenizer,
    tokenize_comparisons,
    tokenize_demonstrations,
)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """All that a training has before its plan of steps. Training comparisons are those that teach something after the
    cut, in the order of their examples.
    """

    options: RewardModelConfig  # the micro-batch size is a number here
    source: "InputData"
    training: Sequence[Comparison]
    validation: Sequence[Comparison]
    tokenizer: Any
    model: Any
    examples: Sequence[Example]
    heldout_examples: Sequence[Example]
    demonstrations: Sequence[Example]
    batcher: Batcher
    training_pairs: PairCounts
    heldout_pairs: PairCounts
    cuts: CutCounts
    notes: list[str]  # sentences for the run's page

    def sampler(self, sizes: Sequence[ExampleSize]) -> EpochBatchSampler:
        """Which comparisons go into which optimizer step; `sizes` are the examples'."""
        return EpochBatchSampler(
            [size.rows * size.tokens for size in sizes],
            seed=self.options.runtime.seed,
            step_batch_size=step_batch_size(self.options.data),
        )

    def sizes(self) -> list[ExampleSize]:
        return [example_size(example, self.batcher.layout) for example in self.examples]


def prepare(context: RunContext[Any], distributed: DistributedContext) -> Prepared:
    """`context.options` is a RewardModelConfig. Raises UserError where there is too little to learn from."""
    options: RewardModelConfig = context.options
    # 1. The comparisons, and the model that is to learn from them.
    context.set_status(stage="reading")
    source = read_training_data(context)
    training, validation, scale = source.training, source.validation, source.scale
    tokenizer = prepare_tokenizer(context, training, distributed)
    model = load_model(options, tokenizer, scale).to(distributed.device)
    context.write_models(sizes_as_rows(role_sizes({"reward_model": model}, trained=("reward_model",))))
    options = replace(options, batch=resolve_micro_batch_tokens(context, distributed, options.batch, model))

    # 2. Token ids: one shared-prompt row a comparison, when that proves exact for this model.
    cuts, limit = CutCounts(), options.batch.max_response_tokens
    examples = tokenize_comparisons(tokenizer, training, options.batch, cuts)
    heldout_examples = tokenize_comparisons(tokenizer, validation, options.batch, cuts)
    demonstrations = tokenize_demonstrations(context, tokenizer)
    training_pairs = PairCounts(pairs=0, equal=0)  # a loss of ratings has none, and keeps every answer
    if scale is None:
        training, examples, training_pairs = keep_distinct(
            training, examples, options.objective.ranking_loss, limit
        )
    validation = [
        separate_equal_pairs(item, example.response_ids)
        for item, example in zip(validation, heldout_examples, strict=True)
    ]
    heldout_pairs = PairCounts.of(validation)
    notes = [
        cuts.note(options.batch),
        *pair_notes(training_pairs, heldout_pairs, limit),
        *(
            supply_notes(len(training), len(validation))
            if scale is None
            else rating_notes(count_responses(training), count_responses(validation))
        ),
    ]
    context.set_status(notes=notes)
    return Prepared(
        options=options,
        source=source,
        training=training,
        validation=validation,
        tokenizer=tokenizer,
        model=model,
        examples=examples,
        heldout_examples=heldout_examples,
        demonstrations=demonstrations,
        batcher=Batcher.choose_layout(model, examples, options, tokenizer.pad_token_id, distributed),
        training_pairs=training_pairs,
        heldout_pairs=heldout_pairs,
        cuts=cuts,
        notes=notes,
    )


@dataclass(frozen=True, kw_only=True)
class InputData:
    """What the run was given: comparisons, or ratings with the scale that their points are on."""

    comparisons: Sequence[Comparison]  # all of them
    training: list[Comparison]
    validation: list[Comparison]
    scale: RatingScale | None
    pairs_without_strength: int


def read_training_data(context: RunContext[RewardModelConfig]) -> InputData:
    """Of the record that the loss learns from. Raises UserError where there is too little."""
    objective = context.options.objective
    if learns_from_ratings(objective.ranking_loss):
        rated = read_ratings(context)
        training, validation = split_rated(rated, objective.ranking_loss)
        scale = RatingScale.of(training, objective.ranking_loss)
        return InputData(
            comparisons=rated,
            training=[scale.place(item) for item in training],
            validation=[scale.place(item) for item in criteria_in_turn(validation)],
            scale=scale,
            pairs_without_strength=0,
        )
    comparisons = read_comparisons(context)
    training, validation = split_usable(comparisons, objective.ranking_loss)
    return InputData(
        comparisons=comparisons,
        training=training,
        validation=criteria_in_turn(validation),
        scale=None,
        pairs_without_strength=count_pairs_without_strength(training, objective),
    )


def count_responses(rated: Sequence[Comparison]) -> int:
    return sum(len(item.responses) for item in rated)


def load_model(options: RewardModelConfig, tokenizer: Any, scale: RatingScale | None = None) -> Any:
    """The model before its first step, with a language head beside the score head and thresholds of ratings if the loss
    needs them.
    """
    model = load_reward_model(options.model.source, tokenizer, dropout=options.model.dropout)
    if options.model.lora.rank:  # before other heads come: they are trained as they are
        add_adapter(model, options.model.lora, options.model.source)
    require_max_positions(model, options.batch.max_sequence_tokens)
    if options.objective.lm_coefficient > 0:
        attach_language_head(model, options.model.source, tokenizer)
    if scale is not None and options.objective.ranking_loss == "ordinal":
        attach_thresholds(model, scale.initial_thresholds())
    if options.model.gradient_checkpointing:
        checkpoint_layers(model)
    return model
