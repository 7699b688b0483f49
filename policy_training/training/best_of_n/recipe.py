"""Best-of-n (rejection sampling) fine-tuning: policies answer, a reward model scores, the best answers are learned.

    python -m policy_training.training.best_of_n.recipe RUN_DIR

Reads input `prompts`: those of split "train" are answered to be learned, of the others the first few are answered too,
to watch the loss and the score. Answers and scores are written in shards (candidates/), each complete or not there; a
run started again goes on after the last, and then after the last checkpoint of the fine-tuning. What was kept stands in
chosen.parquet. Sources: Llama 2 (Touvron et al. 2023), 3.2.3; WebGPT (Nakano et al. 2021). Writes model/ and
result.json.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from learning.batches.collation import Example
from learning.distributed import DistributedContext
from learning.interface.options import UserError, options_to_compare
from learning.interface.record_files import read_records, write_records
from learning.interface.record_rows import DemonstrationRow, ScoreRow
from learning.interface.record_schemas import DEMONSTRATIONS, SAMPLED_RESPONSES, SCORES
from learning.interface.training_options import ModelSource
from learning.micro_batch_size import with_micro_batch_tokens
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response, encode_response
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext, StopRequested
from policy_training.training.alarms.alarms import KL, LENGTH, PERPLEXITY, SCORE
from policy_training.training.alarms.steps import compare_ends, score_limit
from policy_training.training.best_of_n.best_answers import Candidate, best_answers, kl_bound
from policy_training.training.best_of_n.candidate_files import require_same_inputs, shard_files
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.ppo.setup import read_prompts
from policy_training.training.rewards.sources import load_scorer, scorer_report
from policy_training.training.rollouts.response_rows import response_row
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    PolicyEvaluation,
    Prompt,
    RolloutScorer,
    cut_notes,
    evaluate_policy,
    generate_rollouts,
    model_source_sha256s,
    same_tokenization,
    tokenize_prompts,
)
from policy_training.training.rollouts.sampler import SamplingRequest
from policy_training.training.supervised.training import fit


@dataclass(frozen=True, kw_only=True)
class Answer(Candidate):
    sampler: int  # place of its policy in the config
    token_ids: list[int]  # of that policy's tokenizer


Answers = dict[str, list[Answer]]  # by prompt


def main(context: RunContext[BestOfNConfig]) -> dict[str, Any]:
    config = context.options
    distributed = DistributedContext.start(config.runtime)

    # 1. Answers to every prompt by every policy, and their scores.
    context.set_status(stage="loading")
    train_rows, heldout_rows = read_prompts(context)
    heldout_rows = heldout_rows[: config.evaluation.max_examples]
    tokenizer = load_tokenizer(config.model.source)
    train = tokenize_prompts(train_rows, tokenizer, config.batch.max_prompt_tokens)
    heldout = tokenize_prompts(heldout_rows, tokenizer, config.batch.max_prompt_tokens)
    notes = cut_notes([*train, *heldout], config.batch.max_prompt_tokens)
    context.set_status(notes=notes)
    require_same_inputs(
        context.path / "candidates",
        {
            "options": options_to_compare(config),
            "sampler_sha256s": [model_source_sha256s(source) for source in config.answering],
        },
        distributed,
    )
    answers: Answers = {}
    for number in range(len(config.answering)):
        for prompt_id, own in sample_answers(context, distributed, number, train_rows + heldout_rows).items():
            answers.setdefault(prompt_id, []).extend(own)

    # 2. The best of each prompt, as rows to learn.
    same = [same_tokenization(load_tokenizer(source), tokenizer) for source in config.answering]
    kept = {
        prompt_id: [own[place] for place in best_answers(own, config.candidates)]
        for prompt_id, own in answers.items()
    }

    def examples(prompts: Sequence[Prompt]) -> list[Example]:
        return [
            Example(prompt.token_ids, [_token_ids(answer, tokenizer, config, same[answer.sampler])])
            for prompt in prompts
            for answer in kept[prompt.prompt_id]
        ]

    train_examples = examples(train)
    if not train_examples:
        raise UserError(
            f"config.candidates: none of the {sum(len(answers[p.prompt_id]) for p in train)} answers is kept "
            f"(min_score {config.candidates.min_score}, only_ended {config.candidates.only_ended}); lower the score or "
            "raise batch.max_response_tokens so that answers end"
        )
    without = sum(not kept[prompt.prompt_id] for prompt in train)
    if without:
        notes = [*notes, f"{without} of {len(train)} prompts have no answer to learn."]
        context.set_status(notes=notes)
    write_chosen(context, train_rows + heldout_rows, kept)

    # 3. Fine-tuning on them, with the score on held-out prompts before and after.
    measure = measurer(context, distributed, tokenizer, heldout or train[: config.evaluation.max_examples])
    before, _ = measure(config.model.source, None)
    result = fit(
        context,
        config=config.supervised,
        distributed=distributed,
        tokenizer=tokenizer,
        train=train_examples,
        heldout=examples(heldout),
        sample_prompts=[
            (prompt.text, prompt.token_ids) for prompt in heldout[: config.evaluation.logged_samples]
        ],
    )
    context.set_status(stage="scoring", step=result["steps"], steps_total=result["steps"])
    after, scorer = measure(ModelSource(path=str(context.path / "model")), config.model.source)
    alarms = compare_ends(
        watched_figures(before),
        watched_figures(after),
        config.alarms,
        limit=score_limit(config.alarms, config.rewards, scorer),
    )
    context.set_status(notes=[*notes, *alarms])
    every, chosen = (
        [answer.score for prompt in train for answer in group[prompt.prompt_id]] for group in (answers, kept)
    )
    return result | {
        "score_before": before.score,
        "score_after": after.score,
        "kl": after.kl,
        "eos_rate_before": before.eos_rate,
        "eos_rate_after": after.eos_rate,
        "tokens_before": before.tokens,
        "tokens_after": after.tokens,
        "evaluation_split": "heldout" if heldout else "train",
        "perplexity_before": before.perplexity,
        "perplexity_after": after.perplexity,
        "alarms": alarms,
        "evaluation_responses": after.responses,
        "candidates": len(every),
        "candidate_score": math.fsum(every) / len(every),
        "kept": len(chosen),
        "kept_score": math.fsum(chosen) / len(chosen),
        "kept_by_sampler": [
            sum(answer.sampler == number for prompt in train for answer in kept[prompt.prompt_id])
            for number in range(len(config.answering))
        ],
        "prompts_without_answer": without,
        # Not where answers are chosen among those of several policies, or a prompt may be left with none.
        "kl_bound": kl_bound(config.candidates.samples_per_prompt)
        if len(config.answering) == 1 and config.candidates.min_score is None and not without
        else None,
        "policy_sha256s": model_source_sha256s(config.model.source),
        "sampler_sha256s": [model_source_sha256s(source) for source in config.answering],
        "reward_model_sha256s": scorer.sha256s,
        **scorer_report(scorer),
    }


def watched_figures(evaluation: PolicyEvaluation) -> dict[str, float]:
    """What alarms look at, by the names of a step's metrics."""
    found = {
        LENGTH: evaluation.tokens,
        PERPLEXITY: evaluation.perplexity,
        KL: evaluation.kl or 0.0,  # the start is its own reference
        SCORE: evaluation.score,
        **{f"score_{name}": mean for name, mean in evaluation.parts.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def sample_answers(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    number: int,
    rows: Sequence[dict[str, Any]],
) -> Answers:
    """The answers of one of the policies, of the shards that are there and of those that are missing."""
    config, source = context.options, context.options.answering[number]
    n_samples = config.candidates.samples_per_prompt
    # A number of responses and not of prompts, so that a shard takes about as long whatever is asked.
    size = max(1, 4 * config.sampling.batch_size // n_samples)
    shards = [rows[begin : begin + size] for begin in range(0, len(rows), size)]
    files = [shard_files(context.path / "candidates", number, shard) for shard in range(len(shards))]
    missing = [shard for shard, (_, scores) in enumerate(files) if not scores.exists()]
    distributed.barrier()  # all have looked before one writes
    if missing:
        tokenizer = load_tokenizer(source)
        policy = FrozenModel(load_policy(source, tokenizer), config.runtime, distributed.device)
        require_max_positions(policy.model, config.batch.max_prompt_tokens + config.batch.max_response_tokens)
        scorer = _load_scorer(context, tokenizer, distributed)
    for shard in missing:
        context.require_current()
        if distributed.any(context.stop_requested):
            raise StopRequested(
                f"stopped after {shard} of {len(shards)} shards of answers; start the run again to go on"
            )
        context.set_status(
            stage=f"sampling, policy {number + 1} of {len(config.answering)}",
            step=shard,
            steps_total=len(shards),
        )
        prompts = tokenize_prompts(shards[shard], tokenizer, config.batch.max_prompt_tokens)
        rollouts = generate_rollouts(
            policy,
            prompts,
            scorer,
            _request(config, n_samples, f"{config.runtime.seed}/candidates/{number}"),
            distributed=distributed,
        )
        if distributed.is_main:
            responses_file, scores_file = files[shard]
            ids = [f"{r.prompt.prompt_id}-{number}-{r.response.sample_index}" for r in rollouts]
            sampled = [
                response_row(
                    rollout.prompt,
                    rollout.response,
                    decode_response(tokenizer, rollout.response.token_ids),
                    response_id=response_id,
                    policy_name=str(number),
                    options=config.sampling,
                    max_tokens=config.batch.max_response_tokens,
                    seed=config.runtime.seed,
                )
                for response_id, rollout in zip(ids, rollouts, strict=True)
            ]
            scores: list[ScoreRow] = [
                {
                    "response_id": response_id,
                    "prompt_id": rollout.prompt.prompt_id,
                    "reward": rollout.score,
                }
                for response_id, rollout in zip(ids, rollouts, strict=True)
            ]
            write_records(responses_file, sampled, SAMPLED_RESPONSES)
            write_records(scores_file, scores, SCORES)  # last: with it the shard is complete
        distributed.barrier()
    answers: Answers = {}
    for responses_file, scores_file in files:
        scores_of = {row["response_id"]: row["reward"] for row in read_records(scores_file, SCORES)}
        for row in read_records(responses_file, SAMPLED_RESPONSES):
            answers.setdefault(row["prompt_id"], []).append(
                Answer(
                    text=row["text"],
                    score=scores_of[row["response_id"]],
                    ended=row["ended"],
                    sampler=number,
                    token_ids=list(row["token_ids"]),
                )
            )
    return answers


def _token_ids(answer: Answer, tokenizer: Any, config: BestOfNConfig, same: bool) -> list[int]:
    """As they were sampled; of another tokenizer's policy, its text anew."""
    if same:
        return answer.token_ids
    return encode_response(tokenizer, answer.text, config.batch.max_response_tokens)


def write_chosen(context: RunContext[BestOfNConfig], rows: Sequence[dict[str, Any]], kept: Answers) -> None:
    """The answers that are learned, for people to read and for other trainers: DEMONSTRATIONS."""
    if not context.is_main or (context.path / "chosen.parquet").exists():
        return
    chosen: list[DemonstrationRow] = [
        {
            "prompt_id": row["prompt_id"],
            "prompt": row["messages"],
            "response": answer.text,
            "author": None,
            "split": row["split"],
        }
        for row in rows
        for answer in kept[row["prompt_id"]]
    ]
    context.require_current()
    write_records(context.path / "chosen.parquet", chosen, DEMONSTRATIONS)


def _request(config: BestOfNConfig, n_samples: int, seed: str) -> SamplingRequest:
    return SamplingRequest(
        n_samples=n_samples,
        max_response_tokens=config.batch.max_response_tokens,
        options=config.sampling,
        seed=seed,
    )


def _load_scorer(
    context: RunContext[BestOfNConfig], tokenizer: Any, distributed: DistributedContext
) -> RolloutScorer:
    config = context.options
    return load_scorer(
        context,
        tokenizer,
        config.rewards,
        path=config.reward_model_path,
        policy_batch=config.batch,
        batch=config.reward_model_batch or config.batch,
        runtime=config.runtime,
        distributed=distributed,
    )


def measurer(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    tokenizer: Any,
    prompts: Sequence[Prompt],
) -> Callable[[ModelSource, ModelSource | None], tuple[PolicyEvaluation, RolloutScorer]]:
    """One answer to each of the prompts by a policy, scored, and its KL to a reference."""
    config = context.options

    def measure(source: ModelSource, reference: ModelSource | None) -> tuple[PolicyEvaluation, RolloutScorer]:
        policy, other = (
            None
            if one is None
            else FrozenModel(load_policy(one, tokenizer), config.runtime, distributed.device)
            for one in (source, reference)
        )
        assert policy is not None
        scorer = _load_scorer(context, tokenizer, distributed)
        batch = with_micro_batch_tokens(config.batch, [policy.model], distributed.device.type)
        evaluation, _ = evaluate_policy(
            policy,
            other,
            prompts,
            scorer,
            _request(config, 1, f"{config.runtime.seed}/evaluation"),
            max_micro_batch_tokens=batch.micro_batch_tokens,
            layout="padded",
            distributed=distributed,
            before_pass=context.require_current,
        )
        return evaluation, scorer

    return measure


if __name__ == "__main__":
    run_recipe(main, BestOfNConfig)
