"""Policy trainings. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.client.resources.shared import (
    OneChainedTraining,
    OneRun,
    Presets,
    ShareOfSetRequest,
)
from roundtable.operations import Operation


class AdoptBodyRequest(TypedDict):
    run: int
    step: int
    name: str


class BestOfNBodyRequest(TypedDict):
    start: NotRequired[int]
    after_run: NotRequired[int]
    after_training: NotRequired[int]
    trained_sets: NotRequired[list[ShareOfSetRequest]]
    trained_are: NotRequired[Literal["weights", "numbers"]]
    trained_prompts: NotRequired[int]
    trained_short: NotRequired[Literal["refuse", "top_up"]]
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    name: str
    reward_model: int
    further_reward_models: NotRequired[list[int]]
    further_weights: NotRequired[list[float]]
    further_batches: NotRequired[list[dict[str, Any] | None]]
    further_criteria: NotRequired[list[str]]
    criterion_weights: NotRequired[list[float]]
    criterion_batches: NotRequired[list[dict[str, Any] | None]]
    reward_functions: NotRequired[list[str]]
    function_weights: NotRequired[list[float]]
    function_time_limits: NotRequired[list[float]]
    prompt_set: NotRequired[int]
    preset: NotRequired[Literal["llama2", "tiny"]]
    samplers: NotRequired[list[int]]
    start_answers: NotRequired[bool]
    stored_policies: NotRequired[list[int]]
    stored_others: NotRequired[bool]


class DPOBodyRequest(TypedDict):
    start: NotRequired[int]
    after_run: NotRequired[int]
    after_training: NotRequired[int]
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    dataset: NotRequired[int]
    criteria: NotRequired[list[str]]
    batches: NotRequired[list[str]]
    annotator_kinds: NotRequired[list[Literal["person", "simulated", "ai"]]]
    consensus: NotRequired[bool]
    consensus_labels: NotRequired[bool]
    annotator_weights: NotRequired[bool]
    ratings: NotRequired[str]
    points_per_grade: NotRequired[float]
    name: str
    preset: NotRequired[Literal["dpo_llama3", "dpo_paper", "dpo_zephyr", "lora", "tiny"]]
    reference: NotRequired[int]


class MergeBodyRequest(TypedDict):
    name: str
    policies: list[int]
    weights: NotRequired[list[float]]


class PPOBodyRequest(TypedDict):
    start: NotRequired[int]
    after_run: NotRequired[int]
    after_training: NotRequired[int]
    trained_sets: NotRequired[list[ShareOfSetRequest]]
    trained_are: NotRequired[Literal["weights", "numbers"]]
    trained_prompts: NotRequired[int]
    trained_short: NotRequired[Literal["refuse", "top_up"]]
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    name: str
    reward_model: int
    further_reward_models: NotRequired[list[int]]
    further_weights: NotRequired[list[float]]
    further_batches: NotRequired[list[dict[str, Any] | None]]
    further_criteria: NotRequired[list[str]]
    criterion_weights: NotRequired[list[float]]
    criterion_batches: NotRequired[list[dict[str, Any] | None]]
    reward_functions: NotRequired[list[str]]
    function_weights: NotRequired[list[float]]
    function_time_limits: NotRequired[list[float]]
    prompt_set: NotRequired[int]
    reference: NotRequired[int]
    preset: NotRequired[
        Literal[
            "a2c",
            "a2c_repeated",
            "adaptive_kl",
            "instructgpt",
            "llama2",
            "lora",
            "n_plus",
            "ppo_max",
            "ppo_penalty",
            "ppo_vanilla",
            "secrets_advantage_clip",
            "secrets_entropy_bonus",
            "secrets_fixed_reference",
            "secrets_reward_scaling",
            "stiennon",
            "tiny",
        ]
    ]


class PolicyGradientBodyRequest(TypedDict):
    start: NotRequired[int]
    after_run: NotRequired[int]
    after_training: NotRequired[int]
    trained_sets: NotRequired[list[ShareOfSetRequest]]
    trained_are: NotRequired[Literal["weights", "numbers"]]
    trained_prompts: NotRequired[int]
    trained_short: NotRequired[Literal["refuse", "top_up"]]
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    name: str
    reward_model: int
    further_reward_models: NotRequired[list[int]]
    further_weights: NotRequired[list[float]]
    further_batches: NotRequired[list[dict[str, Any] | None]]
    further_criteria: NotRequired[list[str]]
    criterion_weights: NotRequired[list[float]]
    criterion_batches: NotRequired[list[dict[str, Any] | None]]
    reward_functions: NotRequired[list[str]]
    function_weights: NotRequired[list[float]]
    function_time_limits: NotRequired[list[float]]
    prompt_set: NotRequired[int]
    reference: NotRequired[int]
    preset: NotRequired[Literal["grpo", "reinforce", "rloo", "tiny"]]


class PolicyTrainingsResource(Resource):
    def adopt(self, *, idempotency_key: str | None = None, **body: Unpack[AdoptBodyRequest]) -> OneRun:
        """Queue the making of a policy from a checkpoint of a training."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_policy_trainings_adopt",
                    "POST",
                    "/projects/{slug}/policy-trainings/adopt",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def best_of_n(
        self, *, idempotency_key: str | None = None, **body: Unpack[BestOfNBodyRequest]
    ) -> OneRun | OneChainedTraining:
        """Queue fine-tuning on the answers that score best."""
        return cast(
            OneRun | OneChainedTraining,
            self.perform(
                Operation(
                    "post_policy_trainings_best_of_n",
                    "POST",
                    "/projects/{slug}/policy-trainings/best-of-n",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def best_of_n_presets(self) -> Presets:
        """The presets of best-of-n, every value with its source."""
        return cast(
            Presets,
            self.perform(
                Operation(
                    "get_policy_trainings_best_of_n_presets",
                    "GET",
                    "/projects/{slug}/policy-trainings/best-of-n/presets",
                    answer="json",
                ),
                {},
            ),
        )

    def dpo(
        self, *, idempotency_key: str | None = None, **body: Unpack[DPOBodyRequest]
    ) -> OneRun | OneChainedTraining:
        """Queue DPO, on a frozen dataset or on the judgments there are now."""
        return cast(
            OneRun | OneChainedTraining,
            self.perform(
                Operation(
                    "post_policy_trainings_dpo",
                    "POST",
                    "/projects/{slug}/policy-trainings/dpo",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def dpo_presets(self) -> Presets:
        """The presets of DPO, every value with its source."""
        return cast(
            Presets,
            self.perform(
                Operation(
                    "get_policy_trainings_dpo_presets",
                    "GET",
                    "/projects/{slug}/policy-trainings/dpo/presets",
                    answer="json",
                ),
                {},
            ),
        )

    def merge(self, *, idempotency_key: str | None = None, **body: Unpack[MergeBodyRequest]) -> OneRun:
        """Queue the weighted mean of policies' weights."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_policy_trainings_merge",
                    "POST",
                    "/projects/{slug}/policy-trainings/merge",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def policy_gradient(
        self, *, idempotency_key: str | None = None, **body: Unpack[PolicyGradientBodyRequest]
    ) -> OneRun | OneChainedTraining:
        """Queue REINFORCE, RLOO or GRPO."""
        return cast(
            OneRun | OneChainedTraining,
            self.perform(
                Operation(
                    "post_policy_trainings_policy_gradient",
                    "POST",
                    "/projects/{slug}/policy-trainings/policy-gradient",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def policy_gradient_presets(self) -> Presets:
        """The presets of REINFORCE, RLOO and GRPO, every value with its source."""
        return cast(
            Presets,
            self.perform(
                Operation(
                    "get_policy_trainings_policy_gradient_presets",
                    "GET",
                    "/projects/{slug}/policy-trainings/policy-gradient/presets",
                    answer="json",
                ),
                {},
            ),
        )

    def ppo(
        self, *, idempotency_key: str | None = None, **body: Unpack[PPOBodyRequest]
    ) -> OneRun | OneChainedTraining:
        """Queue PPO outside a round."""
        return cast(
            OneRun | OneChainedTraining,
            self.perform(
                Operation(
                    "post_policy_trainings_ppo",
                    "POST",
                    "/projects/{slug}/policy-trainings/ppo",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def ppo_presets(self) -> Presets:
        """The presets of PPO, every value with its source."""
        return cast(
            Presets,
            self.perform(
                Operation(
                    "get_policy_trainings_ppo_presets",
                    "GET",
                    "/projects/{slug}/policy-trainings/ppo/presets",
                    answer="json",
                ),
                {},
            ),
        )
