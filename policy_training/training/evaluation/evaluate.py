"""Evaluation of a policy: sample on the given prompts, score with a reward model, measure the KL to a reference.

    python -m policy_training.training.evaluation.evaluate RUN_DIR

Reads inputs `prompts` (all of them). Sampling may truncate here (top-p, top-k, repetition penalty); the KL is
always that of the policy's own distribution at the sampling temperature, over the tokens that were drawn, so
with truncation it is a description of those texts and not an estimate of KL(policy || reference). Where a critic leads
(`guidance`) it is the KL of what was drawn from: of the policy, led and truncated as asked. Where a server samples
(`sampling.server`) it must have this policy; log-probabilities are computed here, and its answers are kept as they come
(answers/): a run started again asks for the others alone.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from learning.batches.layout import choose_layout
from learning.distributed import DistributedContext
from learning.interface.options import UserError, options_to_compare
from learning.interface.record_files import write_records
from learning.interface.record_rows import ScoreRow
from learning.interface.record_schemas import PROMPTS, SAMPLED_RESPONSES, SCORES
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import EvaluateConfig
from policy_training.training.evaluation.server_notes import other_model_notes
from policy_training.training.evaluation.verdicts import verdicts
from policy_training.training.rewards.function_calls import require_functions
from policy_training.training.rewards.sources import load_scorer, measure_scales, scorer_report
from policy_training.training.rollouts.guidance import critic_report, load_guidance
from policy_training.training.rollouts.model_sources import load_reference, model_source_sha256s
from policy_training.training.rollouts.policy_evaluation import evaluate_policy
from policy_training.training.rollouts.response_rows import response_row
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    Rollout,
    cut_notes,
    generate_rollouts,
    part_texts,
    self_check_examples,
    tokenize_prompts,
)
from policy_training.training.rollouts.same_inputs import require_same_inputs
from policy_training.training.rollouts.sampler import SamplingRequest
from policy_training.training.servers.answers import AnswerServer, server_report


def main(context: RunContext[EvaluateConfig]) -> dict[str, Any]:
    config = context.options
    distributed = DistributedContext.start(config.runtime)
    rows = context.read_input("prompts", PROMPTS)
    if not rows:
        raise UserError("inputs/prompts: has no prompts; add at least one")
    require_functions(config.rewards.functions, rows, distributed)
    context.set_status(stage="loading")
    started = time.perf_counter()
    tokenizer = load_tokenizer(config.policy)
    policy = FrozenModel(load_policy(config.policy, tokenizer), config.runtime, distributed.device)
    require_max_positions(policy.model, config.batch.max_sequence_tokens)
    reference = None
    if config.reference is not None:
        reference = FrozenModel(
            load_reference(config.reference, tokenizer), config.runtime, distributed.device
        )
    scorer = load_scorer(context, tokenizer, distributed)
    guidance = load_guidance(
        config.guidance,
        tokenizer,
        where="config.guidance",
        max_tokens=config.batch.max_sequence_tokens,
        device=distributed.device,
    )
    batch = resolve_micro_batch_tokens(context, distributed, config.batch, policy.model)
    prompts = tokenize_prompts(rows, tokenizer, config.batch.max_prompt_tokens)
    notes = cut_notes(prompts, config.batch.max_prompt_tokens)
    context.set_status(notes=notes)
    layout, _ = choose_layout(
        policy.model,
        self_check_examples(prompts, config.samples_per_prompt),
        dtype=config.runtime.dtype,
        requested=config.batch.layout,
    )

    for model in (scorer, *scorer.further_scorers.values()):
        model.reward_model.before_pass = context.stop_if_requested
    context.stop_if_requested()
    context.set_status(stage="evaluating")
    request = SamplingRequest(
        n_samples=config.samples_per_prompt,
        max_response_tokens=config.batch.max_response_tokens,
        options=config.sampling,
        seed=f"{config.runtime.seed}/evaluation",
    )
    if reference is not None:
        measure_scales(
            scorer,
            reference,
            prompts,
            replace(request, n_samples=1, seed=f"{config.runtime.seed}/normalization"),
            distributed=distributed,
            before_token=context.stop_if_requested,
        )
    server = evaluated_server(context, distributed, tokenizer)
    evaluation, rollouts = evaluate_policy(
        policy,
        reference,
        prompts,
        scorer,
        request,
        max_micro_batch_tokens=batch.micro_batch_tokens,
        layout=layout,
        distributed=distributed,
        before_pass=context.stop_if_requested,
        sample=None if server is None else partial(server.sample, request=request),
        guidance=guidance,
    )
    if server is not None:
        server.close()
        name = config.policy_name or "the policy"
        notes += other_model_notes(config.sampling.server.name, name, evaluation.sampler)
        context.set_status(notes=notes)
    against, theirs = None, None
    if reference is not None and config.against_reference:
        context.set_status(stage="evaluating the reference")
        theirs = generate_rollouts(
            reference,
            prompts,
            scorer,
            request,  # the same noise: who wins is not chance alone
            distributed=distributed,
            before_token=context.stop_if_requested,
        )
        tags = {row["prompt_id"]: row["tags"] for row in rows}
        against = verdicts(scores_by_prompt(rollouts), scores_by_prompt(theirs), tags)
    scorer.close()
    response_rows = [
        response_row(
            rollout.prompt,
            rollout.response,
            decode_response(tokenizer, rollout.response.token_ids),
            response_id=f"{rollout.prompt.prompt_id}-{rollout.response.sample_index}",
            policy_name="",
            options=config.sampling,
            max_tokens=config.batch.max_response_tokens,
            seed=config.runtime.seed,
            guidance=config.guidance if guidance is not None else None,
        )
        for rollout in rollouts
    ]
    for row, rollout in list(zip(response_rows, rollouts, strict=True))[: config.logged_samples]:
        context.log_sample(
            0,
            prompt=rollout.prompt.text,
            response=row["text"],
            score=f"{rollout.score:.4f}",
            **part_texts(rollout),
        )
    context.require_current()
    context.set_status(stage="saving")
    if context.is_main:
        write_records(context.path / "responses.parquet", response_rows, SAMPLED_RESPONSES)
        scores = [
            ScoreRow(response_id=row["response_id"], prompt_id=row["prompt_id"], reward=rollout.score)
            for row, rollout in zip(response_rows, rollouts, strict=True)
        ]
        write_records(context.path / "scores.parquet", scores, SCORES)
        if theirs is not None:  # verdicts on each prompt, for who chooses between policies
            write_records(
                context.path / "reference_scores.parquet",
                [
                    ScoreRow(
                        response_id=f"reference-{rollout.prompt.prompt_id}-{rollout.response.sample_index}",
                        prompt_id=rollout.prompt.prompt_id,
                        reward=rollout.score,
                    )
                    for rollout in theirs
                ],
                SCORES,
            )
    return {
        **evaluation.as_dict(),
        "against_reference": against,
        "score_standard_error": standard_error_over_prompts(scores_by_prompt(rollouts)),
        **evaluated_server_report(context),
        "policy_sha256s": model_source_sha256s(config.policy),
        **critic_report(config.guidance),
        "reward_model_sha256s": scorer.sha256s,
        **scorer_report(scorer),
        "seconds": time.perf_counter() - started,
    }


def evaluated_server(
    context: RunContext[EvaluateConfig], distributed: DistributedContext, tokenizer: Any
) -> AnswerServer | None:
    """Who samples the policy's answers; None: this program. Raises UserError for an unknown server."""
    config, folder = context.options, context.path / "answers"
    if not config.sampling.server.name:
        return None
    require_same_inputs(
        folder,
        {"options": options_to_compare(config), "policy_sha256s": model_source_sha256s(config.policy)},
        distributed,
    )
    return AnswerServer(
        config.sampling.server,
        model=config.sampling.server.model_called(config.policy_name, config.policy),
        tokenizer=tokenizer,
        answers_file=folder / f"served-{distributed.rank}.jsonl",
        beside=folder.glob("served-*.jsonl"),
        # One of several processes that left alone would fail the others.
        check=context.require_current if distributed.world_size > 1 else context.stop_if_requested,
    )


def evaluated_server_report(context: RunContext[EvaluateConfig]) -> dict[str, Any]:
    """For result.json, once all processes have their answers; nothing without a server."""
    config = context.options
    if not config.sampling.server.name:
        return {}
    name = config.policy_name or config.policy.short_name
    files = sorted((context.path / "answers").glob("served-*.jsonl"))
    return {"server": server_report(config.sampling.server, [name], files)}


def standard_error_over_prompts(scores: Mapping[str, Sequence[float]]) -> float | None:
    """Of the mean reward. Samples of one prompt are not independent: the prompts are what was drawn, and their means
    are what varies, with n - 1. None for a single prompt, which says nothing of others.
    """
    if len(scores) < 2:
        return None
    return statistics.stdev(map(statistics.fmean, scores.values())) / math.sqrt(len(scores))


def scores_by_prompt(rollouts: Sequence[Rollout]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for rollout in rollouts:
        found.setdefault(rollout.prompt.prompt_id, []).append(rollout.score)
    return found


if __name__ == "__main__":
    run_recipe(main, EvaluateConfig)
