"""Answers that were sampled before a run was stopped belong to the ones to come: by the same options and weights."""

import json
from pathlib import Path
from typing import Any

from learning.distributed import DistributedContext
from learning.interface.atomic_files import write_json_atomically
from learning.interface.options import UserError


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
