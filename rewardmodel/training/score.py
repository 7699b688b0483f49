"""The reward of every response in a file.

    python -m rewardmodel.training.score RUN_DIR

Reads inputs/responses.parquet, writes scores.parquet in the same order and result.json. Responses to the
same prompt are scored together, behind one copy of the prompt.
"""

import statistics
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.messages import messages_key, stored_answer
from learning.interface.options import UserError
from learning.interface.record_files import write_records
from learning.interface.record_rows import ScoreRow
from learning.interface.record_schemas import RESPONSES, SCORES
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.files import model_sha256s
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from rewardmodel.training.config import ScoreConfig
from rewardmodel.training.scoring import RewardScorer

RESPONSES_PER_CHUNK = 2048  # scored between two checks of the fence
MAX_RESPONSES_PER_ROW = (
    16  # behind one prompt: a shared-prompt row's attention grows with the square of its length
)


def main(context: RunContext[ScoreConfig]) -> dict[str, Any]:
    options = context.options
    context.set_status(stage="reading")
    rows = context.read_input("responses", RESPONSES, extra_columns="ignore")
    if not rows:
        raise UserError("inputs/responses.parquet has no rows; there is nothing to score.")
    for number, row in enumerate(rows, start=1):
        if not row["prompt"]:
            raise UserError(f"inputs/responses.parquet, row {number}: the prompt has no messages.")

    distributed = DistributedContext.start(options.runtime)
    scorer = RewardScorer.load(
        options.model_path, batch=options.batch, dtype=options.runtime.dtype, distributed=distributed
    )

    scorer.batch = resolve_micro_batch_tokens(context, distributed, options.batch, scorer.model)
    scorer.before_pass = context.stop_if_requested
    # Rows of one prompt become one group, whatever their order in the file.
    open_group: dict[str, list[int]] = {}
    groups: list[list[int]] = []
    for index, row in enumerate(rows):
        key = messages_key(row["prompt"])
        group = open_group.get(key)
        if group is None or len(group) == MAX_RESPONSES_PER_ROW:
            group = open_group[key] = []
            groups.append(group)
        group.append(index)

    rewards: list[float] = [0.0] * len(rows)
    done = 0
    chunk: list[list[int]] = []
    for number, group in enumerate(groups, start=1):
        chunk.append(group)
        if sum(map(len, chunk)) < RESPONSES_PER_CHUNK and number < len(groups):
            continue
        scores = scorer.score(
            [rows[group[0]]["prompt"] for group in chunk],
            [
                [stored_answer(rows[index]["text"], rows[index]["turns"]) for index in group]
                for group in chunk
            ],
            ended=[[rows[index]["ended"] for index in group] for group in chunk],
        )
        for scored_group, values in zip(chunk, scores, strict=True):
            for index, value in zip(scored_group, values, strict=True):
                rewards[index] = value
        done += sum(map(len, chunk))
        chunk = []
        context.set_status(
            stage="scoring", step=done, steps_total=len(rows), notes=[scorer.cuts.note(options.batch)]
        )

    context.require_current()
    if context.is_main:
        write_records(
            context.path / "scores.parquet",
            (
                ScoreRow(response_id=row["response_id"], prompt_id=row["prompt_id"], reward=reward)
                for row, reward in zip(rows, rewards, strict=True)
            ),
            SCORES,
        )
    return {
        "n": len(rows),
        "mean": statistics.fmean(rewards),
        "sd": statistics.stdev(rewards) if len(rewards) > 1 else None,
        "min": min(rewards),
        "max": max(rewards),
        "scores": "scores.parquet",
        **scorer.cuts.as_result(),
        "layout": scorer.layout,
        "layout_reason": scorer.layout_reason,
        "model_sha256s": model_sha256s(options.model_path),
    }


if __name__ == "__main__":
    run_recipe(main, ScoreConfig)
