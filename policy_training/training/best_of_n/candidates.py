"""The candidates of best-of-n: answers that its policies sample, itself or by a server, those of an outside model, and
answers that are there already, scored alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.options import UserError
from learning.interface.record_files import read_records, write_records
from learning.interface.record_rows import ScoreRow
from learning.interface.record_schemas import SAMPLED_RESPONSES, SCORES, STORED_CANDIDATES
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response, encode_answer_or_cut, encode_response
from learning.models.tokenizers import load_tokenizer
from learning.run_context import RunContext, StopRequested
from policy_training.training.best_of_n.best_answers import Candidate, Origin
from policy_training.training.best_of_n.candidate_files import (
    shard_files,
    stored_scores_file,
)
from policy_training.training.best_of_n.config import OUTSIDE, BestOfNConfig, FreshSource
from policy_training.training.best_of_n.served_candidates import answering_server
from policy_training.training.judge_config import JudgeOptions
from policy_training.training.rewards.sources import load_scorer
from policy_training.training.rollouts.model_sources import same_tokenization
from policy_training.training.rollouts.response_rows import response_row
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    Prompt,
    RolloutScorer,
    generate_rollouts,
    tokenize_prompts,
)
from policy_training.training.rollouts.sampler import SampledResponse, SamplingRequest

STORED = -1  # the sampler of answers that are there already


@dataclass(frozen=True, kw_only=True)
class Answer(Candidate):
    response_id: str
    sampler: int  # place of its policy in the config, OUTSIDE or STORED
    token_ids: list[int]  # of the tokenizer of the policy that is fine-tuned


Answers = dict[str, list[Answer]]  # by prompt


def all_answers(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
) -> Answers:
    """Every candidate of each of the prompts `rows`: those that are there already, in their order, then the samples of
    each policy at each temperature. A prompt may have none. `tokenizer`: of the policy that is fine-tuned.
    """
    answers: Answers = {row["prompt_id"]: [] for row in rows}
    if context.options.stored.use:
        for prompt_id, own in stored_answers(context, distributed, tokenizer, rows).items():
            answers[prompt_id] += own
    for number in range(len(context.options.fresh_sources)):
        for prompt_id, own in sample_answers(context, distributed, number, tokenizer, rows).items():
            answers[prompt_id] += own
    return answers


def stored_answers(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
) -> Answers:
    """The answers of input `candidates` to the prompts `rows`, with the rewards they came with and, where those are
    missing or stored.score_again says so, scored here; those to other prompts are left out. What is longer than the
    limit counts as cut off: it would be learned without its end. Raises UserError for an id that is there twice.
    """
    config = context.options
    prompts = {
        prompt.prompt_id: prompt
        for prompt in tokenize_prompts(rows, tokenizer, config.batch.max_prompt_tokens)
    }
    found = [
        row for row in context.read_input("candidates", STORED_CANDIDATES) if row["prompt_id"] in prompts
    ]
    responses: dict[str, SampledResponse] = {}
    for row in found:
        if row["response_id"] in responses:
            raise UserError(
                f"inputs/candidates: the response_id {row['response_id']!r} is duplicated; ids must differ"
            )
        ended = row["ended"] is not False  # null: nobody knows, which counts as ended
        token_ids, is_cut = encode_answer_or_cut(
            tokenizer,
            prompts[row["prompt_id"]].messages,
            row["text"],
            config.batch.max_response_tokens,
            ended=ended,
        )
        responses[row["response_id"]] = SampledResponse(
            prompt_id=row["prompt_id"],
            sample_index=0,
            token_ids=token_ids,
            logprobs=[],  # nobody asks for them
            has_eos=ended and not is_cut,
        )
    rewards = {row["response_id"]: row["reward"] for row in found if row["reward"] is not None}
    if config.stored.score_again:
        rewards = {}
    rewards |= score_stored(
        context,
        distributed,
        tokenizer,
        prompts,
        [
            (response_id, response)
            for response_id, response in responses.items()
            if response_id not in rewards
        ],
    )
    answers: Answers = {}
    for row in found:
        response = responses[row["response_id"]]
        answers.setdefault(row["prompt_id"], []).append(
            Answer(
                response_id=row["response_id"],
                text=row["text"],
                score=rewards[row["response_id"]],
                ended=response.has_eos,
                origin=Origin(
                    is_stored=True,
                    source=row["source"],
                    policy=row["policy"],
                    round=row["round"],
                    temperature=row["temperature"],
                ),
                sampler=STORED,
                token_ids=response.token_ids,
            )
        )
    return answers


def score_stored(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    tokenizer: Any,
    prompts: Mapping[str, Prompt],
    responses: Sequence[tuple[str, SampledResponse]],
) -> dict[str, float]:
    """Rewards by response id, of the shards that are there and of those that are missing."""
    size = max(1, 4 * context.options.sampling.batch_size)
    shards = [responses[begin : begin + size] for begin in range(0, len(responses), size)]
    files = [stored_scores_file(context.path / "candidates", shard) for shard in range(len(shards))]
    missing = [shard for shard, file in enumerate(files) if not file.exists()]
    distributed.barrier()  # all have looked before one writes
    if missing:
        scorer = load_run_scorer(context, tokenizer, distributed)
    for shard in missing:
        context.require_current()
        if distributed.any(context.stop_requested):
            raise StopRequested(
                f"stopped after {shard} of {len(shards)} shards of answers that are there already; start the run again "
                "to go on"
            )
        context.set_status(
            stage="scoring answers that are there already", step=shard, steps_total=len(shards)
        )
        groups: dict[str, list[tuple[str, SampledResponse]]] = {}
        for response_id, response in shards[shard]:
            groups.setdefault(response.prompt_id, []).append((response_id, response))
        scores = scorer.score(
            [prompts[prompt_id] for prompt_id in groups],
            [[response for _, response in group] for group in groups.values()],
        )
        ids = [(response_id, one.prompt_id) for group in groups.values() for response_id, one in group]
        if distributed.is_main:
            scored: list[ScoreRow] = [
                {"response_id": response_id, "prompt_id": prompt_id, "reward": score}
                for (response_id, prompt_id), score in zip(ids, scores, strict=True)
            ]
            write_records(files[shard], scored, SCORES)
        distributed.barrier()
    return {row["response_id"]: row["reward"] for file in files for row in read_records(file, SCORES)}


def sample_answers(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    number: int,
    learned_by: Any,
    rows: Sequence[dict[str, Any]],
) -> Answers:
    """The answers of one of the policies at one temperature (`number`: its place in fresh_sources), of the shards that
    are there and of those that are missing. `learned_by`: the tokenizer of the policy that is fine-tuned.
    """
    config, fresh = context.options, context.options.fresh_sources[number]
    # An outside model's answers are read by the tokenizer of the policy that learns from them.
    source = config.model.source if fresh.sampler == OUTSIDE else config.answering[fresh.sampler]
    options = replace(config.sampling, temperature=fresh.temperature)
    n_samples = config.candidates.samples_per_prompt
    # A number of responses and not of prompts, so that a shard takes about as long whatever is asked.
    size = max(1, 4 * config.sampling.batch_size // n_samples)
    shards = [rows[begin : begin + size] for begin in range(0, len(rows), size)]
    files = [shard_files(context.path / "candidates", number, shard) for shard in range(len(shards))]
    missing = [shard for shard, (_, scores) in enumerate(files) if not scores.exists()]
    distributed.barrier()  # all have looked before one writes
    tokenizer = load_tokenizer(source)
    same = same_tokenization(tokenizer, learned_by)
    policy, server = None, None
    if missing:
        server = answering_server(context, distributed, number, source, tokenizer)
        if server is None:
            policy = FrozenModel(load_policy(source, tokenizer), config.runtime, distributed.device)
            require_max_positions(policy.model, config.batch.max_sequence_tokens)
        scorer = load_run_scorer(context, tokenizer, distributed)
    for shard in missing:
        context.require_current()
        if distributed.any(context.stop_requested):
            raise StopRequested(
                f"stopped after {shard} of {len(shards)} shards of answers; start the run again to go on"
            )
        context.set_status(
            stage=f"sampling, {'model' if server else 'policy'} {number + 1} of {len(config.fresh_sources)}",
            step=shard,
            steps_total=len(shards),
        )
        prompts = tokenize_prompts(shards[shard], tokenizer, config.batch.max_prompt_tokens)
        request = replace(
            sampling_request(config, n_samples, f"{config.runtime.seed}/candidates/{number}"),
            options=options,
        )
        rollouts = generate_rollouts(
            policy,
            prompts,
            scorer,
            request,
            distributed=distributed,
            sample=None if server is None else partial(server.sample, request=request),
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
                    options=options,
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
    if server is not None:
        server.close()
    answers: Answers = {}
    for responses_file, scores_file in files:
        scores_of = {row["response_id"]: row["reward"] for row in read_records(scores_file, SCORES)}
        for row in read_records(responses_file, SAMPLED_RESPONSES):
            answers.setdefault(row["prompt_id"], []).append(
                Answer(
                    response_id=row["response_id"],
                    text=row["text"],
                    score=scores_of[row["response_id"]],
                    ended=row["ended"],
                    origin=origin_of(fresh),
                    sampler=fresh.sampler,
                    # As they were sampled; of another tokenizer's policy, its text anew.
                    token_ids=list(row["token_ids"])
                    if same
                    else encode_response(
                        learned_by, row["text"], config.batch.max_response_tokens, ended=row["ended"]
                    ),
                )
            )
    return answers


def origin_of(fresh: FreshSource) -> Origin:
    return Origin(
        is_stored=False,
        source="import" if fresh.sampler == OUTSIDE else "policy",
        policy=fresh.name,
        temperature=fresh.temperature,
    )


def sampling_request(config: BestOfNConfig, n_samples: int, seed: str) -> SamplingRequest:
    return SamplingRequest(
        n_samples=n_samples,
        max_response_tokens=config.batch.max_response_tokens,
        options=config.sampling,
        seed=seed,
    )


def load_run_scorer(
    context: RunContext[BestOfNConfig], tokenizer: Any, distributed: DistributedContext
) -> RolloutScorer:
    """What scores answers one by one: all of the run's rewards but the judge (judged_candidates.py)."""
    rewards = replace(context.options.rewards, judge=JudgeOptions())
    return load_scorer(context, tokenizer, distributed, rewards=rewards)
