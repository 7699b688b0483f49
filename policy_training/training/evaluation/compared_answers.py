"""Who answers in a comparison, and how: policies, itself or by a server, outside models, and answers that are there.

What somebody has answered is kept (answers/N.parquet with N.json, -1 is the policy that is compared), and what servers
have said as it comes (answers/served-N.jsonl): a run started again goes on with the others.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.atomic_files import write_json_atomically
from learning.interface.messages import Answer, stored_answer
from learning.interface.options import UserError
from learning.interface.record_files import read_records, write_records
from learning.interface.record_rows import SampledResponseRow
from learning.interface.record_schemas import GIVEN_ANSWERS, SAMPLED_RESPONSES
from learning.interface.training_options import ModelSource
from learning.micro_batch_size import with_micro_batch_tokens
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response
from learning.models.tokenizers import load_tokenizer
from learning.run_context import RunContext
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from policy_training.training.evaluation.server_notes import other_model_notes
from policy_training.training.rollouts.guidance import load_guidance
from policy_training.training.rollouts.model_sources import same_tokenization
from policy_training.training.rollouts.policy_evaluation import evaluate_policy
from policy_training.training.rollouts.response_rows import response_row
from policy_training.training.rollouts.rollouts import FrozenModel, RolloutScorer, tokenize_prompts
from policy_training.training.rollouts.sampler import SamplingRequest
from policy_training.training.server_config import ServerOptions
from policy_training.training.servers.answers import AnswerServer, server_report
from policy_training.training.weights.checkpoint_policy import load_checkpoint_policy

BASELINE = -1


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Of whoever answers: prompt id -> text and score, and means over them. `further`: scores by each further model."""

    texts: Mapping[str, str]
    scores: Mapping[str, float]
    further: Sequence[Mapping[str, float]]
    figures: Mapping[str, Any]


class TextScorer(RolloutScorer):
    """Scores the texts of a policy's answers, whatever its tokenizer."""

    def __init__(self, scorer: RolloutScorer, tokenizer: Any) -> None:
        self.reward_model, self.sha256s = scorer.reward_model, scorer.sha256s
        self.policy_tokenizer, self.same_tokenizer = tokenizer, False


def given_answers(
    context: RunContext[ComparePoliciesConfig], rows: Sequence[Mapping[str, Any]], others: int
) -> dict[int, dict[str, dict[str, Any]]]:
    """{place among the others: {prompt id: row of GIVEN_ANSWERS}}. Raises UserError."""
    known = {row["prompt_id"] for row in rows}
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for row in context.read_input("answers", GIVEN_ANSWERS) if context.has_input("answers") else ():
        if row["contestant"] not in range(others) or row["prompt_id"] not in known:
            raise UserError(
                f"inputs/answers: an answer to {row['prompt_id']!r} of {row['contestant']}, who or which is not asked"
            )
        found.setdefault(row["contestant"], {}).setdefault(row["prompt_id"], row)
    return found


def scored_answers(
    scorers: Sequence[RolloutScorer],
    rows: Sequence[Mapping[str, Any]],
    given: Mapping[str, Mapping[str, Any]],
    other: Contestant,
) -> Answers:
    """Reward models read them as they read those of judgments: turns as turns, and no end where there was none."""
    asked = [row for row in rows if row["prompt_id"] in given]
    if not asked:
        raise UserError(f"{other.name}: has no answer to any of the prompts; leave it out")
    answers = [given[row["prompt_id"]] for row in asked]
    scores, *further = scores_of_texts(
        scorers,
        asked,
        [(stored_answer(answer["text"], answer["turns"]), answer["ended"]) for answer in answers],
    )
    texts = {answer["prompt_id"]: answer["text"] for answer in answers}
    return Answers(texts=texts, scores=scores, further=further, figures={"score": mean_of(scores)})


def scores_of_texts(
    scorers: Sequence[RolloutScorer],
    rows: Sequence[Mapping[str, Any]],
    answers: Sequence[tuple[Answer, bool | None]],
) -> list[dict[str, float]]:
    """{prompt id: score} by each reward model. `answers`: one to each row, and whether it ended by itself."""
    found = []
    for scorer in scorers:
        groups = scorer.reward_model.score(
            [row["messages"] for row in rows],
            [[answer] for answer, _ in answers],
            ended=[[ended] for _, ended in answers],
        )
        found.append({row["prompt_id"]: score for row, [score] in zip(rows, groups, strict=True)})
    return found


