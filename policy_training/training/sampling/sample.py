"""Sampling: prompts x temperatures x n -> responses.parquet, with token ids and log-probabilities.

    python -m policy_training.training.sampling.sample RUN_DIR

Reads inputs `prompts` (all of them, whatever their split) and, optionally, `draws`: how many samples of which prompt at
which temperature. Without it every prompt is sampled at every temperature of the config.

Responses are written in shards, each atomically; a run started again goes on after the last complete shard and draws
the same responses, because noise is keyed by (seed, temperature, prompt, sample). Shards sampled with other options or
weights are refused. Where a server samples (sampling.server) the policy's weights are not loaded, every answer is kept
as it comes (shards/answers-RANK.jsonl), and none is asked for twice.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.options import UserError, options_to_compare
from learning.interface.record_files import read_records, write_records
from learning.interface.record_rows import SampledResponseRow
from learning.interface.record_schemas import DRAWS, PROMPTS, SAMPLED_RESPONSES
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext, StopRequested
from policy_training.training.config import SampleConfig
from policy_training.training.rollouts.guidance import Guidance, critic_report, load_guidance
from policy_training.training.rollouts.model_sources import model_source_sha256s
from policy_training.training.rollouts.response_rows import response_row
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    Prompt,
    cut_notes,
    tokenize_prompts,
)
from policy_training.training.rollouts.same_inputs import require_same_inputs
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest, sample_responses
from policy_training.training.servers.answers import server_report
from policy_training.training.servers.requests import ModelServer
from policy_training.training.servers.sampler import (
    AnswerFile,
    ask_for_answers,
    missing_answers,
    read_answers,
    request_for,
)


def main(context: RunContext[SampleConfig]) -> dict[str, Any]:
    config = context.options
    distributed = DistributedContext.start(config.runtime)
    rows = context.read_input("prompts", PROMPTS)
    if not rows:
        raise UserError("inputs/prompts: has no prompts; add at least one")
    context.set_status(stage="loading")
    tokenizer = load_tokenizer(config.policy)
    policy: FrozenModel | ModelServer
    if config.sampling.server.name:
        policy = ModelServer(config.sampling.server)
    else:
        policy = FrozenModel(load_policy(config.policy, tokenizer), config.runtime, distributed.device)
        require_max_positions(
            policy.model, config.sampling.max_prompt_tokens + config.sampling.max_response_tokens
        )
    guidance = load_guidance(
        config.sampling.guidance,
        tokenizer,
        where="config.sampling.guidance",
        max_tokens=config.sampling.max_prompt_tokens + config.sampling.max_response_tokens,
        device=distributed.device,
    )
    prompts = tokenize_prompts(rows, tokenizer, config.sampling.max_prompt_tokens)
    context.set_status(notes=cut_notes(prompts, config.sampling.max_prompt_tokens))

    started = time.perf_counter()
    shards = plan_shards(
        prompts,
        context.read_input("draws", DRAWS) if context.has_input("draws") else None,
        config,
    )
    folder = context.path / "shards"
    policy_sha256s = model_source_sha256s(config.policy)
    critic_sha256s = critic_report(config.sampling.guidance)
    require_same_inputs(
        folder,
        {"options": options_to_compare(config), "policy_sha256s": policy_sha256s, **critic_sha256s},
        distributed,
    )
    kept = AnswerFile(folder / f"answers-{distributed.rank}.jsonl", folder.glob("answers-*.jsonl"))
    # Every rank its own shard, all in step. Noise is keyed by prompt and sample, so who writes a shard changes nothing.
    for begin in range(0, len(shards), distributed.world_size):
        context.require_current()
        if distributed.any(context.stop_requested):
            raise StopRequested(
                f"stopped after {begin} of {len(shards)} shards; start the run again to go on"
            )
        context.set_status(stage="sampling", step=begin, steps_total=len(shards))
        together = range(begin, min(begin + distributed.world_size, len(shards)))
        own = begin + distributed.rank
        if own in together and not shard_path(folder, own).exists():
            if isinstance(policy, ModelServer):
                write_served_shard(shard_path(folder, own), context, policy, tokenizer, shards[own], kept)
            else:
                write_shard(shard_path(folder, own), context, policy, tokenizer, shards[own], guidance)
        distributed.barrier()
        for number in together:
            log_samples(context, number, shard_path(folder, number), shards[number])
    if isinstance(policy, ModelServer):
        policy.close()
    context.set_status(stage="saving", step=len(shards), steps_total=len(shards))

    response_rows = [
        row
        for number in range(len(shards))
        for row in read_records(shard_path(folder, number), SAMPLED_RESPONSES)
    ]
    context.require_current()
    if context.is_main:
        write_records(context.path / "responses.parquet", response_rows, SAMPLED_RESPONSES)
    lengths = [len(row["token_ids"]) for row in response_rows]
    return {
        "responses": len(response_rows),
        "prompts": len({prompt.prompt_id for shard in shards for prompt in shard.prompts}),
        "tokens": sum(lengths),
        "mean_tokens": sum(lengths) / len(lengths),
        "eos_rate": sum(bool(row["ended"]) for row in response_rows) / len(response_rows),
        **served_report(config, folder),
        "model_sha256s": policy_sha256s,
        **critic_sha256s,
        "seconds": time.perf_counter() - started,
    }


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Prompts that are sampled alike, and whose responses are written together."""

    temperature: float
    samples_per_prompt: int
    prompts: list[Prompt]


