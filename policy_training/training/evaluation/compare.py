"""A policy beside others on the same prompts: who wins on each by reward models' scores and by a judge.

    python -m policy_training.training.evaluation.compare RUN_DIR

Reads inputs `prompts` and, of others whose answers are there already, `answers`. Each policy draws one answer a prompt
with the same noise, once, whatever the number of reward models, itself or by a server (sampling.server); outside models
answer by theirs (outside). Scores are of the texts, so that policies of different tokenizers, outside models and people
are scored alike. What somebody has answered is kept (answers/N.parquet, -1 is the policy itself), and so is each
verdict of the judge: a run started again goes on with the others.

Writes answers/, of a judge judged.json (of each other {prompt id: 1 the policy wins, -1 it loses, 0 a tie, null it is
unclear}) and result.json. Wins there are the policy's; the differences of score are its minus the other's. `further`
has what each of `further_reward_models` says, in their order.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.atomic_files import write_json_atomically
from learning.interface.options import UserError
from learning.interface.record_schemas import PROMPTS
from learning.interface.run_directory import JUDGE_FILE
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.evaluation.compared_answers import (
    BASELINE,
    Answers,
    given_answers,
    mean_of,
    outside_answers,
    policy_answers,
    scored_answers,
    server_notes,
    servers_report,
)
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from policy_training.training.evaluation.figures import mean_figure
from policy_training.training.evaluation.kept_verdicts import VerdictFile, judge_all
from policy_training.training.evaluation.pair_verdicts import judged_report, pair_outcomes
from policy_training.training.evaluation.verdicts import verdicts
from policy_training.training.judge_config import TEMPLATE_VERSION
from policy_training.training.rewards.judging import Comparison, Judge, Judged
from policy_training.training.rollouts.guidance import critic_report
from policy_training.training.rollouts.rollouts import RolloutScorer


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
    compared = Contestant(name=config.policy_name, source=config.policy)
    own = policy_answers(context, scorers, rows, BASELINE, compared, distributed)
    others: list[Answers] = []
    for number, other in enumerate(config.others):
        context.set_status(stage="answering", step=number + 1, steps_total=total)
        context.stop_if_requested()
        if other.outside_model:
            others.append(outside_answers(context, scorers, rows, number, other))
        elif other.answers_itself:
            others.append(policy_answers(context, scorers, rows, number, other, distributed))
        else:
            others.append(scored_answers(scorers, rows, given.get(number, {}), other))
    context.set_status(notes=server_notes(config, [own, *others]))
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
        **servers_report(context),
        "reward_model_sha256s": scorers[0].sha256s,
        "further_reward_models": [
            {"name": model.name, "sha256s": scorer.sha256s}
            for model, scorer in zip(config.further_reward_models, scorers[1:], strict=True)
        ],
        **critic_report(config.guidance),
        "seconds": time.perf_counter() - started,
    }


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
