"""The files of best-of-n's answers: a pair for each shard, whose second is written last."""

import json
from pathlib import Path
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.atomic_files import write_json_atomically
from learning.interface.options import UserError


def shard_files(folder: Path, sampler: int, shard: int) -> tuple[Path, Path]:
    """(responses, their scores)"""
    stem = f"{sampler}-{shard:06d}"
    return folder / f"{stem}.responses.parquet", folder / f"{stem}.scores.parquet"


SERVED_FILES = "answers-*.jsonl"


def answers_file(folder: Path, sampler: int, rank: int) -> Path:
    """Answers of a server as they come, of one process."""
    return folder / f"answers-{sampler}-{rank}.jsonl"


def stored_scores_file(folder: Path, shard: int) -> Path:
    """Scores of answers that were there already."""
    return folder / f"stored-{shard:06d}.scores.parquet"


def require_same_inputs(folder: Path, inputs: dict[str, Any], distributed: DistributedContext) -> None:
    """UserError when the answers that exist come from other options or weights; the first start records its own."""
    recorded = folder / "sampling_inputs.json"
    if distributed.is_main and not recorded.is_file():
        folder.mkdir(exist_ok=True)
        write_json_atomically(recorded, inputs)
    distributed.barrier()
    if json.loads(recorded.read_bytes()) != json.loads(json.dumps(inputs)):
        raise UserError(
            f"{folder}: some answers were sampled with other options or weights; clone this run to sample all anew"
        )
