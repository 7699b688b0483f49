"""Which options of the policy's recipes nothing reads beside others (learning/interface/unread_options.py)."""

from dataclasses import fields

from learning.interface.unread_options import (
    NOTHING_IS_TRAINED,
    TOKENIZER_RULES,
    ReadOnlyIf,
    model_rules,
    optimizer_rules,
    option_at,
)
from policy_training.training.alarms.config import AlarmOptions
from rewardmodel.training.unread_options import COMPARISON_DATA_RULES, pair_weight_rule


def decoding_rules(section: str) -> tuple[ReadOnlyIf, ...]:
    """Of DecodingOptions."""
    return (
        ReadOnlyIf(
            paths=(f"{section}.repetition_penalty_scope",),
            holds=lambda config: option_at(config, f"{section}.repetition_penalty") != 1,
            otherwise=f"{section}.repetition_penalty is 1, which is off",
        ),
    )


def guidance_rules(section: str) -> tuple[ReadOnlyIf, ...]:
    """Of GuidanceOptions."""
    return (
        ReadOnlyIf(
            paths=(f"{section}.coefficient", f"{section}.candidates"),
            holds=lambda config: bool(
                option_at(config, f"{section}.policy") or option_at(config, f"{section}.path")
            ),
            otherwise=f"{section}.policy is empty, so no critic leads",
        ),
    )


REWARD_SOURCE_RULES = (
    ReadOnlyIf(
        paths=("rewards.weight",),
        holds=lambda config: option_at(config, "rewards.combination") == "weighted_sum",
        otherwise="rewards.combination is not 'weighted_sum'",
    ),
    ReadOnlyIf(
        paths=("rewards.safety_threshold", "rewards.risky_tag"),
        holds=lambda config: option_at(config, "rewards.combination") == "safety_gate",
        otherwise="rewards.combination is not 'safety_gate'",
    ),
    ReadOnlyIf(
        paths=("rewards.spread_coefficient",),
        holds=lambda config: option_at(config, "rewards.combination") == "ensemble",
        otherwise="rewards.combination is not 'ensemble'",
    ),
    ReadOnlyIf(
        paths=("rewards.normalization_prompts",),
        holds=lambda config: bool(option_at(config, "rewards.normalize_models")),
        otherwise="rewards.normalize_models is off",
    ),
    ReadOnlyIf(
        paths=("rewards.judge",),
        holds=lambda config: bool(option_at(config, "rewards.judge.server.name")),
        otherwise="rewards.judge.server.name is empty, so there is no judge",
    ),
)

ALARM_RULES = (
    ReadOnlyIf(
        paths=tuple(f"alarms.{entry.name}" for entry in fields(AlarmOptions) if entry.name != "action"),
        holds=lambda config: option_at(config, "alarms.action") != "off",
        otherwise="alarms.action is 'off'",
    ),
    ReadOnlyIf(
        paths=("alarms.spread_rise",),
        holds=lambda config: option_at(config, "rewards.combination") == "ensemble",
        otherwise="rewards.combination is not 'ensemble', and only its models have a spread",
    ),
)

REWARD_RULES = (
    ReadOnlyIf(
        paths=("reward.clip_range",),
        holds=lambda config: bool(option_at(config, "reward.normalize") or option_at(config, "reward.scale")),
        otherwise="it is in standard deviations, and neither reward.normalize nor reward.scale is on",
    ),
    ReadOnlyIf(
        paths=("reward.missing_eos_score",),
        holds=lambda config: option_at(config, "reward.missing_eos_rule") != "off",
        otherwise="reward.missing_eos_rule is 'off'",
    ),
    ReadOnlyIf(
        paths=("reward.kl_controller",),
        holds=lambda config: option_at(config, "reward.kl_target") is not None,
        otherwise="reward.kl_target is not given, so the coefficient is fixed",
    ),
    ReadOnlyIf(
        paths=("reward.kl_target",),
        holds=lambda config: option_at(config, "reward.kl_coefficient") != 0,
        otherwise="reward.kl_coefficient is 0, and the controller multiplies it",
    ),
)

ROLLOUT_RULES = (
    ReadOnlyIf(
        paths=("rollout.steps",),
        holds=lambda config: option_at(config, "rollout.passes") is None,
        otherwise="rollout.passes says how many steps there are",
    ),
    ReadOnlyIf(
        # Not the others of a server: rollouts take one value of them alone, which the section checks.
        paths=tuple(
            f"rollout.server.{name}"
            for name in (
                "model",
                "samples_per_request",
                "concurrent_requests",
                "attempts",
                "timeout_seconds",
                "weights",
                "logprobs_at_temperature",
            )
        ),
        holds=lambda config: bool(option_at(config, "rollout.server.name")),
        otherwise="no server is named (rollout.server.name), and this program samples by itself",
    ),
    ReadOnlyIf(
        paths=("alarms.sampler_kl_limit",),
        holds=lambda config: bool(
            option_at(config, "rollout.server.name")
            or option_at(config, "rollout.importance.weights") != "none"
        ),
        otherwise="no server samples (rollout.server.name) and rollout.importance.weights is 'none', so that the "
        "responses are the policy's own",
    ),
)

