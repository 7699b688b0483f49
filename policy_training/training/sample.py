"""Sampling: prompts x temperatures x n -> responses.parquet, with token ids and log-probabilities.

    python -m policy_training.training.sample RUN_DIR

Reads inputs `prompts` (all of them, whatever their split). Work is done in parts, each written whole; a run
started again goes on after the last complete part and draws the same responses, because noise is keyed by
(seed, prompt, sample). Parts made with other options or weights are refused.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learning.architectures import require_positions
from learning.command import run_command
from learning.interface.atomic_files import write_json_atomically
from learning.interface.options import UserError, options_to_mapping
from learning.interface.record_files import read_records, write_records
from learning.interface.record_rows import iso_utc
from learning.interface.record_schemas import PROMPTS, SAMPLED_RESPONSES
from learning.language_models import load_policy, load_tokenizer
from learning.processes import Processes
from learning.run_context import RunContext, StopRequested
from learning.tokenization import decode_response
from policy_training.training.config import SampleConfig, SamplingOptions
from policy_training.training.rollouts import Frozen, Prompt, source_sha256s, tokenized_prompts
from policy_training.training.sampler import SampledResponse, sample_responses


def main(attempt: RunContext[SampleConfig]) -> dict[str, Any]:
    config = attempt.options
    processes = Processes.start(config.runtime)
    if processes.world_size > 1:
        raise UserError("sample: runs in one process; start several runs with different prompts instead")
    rows = attempt.read_input("prompts", PROMPTS)
    if not rows:
        raise UserError("inputs/prompts: has no prompts; add at least one")
    attempt.status(stage="loading")
    tokenizer = load_tokenizer(config.policy)
    policy = Frozen(load_policy(config.policy, tokenizer), config.runtime, processes.device)
    require_positions(policy.model, config.max_prompt_tokens + config.max_response_tokens)
    prompts = tokenized_prompts(rows, tokenizer, config.max_prompt_tokens)

    started = time.perf_counter()
    prompts_a_part = max(1, 4 * config.sampling.rows_a_batch // config.samples_a_prompt)
    parts = [
        (temperature, prompts[begin : begin + prompts_a_part])
        for temperature in config.temperatures
        for begin in range(0, len(prompts), prompts_a_part)
    ]
    folder = attempt.path / "parts"
    policy_sha256s = source_sha256s(config.policy)
    require_same_making(folder, {"options": options_to_mapping(config), "policy_sha256s": policy_sha256s})
    for number, (temperature, chosen) in enumerate(parts):
        attempt.check()
        if attempt.stop_requested:
            raise StopRequested(f"stopped after {number} of {len(parts)} parts; start the run again to go on")
        attempt.status(stage="sampling", step=number, steps_total=len(parts))
        path = folder / f"part-{number:06d}.parquet"
        if not path.exists():
            write_part(path, attempt, policy, tokenizer, chosen, temperature)
        for row in read_records(path, SAMPLED_RESPONSES)[:2]:
            attempt.log_sample(
                number,
                prompt=row["prompt"][-1]["content"],
                response=row["text"],
                temperature=f"{temperature:g}",
            )
    attempt.status(stage="saving", step=len(parts), steps_total=len(parts))

    everything = [
        row
        for number in range(len(parts))
        for row in read_records(folder / f"part-{number:06d}.parquet", SAMPLED_RESPONSES)
    ]
    attempt.check()
    write_records(attempt.path / "responses.parquet", everything, SAMPLED_RESPONSES)
    lengths = [len(row["token_ids"]) for row in everything]
    return {
        "responses": len(everything),
        "prompts": len(prompts),
        "tokens": sum(lengths),
        "mean_tokens": sum(lengths) / len(lengths),
        "eos_rate": sum(row["token_ids"][-1] == tokenizer.eos_token_id for row in everything)
        / len(everything),
        "model_sha256s": policy_sha256s,
        "seconds": time.perf_counter() - started,
    }


def require_same_making(folder: Path, making: dict[str, Any]) -> None:
    """UserError when the parts that are there were made otherwise; on the first start, note how they will be."""
    note = folder / "made_with.json"
    if not note.is_file():
        folder.mkdir(exist_ok=True)
        write_json_atomically(note, making)
    elif json.loads(note.read_bytes()) != json.loads(json.dumps(making)):
        raise UserError(
            f"{folder}: some responses were sampled with other options or weights; clone this run to sample all anew"
        )


def write_part(
    path: Path,
    attempt: RunContext[SampleConfig],
    policy: Frozen,
    tokenizer: Any,
    prompts: list[Prompt],
    temperature: float,
) -> None:
    config = attempt.options
    options = SamplingOptions(
        temperature=temperature,
        top_p=config.sampling.top_p,
        top_k=config.sampling.top_k,
        repetition_penalty=config.sampling.repetition_penalty,
        rows_a_batch=config.sampling.rows_a_batch,
    )
    responses = policy.infer(
        sample_responses,
        [(prompt.prompt_id, prompt.token_ids) for prompt in prompts],
        n_samples=config.samples_a_prompt,
        max_response_tokens=config.max_response_tokens,
        options=options,
        # The temperature is part of the key, or samples at neighbouring temperatures would be near copies.
        seed=f"{config.runtime.seed}/{temperature!r}",
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )
    rows = [
        response_row(
            prompts[row // config.samples_a_prompt],
            response,
            decode_response(tokenizer, response.token_ids),
            response_id=(f"{config.id_prefix}{response.prompt_id}-t{temperature:g}-{response.sample}"),
            policy_name=config.policy_name,
            options=options,
            max_tokens=config.max_response_tokens,
            seed=config.runtime.seed,
        )
        for row, response in enumerate(responses)
    ]
    write_records(path, rows, SAMPLED_RESPONSES)


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
) -> dict[str, Any]:
    return {
        "response_id": response_id,
        "prompt_id": prompt.prompt_id,
        "prompt": prompt.messages,
        "text": text,
        "source": "policy",
        "policy": policy_name or None,
        "sampling": {
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k,
            "max_tokens": max_tokens,
            "repetition_penalty": options.repetition_penalty,
            "seed": seed,
        },
        "created_at": iso_utc(datetime.now(UTC)),
        "token_ids": response.token_ids,
        "logprobs": response.logprobs,
    }


if __name__ == "__main__":
    run_command(main, SampleConfig)
