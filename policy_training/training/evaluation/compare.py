"""A policy beside others on the same prompts: who wins on each by reward models' scores and by a judge.

    python -m policy_training.training.evaluation.compare RUN_DIR

Reads inputs `prompts` and, of others whose answers are there already, `answers`. Each policy draws one answer a prompt
with the same noise, once, whatever the number of reward models. Scores are of the texts, so that policies of different
tokenizers and people are scored alike.
What a policy has answered is kept (answers/N.parquet, -1 is the policy itself), and so is each verdict of the judge: a
run started again goes on with the others.

Writes answers/, of a judge judged.json (of each other {prompt id: 1 the policy wins, -1 it loses, 0 a tie, null it is
unclear}) and result.json. Wins there are the policy's; the differences of score are its minus the other's. `further`
has what each of `further_reward_models` says, in their order.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.atomic_files import write_json_atomically
from learning.interface.messages import stored_answer
from learning.interface.options import UserError
from learning.interface.record_files import read_records, write_records
from learning.interface.record_schemas import GIVEN_ANSWERS, PROMPTS, SAMPLED_RESPONSES
from learning.interface.run_directory import JUDGE_FILE
from learning.interface.training_options import ModelSource
from learning.micro_batch_size import with_micro_batch_tokens
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from policy_training.training.evaluation.figures import mean_figure
from policy_training.training.evaluation.kept_verdicts import VerdictFile, judge_all
from policy_training.training.evaluation.pair_verdicts import judged_report, pair_outcomes
from policy_training.training.evaluation.verdicts import verdicts
from policy_training.training.judge_config import TEMPLATE_VERSION
from policy_training.training.rewards.judging import Comparison, Judge, Judged
from policy_training.training.rollouts.guidance import critic_report, load_guidance
from policy_training.training.rollouts.model_sources import same_tokenization
from policy_training.training.rollouts.policy_evaluation import evaluate_policy
from policy_training.training.rollouts.response_rows import response_row
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    RolloutScorer,
    tokenize_prompts,
)
from policy_training.training.rollouts.sampler import SamplingRequest
from policy_training.training.weights.checkpoint_policy import load_checkpoint_policy

BASELINE = -1


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Of one policy: prompt id -> text and score, and means over them. `further`: scores by each further model."""

    texts: Mapping[str, str]
    scores: Mapping[str, float]
    further: Sequence[Mapping[str, float]]
    figures: Mapping[str, Any]


class TextScorer(RolloutScorer):
    """Scores the texts of a policy's answers, whatever its tokenizer."""

    def __init__(self, scorer: RolloutScorer, tokenizer: Any) -> None:
        self.reward_model, self.sha256s = scorer.reward_model, scorer.sha256s
        self.policy_tokenizer, self.same_tokenizer = tokenizer, False


