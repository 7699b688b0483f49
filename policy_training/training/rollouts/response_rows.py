"""Sampled responses as rows of the SAMPLED_RESPONSES record."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from learning.interface.record_rows import Message, SampledResponseRow, Sampling, iso_utc
from policy_training.training.config import GuidanceOptions, SamplingOptions
from policy_training.training.rollouts.rollouts import Prompt
from policy_training.training.rollouts.sampler import SampledResponse


def response_row(
    prompt: Prompt,
    response: SampledResponse,
    text: str,
    *,
    response_id: str,
    policy_name: str,
    options: SamplingOptions,
    max_tokens: int,
    seed: int,
    guidance: GuidanceOptions | None = None,
) -> SampledResponseRow:
    """`guidance`: the critic that led the sampling, where one did."""
    return {
        "response_id": response_id,
        "prompt_id": prompt.prompt_id,
        "prompt": cast(list[Message], prompt.messages),
        "text": text,
        "source": "policy",
        "policy": policy_name or None,
        "sampling": cast(
            Sampling,
            {
                "temperature": options.temperature,
                "top_p": options.top_p,
                "top_k": options.top_k,
                "max_tokens": max_tokens,
                "repetition_penalty": options.repetition_penalty,
                "seed": seed,
                **(critic_settings(guidance) if guidance is not None else {}),
            },
        ),
        "ended": response.has_eos,
        "created_at": iso_utc(datetime.now(UTC)),
        "token_ids": response.token_ids,
        "logprobs": response.logprobs,
    }


def critic_settings(guidance: GuidanceOptions) -> dict[str, str | float | int]:
    """As sampling settings; of a critic that is known by its folder alone, the folder's name."""
    return {
        "critic": guidance.policy or Path(guidance.path).name,
        "critic_coefficient": guidance.coefficient,
        "critic_candidates": guidance.candidates,
    }