PTX_RULE = ReadOnlyIf(
    paths=tuple(
        f"algorithm.{name}"
        for name in ("ptx_texts_share", "ptx_examples_per_response", "ptx_examples_per_minibatch")
    ),
    holds=lambda config: option_at(config, "algorithm.ptx_coefficient") != 0,
    otherwise="algorithm.ptx_coefficient is 0, so nothing is mixed in",
)

PPO_RULES = (
    ReadOnlyIf(
        paths=("critic_optimizer",),
        holds=lambda config: option_at(config, "critic.init_from") != "shared",
        otherwise="critic.init_from is 'shared': it is a head on the policy's trunk, which policy_optimizer trains",
    ),
    ReadOnlyIf(
        paths=("critic.shared_value_coefficient",),
        holds=lambda config: option_at(config, "critic.init_from") == "shared",
        otherwise="critic.init_from is not 'shared', so the value loss has a step of its own",
    ),
    ReadOnlyIf(
        paths=(
            "critic.plateau_window",
            "critic.plateau_min_improvement",
            "critic.pretraining_loss_threshold",
        ),
        holds=lambda config: option_at(config, "critic.max_pretraining_updates") != 0,
        otherwise="critic.max_pretraining_updates is 0, so the critic is not trained alone",
    ),
    ReadOnlyIf(
        paths=("algorithm.whitening_scope",),
        holds=lambda config: bool(option_at(config, "algorithm.whiten_advantages")),
        otherwise="algorithm.whiten_advantages is off",
    ),
    PTX_RULE,
    *model_rules("policy"),
    *optimizer_rules("policy_optimizer"),
    *optimizer_rules("critic_optimizer"),
    *ROLLOUT_RULES,
    *REWARD_RULES,
    *REWARD_SOURCE_RULES,
    *ALARM_RULES,
)

POLICY_GRADIENT_RULES = (
    ReadOnlyIf(
        paths=("algorithm.baseline",),
        holds=lambda config: option_at(config, "algorithm.advantage") in ("return", "reward_to_go"),
        otherwise="algorithm.advantage compares the responses of a prompt, which is a baseline of its own",
    ),
    PTX_RULE,
    *model_rules("policy"),
    *optimizer_rules("policy_optimizer"),
    *ROLLOUT_RULES,
    *REWARD_RULES,
    *REWARD_SOURCE_RULES,
    *ALARM_RULES,
)

LANGUAGE_DATA_RULES = (
    ReadOnlyIf(
        paths=("data.epochs",),
        holds=lambda config: option_at(config, "data.steps") is None,
        otherwise="data.steps says how long it trains (null: the epochs do)",
    ),
    ReadOnlyIf(
        paths=("data.max_length",),
        holds=lambda config: bool(option_at(config, "data.packing")),
        otherwise="data.packing is off, so a row is one conversation",
    ),
)

LANGUAGE_MODEL_RULES = (
    *model_rules("model"),
    *optimizer_rules("optimizer"),
    *TOKENIZER_RULES,
    *LANGUAGE_DATA_RULES,
)


def server_rule(section: str) -> ReadOnlyIf:
    """Options of a server that answers, in `section` of the configuration."""
    return ReadOnlyIf(
        paths=(section,),
        holds=lambda config: bool(option_at(config, f"{section}.name")),
        otherwise=f"no server is named ({section}.name), and this program samples by itself",
    )


SERVED_CANDIDATES = ReadOnlyIf(
    paths=("sampling.server", "candidates.server_answers"),
    holds=lambda config: bool(
        option_at(config, "sampling.server.name") and option_at(config, "candidates.samples_per_prompt")
    ),
    otherwise="no server is named (sampling.server.name), or no answer is sampled (candidates.samples_per_prompt is 0)",
)

BEST_OF_N_RULES = (
    SERVED_CANDIDATES,
    *model_rules("model"),
    *optimizer_rules("optimizer"),
    *LANGUAGE_DATA_RULES,
    *decoding_rules("sampling"),
    *REWARD_SOURCE_RULES,
    *ALARM_RULES,
)

DPO_RULES = (
    *model_rules("model"),
    *optimizer_rules("optimizer"),
    *COMPARISON_DATA_RULES,
    pair_weight_rule("objective.loss"),
)

EVALUATION_RULES = (
    server_rule("sampling.server"),
    *decoding_rules("sampling"),
    *guidance_rules("guidance"),
    *REWARD_SOURCE_RULES,
    NOTHING_IS_TRAINED,
)
BENCHMARK_RULES = (NOTHING_IS_TRAINED,)
COMPARISON_RULES = (
    server_rule("sampling.server"),
    server_rule("outside"),
    *decoding_rules("sampling"),
    *guidance_rules("guidance"),
    NOTHING_IS_TRAINED,
    ReadOnlyIf(
        paths=("judge",),
        holds=lambda config: bool(option_at(config, "judge.server.name")),
        otherwise="no server of a judge is named",
    ),
)
JUDGE_RULES = (
    ReadOnlyIf(
        paths=("runtime",),
        holds=lambda config: False,
        otherwise="the judge's model runs on its server, and nothing is computed here",
    ),
)
SAMPLE_RULES = (*decoding_rules("sampling"), *guidance_rules("sampling.guidance"), NOTHING_IS_TRAINED)