def main(context: RunContext[ComparePoliciesConfig]) -> dict[str, Any]:
    config, started = context.options, time.perf_counter()
    distributed = DistributedContext.start(config.runtime)
    if distributed.world_size > 1:
        raise UserError(
            "a comparison takes one process: the policies answer one after another, few prompts each, and what one "
            "process has answered and judged is kept for a new start; start it with one"
        )
    rows = context.read_input("prompts", PROMPTS)
    if not rows:
        raise UserError("inputs/prompts: has no prompts; add at least one")
    context.set_status(stage="loading")
    tokenizer = load_tokenizer(config.policy)
    scorers = [
        RolloutScorer(
            path,
            tokenizer,
            policy_batch=config.batch,
            batch=config.reward_model_batch or config.batch,
            runtime=config.runtime,
            distributed=distributed,
        )
        for path in (config.reward_model_path, *(model.path for model in config.further_reward_models))
    ]
    for scorer in scorers:
        scorer.reward_model.before_pass = context.stop_if_requested
    given = given_answers(context, rows, len(config.others))
    total = 1 + len(config.others)
    context.set_status(stage="answering", step=0, steps_total=total)
    own = policy_answers(
        context, scorers, rows, BASELINE, Contestant(name="", source=config.policy), distributed
    )
    others: list[Answers] = []
    for number, other in enumerate(config.others):
        context.set_status(stage="answering", step=number + 1, steps_total=total)
        context.stop_if_requested()
        if other.source is None and not other.checkpoint_path:
            others.append(scored_answers(scorers, rows, given.get(number, {}), other))
        else:
            others.append(policy_answers(context, scorers, rows, number, other, distributed))
    judged = judge_against(context, rows, own, others)
    if judged is not None:
        write_json_atomically(context.path / "judged.json", judged.outcomes)
    for row in rows[: config.logged_samples]:
        prompt_id = row["prompt_id"]
        context.log_sample(
            0,
            prompt=row["messages"][-1]["content"],
            response=own.texts[prompt_id],
            # Under a key of their own: another may be called “prompt”.
            others={
                other.name: found.texts[prompt_id]
                for other, found in zip(config.others, others, strict=True)
                if prompt_id in found.texts
            },
        )
    tags = {row["prompt_id"]: row["tags"] for row in rows}
    return {
        "policy": {**own.figures, "further": [{"score": mean_of(scores)} for scores in own.further]},
        "others": [
            {
                "name": other.name,
                "step": other.step,
                **found.figures,
                "prompts": len(found.texts),
                **by_reward(own.scores, found.scores, tags),
                "further": [
                    {"score": mean_of(theirs), **by_reward(ours, theirs, tags)}
                    for ours, theirs in zip(own.further, found.further, strict=True)
                ],
                "by_judge": by_judge(judged.outcomes[number], tags) if judged else None,
            }
            for number, (other, found) in enumerate(zip(config.others, others, strict=True))
        ],
        "judge": judge_report(context, judged) if judged else None,
        "reward_model_sha256s": scorers[0].sha256s,
        "further_reward_models": [
            {"name": model.name, "sha256s": scorer.sha256s}
            for model, scorer in zip(config.further_reward_models, scorers[1:], strict=True)
        ],
        **critic_report(config.guidance),
        "seconds": time.perf_counter() - started,
    }


def mean_of(scores: Mapping[str, float]) -> float:
    return math.fsum(scores.values()) / len(scores)


