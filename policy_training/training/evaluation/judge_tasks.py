"""A language model judges tasks that people are asked: every pair of a task's answers, in both orders, repeated.

    python -m policy_training.training.evaluation.judge_tasks RUN_DIR

Reads inputs `tasks`. Each verdict is on the disk when it has come (verdicts.jsonl): a run started again asks for the
others alone. Orders that disagree make a tie. A task with a pair that the judge said nothing clear of has no order.

Writes judged.parquet and result.json.
"""

import time
from typing import Any

from learning.interface.options import UserError
from learning.interface.record_files import write_records
from learning.interface.record_schemas import JUDGE_TASKS, JUDGED_TASKS
from learning.interface.run_directory import JUDGE_FILE
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.evaluation.config import JudgeTasksConfig
from policy_training.training.evaluation.kept_verdicts import VerdictFile, judge_all
from policy_training.training.evaluation.pair_verdicts import judged_report, pair_outcomes, tiers_of
from policy_training.training.judge_config import TEMPLATE_VERSION
from policy_training.training.rewards.judging import Judge


def main(context: RunContext[JudgeTasksConfig]) -> dict[str, Any]:
    options, started = context.options, time.perf_counter()
    rows = context.read_input("tasks", JUDGE_TASKS)
    if not rows:
        raise UserError("inputs/tasks: has no tasks; add at least one")
    judge = Judge(options.judge, report_to=context.path / JUDGE_FILE)
    groups = [row["responses"] for row in rows]

    def tell(done: int, total: int) -> None:
        context.set_status(stage="judging", step=done, steps_total=total)

    try:
        judged = judge_all(
            judge,
            VerdictFile(context.path / "verdicts.jsonl"),
            [str(row["task"]) for row in rows],
            [row["prompt"] for row in rows],
            groups,
            on_progress=tell,
            check=context.stop_if_requested,
        )
    finally:
        judge.close()
    context.require_current()
    context.set_status(stage="saving")
    outcomes = pair_outcomes(judged)
    of_task: list[list[Any]] = [[] for _ in rows]
    for one, found in judged.items():
        of_task[one.prompt].append(found)
    pairs: list[dict[tuple[int, int], int | None]] = [{} for _ in rows]
    for (task, low, high), outcome in outcomes.items():
        pairs[task][low, high] = outcome
    records = []
    for row, own, said in zip(rows, pairs, of_task, strict=True):
        tiers = tiers_of(own, len(row["responses"]))
        records.append(
            {
                "task": row["task"],
                "tiers": [[row["response_keys"][place] for place in tier] for tier in tiers]
                if tiers
                else None,
                "comparisons": len(said),
                "not_understood": sum(found.verdict is None for found in said),
                "prompt_tokens": sum(found.usage.prompt_tokens for found in said),
                "reply_tokens": sum(found.usage.completion_tokens for found in said),
                "seconds": sum(found.seconds for found in said),
            }
        )
    write_records(context.path / "judged.parquet", records, JUDGED_TASKS)
    for one, found in list(judged.items())[: options.logged_samples]:
        context.log_sample(
            0,
            prompt=str(rows[one.prompt]["prompt"][-1]["content"]),
            first=groups[one.prompt][one.first],
            second=groups[one.prompt][one.second],
            verdict=found.verdict or "not understood",
        )
    report = judged_report(judged, [len(group) for group in groups])
    return {
        "server": options.judge.server.name,
        "model": options.judge.server.model,
        "question": options.judge.criterion,
        "repeats": options.judge.repeats,
        "template_version": TEMPLATE_VERSION,
        **report,
        "cost": (
            report["prompt_tokens"] * options.judge.price_prompt
            + report["reply_tokens"] * options.judge.price_reply
        )
        / 1e6,
        "seconds": time.perf_counter() - started,
    }


if __name__ == "__main__":
    run_recipe(main, JudgeTasksConfig)