def plan_shards(
    prompts: list[Prompt], draws: list[dict[str, Any]] | None, config: SampleConfig
) -> list[Shard]:
    """What is sampled, in order. Raises UserError for draws that do not fit the prompts."""
    groups: dict[tuple[float, int], list[Prompt]] = {}
    if draws is None:
        for temperature in config.sampling.temperatures:
            groups[temperature, config.samples_per_prompt] = prompts
    else:
        samples = _samples_of_prompts(prompts, draws, config)
        for temperature, count in sorted({(t, n) for own in samples.values() for t, n in own.items()}):
            groups[temperature, count] = [
                prompt for prompt in prompts if samples[prompt.prompt_id].get(temperature) == count
            ]
    shards = []
    for (temperature, count), group in groups.items():
        # A number of responses and not of prompts, so that a shard takes about as long whatever is asked.
        size = max(1, 4 * config.sampling.batch_size // count)
        shards += [
            Shard(temperature=temperature, samples_per_prompt=count, prompts=group[begin : begin + size])
            for begin in range(0, len(group), size)
        ]
    return shards


def _samples_of_prompts(
    prompts: list[Prompt], draws: list[dict[str, Any]], config: SampleConfig
) -> dict[str, dict[float, int]]:
    """{prompt id: {temperature: samples}}, checked."""
    if not draws:
        raise UserError("inputs/draws: asks for no sample at all; add at least one row")
    samples: dict[str, dict[float, int]] = {prompt.prompt_id: {} for prompt in prompts}
    for row in draws:
        prompt_id, temperature, count = row["prompt_id"], row["temperature"], row["samples"]
        where = f"inputs/draws: prompt {prompt_id!r} at temperature {temperature:g}"
        if prompt_id not in samples:
            raise UserError(f"{where}: is not among inputs/prompts; add it there")
        if temperature in samples[prompt_id]:
            raise UserError(f"{where}: is there twice; give one row with the sum of the samples")
        if count < 1:
            raise UserError(f"{where}: samples is {count}; it must be at least 1")
        try:
            config.sampling.at(temperature)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
        samples[prompt_id][temperature] = count
    return samples


def served_report(config: SampleConfig, folder: Path) -> dict[str, Any]:
    """For result.json; nothing without a server."""
    server = config.sampling.server
    if not server.name:
        return {}
    name = config.policy_name or config.policy.short_name
    return {"server": server_report(server, [name], sorted(folder.glob("answers-*.jsonl")))}


def log_samples(context: RunContext[SampleConfig], number: int, path: Path, shard: Shard) -> None:
    for row in read_records(path, SAMPLED_RESPONSES)[:2]:
        context.log_sample(
            number,
            prompt=row["prompt"][-1]["content"],
            response=row["text"],
            temperature=f"{shard.temperature:g}",
        )


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.parquet"


def write_shard(
    path: Path,
    context: RunContext[SampleConfig],
    policy: FrozenModel,
    tokenizer: Any,
    shard: Shard,
    guidance: Guidance | None = None,
) -> None:
    config, prompts, temperature = context.options, shard.prompts, shard.temperature
    options = config.sampling.at(temperature)
    responses = policy.infer(
        sample_responses,
        [(prompt.prompt_id, prompt.token_ids) for prompt in prompts],
        SamplingRequest(
            n_samples=shard.samples_per_prompt,
            max_response_tokens=config.sampling.max_response_tokens,
            options=options,
            # The temperature is part of the key, or samples at neighbouring temperatures would be near copies.
            seed=f"{config.runtime.seed}/{temperature!r}",
        ),
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        guidance=guidance,
    )
    texts = [decode_response(tokenizer, response.token_ids) for response in responses]
    write_records(path, rows_of(context, shard, responses, texts), SAMPLED_RESPONSES)


def write_served_shard(
    path: Path,
    context: RunContext[SampleConfig],
    server: ModelServer,
    tokenizer: Any,
    shard: Shard,
    kept: AnswerFile,
) -> None:
    """The same from a server; answers that are in `kept` are not asked for."""
    config, temperature = context.options, shard.temperature
    max_tokens = config.sampling.max_response_tokens
    request = SamplingRequest(
        n_samples=shard.samples_per_prompt,
        max_response_tokens=max_tokens,
        options=config.sampling.at(temperature),
        seed=f"{config.runtime.seed}/{temperature!r}",
    )
    keys = [
        (prompt.prompt_id, temperature, number)
        for prompt in shard.prompts
        for number in range(shard.samples_per_prompt)
    ]
    ask_for_answers(
        server,
        missing_answers(kept, shard.prompts, request),
        body_of=lambda one: request_for(
            server,
            tokenizer,
            one,
            model=config.sampling.server.model_called(config.policy_name, config.policy),
            options=request.options,
            max_response_tokens=max_tokens,
        ),
        read=lambda one, answer: read_answers(server, tokenizer, one, answer, max_tokens),
        on_answers=kept.add,
        check=context.stop_if_requested,
    )
    answers = [kept.answers[key] for key in keys]
    rows = rows_of(context, shard, [one.response for one in answers], [one.text for one in answers])
    write_records(path, rows, SAMPLED_RESPONSES)


def rows_of(
    context: RunContext[SampleConfig],
    shard: Shard,
    responses: Sequence[SampledResponse],
    texts: Sequence[str],
) -> list[SampledResponseRow]:
    """Of all prompts and samples of the shard, in their order."""
    config = context.options
    return [
        response_row(
            shard.prompts[row // shard.samples_per_prompt],
            response,
            text,
            response_id=(
                f"{config.id_prefix}{response.prompt_id}-t{shard.temperature:g}-{response.sample_index}"
            ),
            policy_name=config.policy_name,
            options=config.sampling.at(shard.temperature),
            max_tokens=config.sampling.max_response_tokens,
            seed=config.runtime.seed,
            guidance=config.sampling.guidance if config.sampling.guidance.path else None,
        )
        for row, (response, text) in enumerate(zip(responses, texts, strict=True))
    ]


if __name__ == "__main__":
    run_recipe(main, SampleConfig)