def by_reward(
    ours: Mapping[str, float], theirs: Mapping[str, float], tags: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """What one reward model says on the prompts that the other has answered."""
    return {
        "difference": mean_figure([ours[key] - score for key, score in theirs.items()]),
        "by_reward": verdicts(
            {key: [ours[key]] for key in theirs}, {key: [score] for key, score in theirs.items()}, tags
        ),
    }


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
    found = []
    for scorer in scorers:
        groups = scorer.reward_model.score(
            [row["messages"] for row in asked],
            [[stored_answer(answer["text"], answer["turns"])] for answer in answers],
            ended=[[answer["ended"]] for answer in answers],
        )
        found.append({row["prompt_id"]: group[0] for row, group in zip(asked, groups, strict=True)})
    scores, *further = found
    texts = {answer["prompt_id"]: answer["text"] for answer in answers}
    return Answers(texts=texts, scores=scores, further=further, figures={"score": mean_of(scores)})


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
    folder = context.path / "answers"
    folder.mkdir(exist_ok=True)
    answers_file, figures_file = folder / f"{number}.parquet", folder / f"{number}.json"
    if not figures_file.exists():  # written last
        source = asked.source or config.policy
        tokenizer = load_tokenizer(source)
        if asked.checkpoint_path:
            model, _, _ = load_checkpoint_policy(Path(asked.checkpoint_path), source, tokenizer)
        else:
            model = load_policy(source, tokenizer)
        longest = config.batch.max_prompt_tokens + config.batch.max_response_tokens
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
        evaluation, rollouts = evaluate_policy(
            policy,
            baseline,
            tokenize_prompts(rows, tokenizer, config.batch.max_prompt_tokens),
            TextScorer(scorers[0], tokenizer),
            SamplingRequest(
                n_samples=1,
                max_response_tokens=config.batch.max_response_tokens,
                options=config.sampling,
                seed=f"{config.runtime.seed}/comparison",  # the same noise for all: who wins is not chance alone
            ),
            max_micro_batch_tokens=batch.micro_batch_tokens,
            layout="padded",
            distributed=distributed,
            before_pass=context.stop_if_requested,
            guidance=guidance,
        )
        ids = [rollout.prompt.prompt_id for rollout in rollouts]
        further = [
            TextScorer(scorer, tokenizer).score(
                [rollout.prompt for rollout in rollouts], [[rollout.response] for rollout in rollouts]
            )
            for scorer in scorers[1:]
        ]
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
        context.require_current()
        write_records(answers_file, sampled, SAMPLED_RESPONSES)
        figures = {name: getattr(evaluation, name) for name in ("score", "kl", "eos_rate", "tokens")}
        write_json_atomically(
            figures_file,
            {
                "figures": figures,
                "scores": dict(zip(ids, (rollout.score for rollout in rollouts), strict=True)),
                "further": [dict(zip(ids, scores, strict=True)) for scores in further],
            },
        )
    kept = json.loads(figures_file.read_bytes())
    texts = {row["prompt_id"]: row["text"] for row in read_records(answers_file, SAMPLED_RESPONSES)}
    further_scores = kept.get("further", [])  # an older version, which has begun the run, kept none
    return Answers(texts=texts, scores=kept["scores"], further=further_scores, figures=kept["figures"])


def frozen(
    source: ModelSource, config: ComparePoliciesConfig, distributed: DistributedContext
) -> FrozenModel:
    return FrozenModel(load_policy(source, load_tokenizer(source)), config.runtime, distributed.device)


@dataclass(frozen=True, kw_only=True)
class JudgedOthers:
    """Of each other {prompt id: 1 the policy wins, -1 it loses, 0 a tie, None unclear}, and what the judge said."""

    outcomes: list[dict[str, int | None]]
    judged: Mapping[Comparison, Judged]
    pairs: int


def judge_against(
    context: RunContext[ComparePoliciesConfig],
    rows: Sequence[Mapping[str, Any]],
    own: Answers,
    others: Sequence[Answers],
) -> JudgedOthers | None:
    """None without a judge. Answers of the same text are a tie that nobody is asked about."""
    config = context.options
    if not config.judge.server.name:
        return None
    pairs = [
        (number, row)
        for number, other in enumerate(others)
        for row in rows
        if row["prompt_id"] in other.texts and other.texts[row["prompt_id"]] != own.texts[row["prompt_id"]]
    ]
    outcomes: list[dict[str, int | None]] = [dict.fromkeys(other.texts, 0) for other in others]
    judge = Judge(config.judge, report_to=context.path / JUDGE_FILE)

    def tell(done: int, total: int) -> None:
        context.set_status(stage="judging", step=done, steps_total=total)

    try:
        judged = judge_all(
            judge,
            VerdictFile(context.path / "verdicts.jsonl"),
            [f"{number} {row['prompt_id']}" for number, row in pairs],
            [row["messages"] for _, row in pairs],
            [[own.texts[row["prompt_id"]], others[number].texts[row["prompt_id"]]] for number, row in pairs],
            on_progress=tell,
            check=context.stop_if_requested,
        )
    finally:
        judge.close()
    for (place, _, _), outcome in pair_outcomes(judged).items():
        number, row = pairs[place]
        outcomes[number][row["prompt_id"]] = outcome
    return JudgedOthers(outcomes=outcomes, judged=judged, pairs=len(pairs))


def by_judge(outcomes: Mapping[str, int | None], tags: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    known = {key: [float(value)] for key, value in outcomes.items() if value is not None}
    return verdicts(known, dict.fromkeys(known, [0.0]), tags) | {"unclear": len(outcomes) - len(known)}


def judge_report(context: RunContext[ComparePoliciesConfig], found: JudgedOthers) -> dict[str, Any]:
    options = context.options.judge
    report = judged_report(found.judged, [2] * found.pairs)
    cost = report["prompt_tokens"] * options.price_prompt + report["reply_tokens"] * options.price_reply
    return {
        "server": options.server.name,
        "model": options.server.model,
        "question": options.criterion,
        "template_version": TEMPLATE_VERSION,
        **report,
        "cost": cost / 1e6,
    }


if __name__ == "__main__":
    run_recipe(main, ComparePoliciesConfig)