def mean_of(scores: Mapping[str, float]) -> float:
    return math.fsum(scores.values()) / len(scores)


def policy_answers(
    context: RunContext[ComparePoliciesConfig],
    scorers: Sequence[RolloutScorer],
    rows: list[dict[str, Any]],
    number: int,
    asked: Contestant,
    distributed: DistributedContext,
) -> Answers:
    """One answer to each prompt, and how far the policy is from the one that all are compared with; of that one how far
    a critic leads it from itself.
    """
    config = context.options
    if not is_answered(context, number):
        source = asked.source or config.policy
        tokenizer = load_tokenizer(source)
        if asked.checkpoint_path:
            model, _, _ = load_checkpoint_policy(Path(asked.checkpoint_path), source, tokenizer)
        else:
            model = load_policy(source, tokenizer)
        longest = config.batch.max_sequence_tokens
        require_max_positions(model, longest)
        batch = with_micro_batch_tokens(config.batch, [model], distributed.device.type)
        policy = FrozenModel(model, config.runtime, distributed.device)
        baseline, guidance = None, None
        if number == BASELINE:
            guidance = load_guidance(
                config.guidance,
                tokenizer,
                where="config.guidance",
                max_tokens=longest,
                device=distributed.device,
            )
            baseline = policy if guidance is not None else None  # how far it is led from itself
        elif same_tokenization(load_tokenizer(config.policy), tokenizer):
            baseline = frozen(config.policy, config, distributed)
        request = SamplingRequest(
            n_samples=1,
            max_response_tokens=config.batch.max_response_tokens,
            options=config.sampling,
            seed=f"{config.runtime.seed}/comparison",  # the same noise for all: who wins is not chance alone
        )
        server = None
        if config.sampling.server.name:
            model_name = config.sampling.server.model_called(asked.name, source)
            server = answer_server(context, config.sampling.server, model_name, number, tokenizer)
        evaluation, rollouts = evaluate_policy(
            policy,
            baseline,
            tokenize_prompts(rows, tokenizer, config.batch.max_prompt_tokens),
            TextScorer(scorers[0], tokenizer),
            request,
            max_micro_batch_tokens=batch.micro_batch_tokens,
            layout="padded",
            distributed=distributed,
            before_pass=context.stop_if_requested,
            sample=None if server is None else partial(server.sample, request=request),
            guidance=guidance,
        )
        if server is not None:
            server.close()
        asked_prompts = [rollout.prompt for rollout in rollouts]
        by_model = [{rollout.prompt.prompt_id: rollout.score for rollout in rollouts}]
        for scorer in scorers[1:]:
            scores = TextScorer(scorer, tokenizer).score(asked_prompts, [[one.response] for one in rollouts])
            by_model.append(
                {prompt.prompt_id: score for prompt, score in zip(asked_prompts, scores, strict=True)}
            )
        sampled = [
            response_row(
                rollout.prompt,
                rollout.response,
                decode_response(tokenizer, rollout.response.token_ids),
                response_id=f"{number}-{rollout.prompt.prompt_id}",
                policy_name="",
                options=config.sampling,
                max_tokens=config.batch.max_response_tokens,
                seed=config.runtime.seed,
                guidance=config.guidance if guidance is not None else None,
            )
            for rollout in rollouts
        ]
        figures = {name: getattr(evaluation, name) for name in ("score", "kl", "eos_rate", "tokens")}
        if evaluation.sampler:
            figures["sampler"] = evaluation.sampler
        keep_answers(context, number, sampled, figures, by_model)
    return kept_answers(context, number)


