"""What a dataset's manifest says of prompts that are almost the same, where its project keeps them together."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from annotation.content.near_duplicates import RULE
from annotation.models import Prompt
from workspace.models import Project

PROMPTS_PER_QUERY = 500


def near_duplicates(project: Project, files: Iterable[Path]) -> dict[str, Any]:
    """Of the prompts with judgments in these files, by their first turns: how many there are and how many have a
    near-duplicate among them, their share, and the groups on more than one side, where files put them. `waiting`: how
    many prompts have no group yet, where there are any; they count as alone.
    """
    turns: dict[str, set[str]] = defaultdict(set)  # group -> first turns
    sides: dict[str, set[str]] = defaultdict(set)
    waiting = 0
    names = sorted({name for path in files for name in _prompt_ids(path)})
    for start in range(0, len(names), PROMPTS_PER_QUERY):
        stored = Prompt.objects.filter(
            project=project, external_id__in=names[start : start + PROMPTS_PER_QUERY]
        )
        for turn, group, split in stored.values_list("first_turn_hash", "group_hash", "split"):
            waiting += group is None
            turns[group or turn].add(turn)
            sides[group or turn].add(split)
    sizes = Counter({group: len(of_group) for group, of_group in turns.items()})
    together = sum(size for size in sizes.values() if size > 1)
    return {
        "rule": RULE,
        "prompts": sizes.total(),
        "near_duplicates": together,
        "share": round(together / sizes.total(), 6) if sizes else 0.0,
        "groups_on_two_sides": sum(len(of_group) > 1 for of_group in sides.values()),
        **({"waiting": waiting} if waiting else {}),
    }


def _prompt_ids(path: Path) -> set[str]:
    names: set[str] = set()
    for batch in pq.ParquetFile(path).iter_batches(columns=["prompt_id"]):
        names.update(batch["prompt_id"].unique().to_pylist())
    return names
