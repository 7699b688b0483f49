"""Named ways to draw answers, to measure policies by or to be judged, each value with its source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from learning.interface.options import options_to_dict
from learning.interface.training_options import BatchOptions, ModelSource
from policy_training.training.config import (
    DecodingOptions,
    EvaluateConfig,
    SampleOptions,
    SamplingOptions,
    ServedSamplingOptions,
)
from policy_training.training.unread_options import EVALUATION_RULES
from workspace.config_overrides import apply_overrides


@dataclass(frozen=True, kw_only=True)
class EvaluationPreset:
    name: str
    source: str  # where to read about it
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    batch: BatchOptions = field(default_factory=BatchOptions)

    @property
    def sample_options(self) -> SampleOptions:
        """The same, as a sampling for annotation is asked for it."""
        decoding = {option.name: getattr(self.sampling, option.name) for option in fields(DecodingOptions)}
        return SampleOptions(
            temperatures=(self.sampling.temperature,),
            max_response_tokens=self.batch.max_response_tokens,
            **decoding,
        )

    @property
    def served_sampling(self) -> ServedSamplingOptions:
        """The same, as policies are measured by it: by this program until a server is named."""
        drawn = {option.name: getattr(self.sampling, option.name) for option in fields(SamplingOptions)}
        return ServedSamplingOptions(**drawn)


PLAIN = EvaluationPreset(
    name="plain",
    source="one answer a prompt, drawn from the policy as it is",
)

SECRETS = EvaluationPreset(
    name="secrets",
    source="Secrets of RLHF I (Zheng et al. 2023), 6.1",
    sampling=SamplingOptions(
        top_p=0.9,  # 6.1
        temperature=0.8,  # 6.1
        repetition_penalty=1.1,  # 6.1, on generated tokens only; its length penalty has no meaning for sampling
    ),
    batch=BatchOptions(
        max_response_tokens=2048,  # 6.1; lower it to what the policy was trained to write
    ),
)

EVALUATION_PRESETS: Mapping[str, EvaluationPreset] = {preset.name: preset for preset in (PLAIN, SECRETS)}


def evaluation_config(preset: str, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """EvaluateConfig as a mapping without its models, with assignments as `--set` has them. Raises ActionError."""
    chosen = EVALUATION_PRESETS[preset]
    config = options_to_dict(
        EvaluateConfig(
            policy=ModelSource(path="(filled in)"),
            reward_model_path="(filled in)",
            sampling=chosen.served_sampling,
            batch=chosen.batch,
        )
    )
    return apply_overrides(config, assignments, EVALUATION_RULES)
