"""The files of best-of-n's answers: a pair for each shard, whose second is written last."""

from pathlib import Path

SERVED_FILES = "answers-*.jsonl"


def shard_files(folder: Path, sampler: int, shard: int) -> tuple[Path, Path]:
    """(responses, their scores)"""
    stem = f"{sampler}-{shard:06d}"
    return folder / f"{stem}.responses.parquet", folder / f"{stem}.scores.parquet"


def answers_file(folder: Path, sampler: int, rank: int) -> Path:
    """Answers of a server as they come, of one process."""
    return folder / f"answers-{sampler}-{rank}.jsonl"


def answers_files(folder: Path, sampler: int) -> list[Path]:
    """The same of all processes."""
    return sorted(folder.glob(f"answers-{sampler}-*.jsonl"))


def stored_scores_file(folder: Path, shard: int) -> Path:
    """Scores of answers that were there already."""
    return folder / f"stored-{shard:06d}.scores.parquet"
