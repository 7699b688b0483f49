"""Which options of a reward model nothing reads beside others (learning/interface/unread_options.py)."""

from learning.interface.unread_options import (
    NOTHING_IS_TRAINED,
    TOKENIZER_RULES,
    ReadOnlyIf,
    model_rules,
    optimizer_rules,
    option_at,
)

# Of DataOptions, which DPO has too.
COMPARISON_DATA_RULES = (
    ReadOnlyIf(
        paths=("data.min_comparisons_per_step",),
        holds=lambda config: bool(
            option_at(config, "data.balance_tokens") or option_at(config, "data.tokens_per_step")
        ),
        otherwise="steps are cut by the number of comparisons (neither data.balance_tokens nor tokens_per_step is on)",
    ),
)


def pair_weight_rule(loss: str) -> ReadOnlyIf:
    """`loss`: the path of the loss's name."""
    return ReadOnlyIf(
        paths=("objective.pair_weight",),
        holds=lambda config: bool(
            option_at(config, loss) in ("pairwise", "soft_labels")
            or option_at(config, "objective.center_rewards_coefficient")
        ),
        otherwise=f"{loss} has no pairs",
    )


REWARD_MODEL_RULES = (
    *model_rules("model"),
    *optimizer_rules("optimizer"),
    *TOKENIZER_RULES,
    *COMPARISON_DATA_RULES,
    pair_weight_rule("objective.ranking_loss"),
)

EVALUATION_RULES = (NOTHING_IS_TRAINED,)