def outside_answers(
    context: RunContext[ComparePoliciesConfig],
    scorers: Sequence[RolloutScorer],
    rows: list[dict[str, Any]],
    number: int,
    asked: Contestant,
) -> Answers:
    """One answer of an outside model to each prompt, scored as those are that files have brought."""
    config = context.options
    if not is_answered(context, number):
        tokenizer = scorers[0].policy_tokenizer  # nobody reads its tokens here; the file of answers has some
        prompts = tokenize_prompts(rows, tokenizer, config.batch.max_prompt_tokens)
        request = SamplingRequest(
            n_samples=1,
            max_response_tokens=config.batch.max_response_tokens,
            options=config.sampling,
            seed=f"{config.runtime.seed}/comparison",
        )
        server = answer_server(context, config.outside, asked.outside_model, number, tokenizer)
        try:
            found = server.answers(prompts, request)
        finally:
            server.close()
        by_model = scores_of_texts(
            scorers, rows, [(stored_answer(answer.text, None), answer.has_eos) for answer in found]
        )
        sampled = [
            response_row(
                prompt,
                answer.response,
                answer.text,
                response_id=f"{number}-{prompt.prompt_id}",
                policy_name=asked.outside_model,
                options=config.sampling,
                max_tokens=config.batch.max_response_tokens,
                seed=config.runtime.seed,
            )
            for prompt, answer in zip(prompts, found, strict=True)
        ]
        figures = {
            "score": mean_of(by_model[0]),
            "eos_rate": sum(answer.has_eos for answer in found) / len(found),
        }
        keep_answers(context, number, sampled, figures, by_model)
    return kept_answers(context, number)


def answer_server(
    context: RunContext[ComparePoliciesConfig],
    options: ServerOptions,
    model: str,
    number: int,
    tokenizer: Any,
) -> AnswerServer:
    """Raises UserError for an unknown server."""
    return AnswerServer(
        options,
        model=model,
        tokenizer=tokenizer,
        answers_file=context.path / "answers" / f"served-{number}.jsonl",
        check=context.stop_if_requested,
    )


def server_notes(config: ComparePoliciesConfig, answers: Sequence[Answers]) -> list[str]:
    """Of the policy and the others, where their server seems to have another model."""
    names = [config.policy_name or "the policy", *(other.name for other in config.others)]
    return [
        note
        for name, own in zip(names, answers, strict=True)
        for note in other_model_notes(config.sampling.server.name, name, own.figures.get("sampler", {}))
    ]


def servers_report(context: RunContext[ComparePoliciesConfig]) -> dict[str, Any]:
    """For result.json: the servers of the policies and of the outside models; nothing where none answered."""
    config, folder = context.options, context.path / "answers"
    policies = [(BASELINE, config.policy_name or config.policy.short_name)] + [
        (number, other.name) for number, other in enumerate(config.others) if other.source is not None
    ]
    outside = [(number, other.name) for number, other in enumerate(config.others) if other.outside_model]
    return {
        name: server_report(
            options,
            [model for _, model in asked],
            [folder / f"served-{number}.jsonl" for number, _ in asked],
        )
        for name, options, asked in (
            ("server", config.sampling.server, policies),
            ("outside_server", config.outside, outside),
        )
        if options.name
    }


def is_answered(context: RunContext[ComparePoliciesConfig], number: int) -> bool:
    return (context.path / "answers" / f"{number}.json").exists()


def keep_answers(
    context: RunContext[ComparePoliciesConfig],
    number: int,
    sampled: Sequence[SampledResponseRow],
    figures: Mapping[str, Any],
    by_model: Sequence[Mapping[str, float]],
) -> None:
    """`by_model`: {prompt id: score} by each reward model."""
    folder = context.path / "answers"
    folder.mkdir(exist_ok=True)
    context.require_current()
    write_records(folder / f"{number}.parquet", sampled, SAMPLED_RESPONSES)
    scores, *further = by_model
    # Last: with it the answers are there.
    write_json_atomically(
        folder / f"{number}.json", {"figures": dict(figures), "scores": scores, "further": further}
    )


def kept_answers(context: RunContext[ComparePoliciesConfig], number: int) -> Answers:
    folder = context.path / "answers"
    kept = json.loads((folder / f"{number}.json").read_bytes())
    rows = read_records(folder / f"{number}.parquet", SAMPLED_RESPONSES)
    texts = {row["prompt_id"]: row["text"] for row in rows}
    further = kept.get("further", [])  # an older version, which has begun the run, kept none
    return Answers(texts=texts, scores=kept["scores"], further=further, figures=kept["figures"])


def frozen(
    source: ModelSource, config: ComparePoliciesConfig, distributed: DistributedContext
) -> FrozenModel:
    return FrozenModel(load_policy(source, load_tokenizer(source)), config.runtime, distributed.device)
