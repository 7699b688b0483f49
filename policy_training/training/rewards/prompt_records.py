"""What a reward function is told of a prompt beside its messages: the record of its third parameter."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from learning.interface.options import UserError
from policy_training.training.rollouts.rollouts import Prompt

# Columns of a prompts file that hold the right answer, the first that is there: our own name, that of verifiable
# rewards (RLVR), that of GSM8K and MATH.
REFERENCE_COLUMNS = ("reference_answer", "ground_truth", "answer")


def record_of(prompt: Prompt) -> dict[str, Any]:
    """{prompt_id, tags, source_id, metadata, reference}: `metadata` has the columns of the prompt's file that nothing
    else reads, `reference` is the text of the first of REFERENCE_COLUMNS among them, or null.
    """
    return make_record(prompt.prompt_id, prompt.tags, prompt.source_id, prompt.metadata)


def record_of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a PROMPTS row; files written before there were such columns have none."""
    return make_record(row["prompt_id"], row.get("tags") or (), row.get("source_id"), row.get("metadata"))


def make_record(
    prompt_id: str, tags: Sequence[str], source_id: str | None, metadata: str | None
) -> dict[str, Any]:
    """Raises UserError for metadata that is no JSON object."""
    try:
        columns = json.loads(metadata) if metadata else {}
    except ValueError:
        columns = None
    if not isinstance(columns, dict):
        raise UserError(
            f"inputs/prompts: metadata of the prompt {prompt_id!r} is not the text of a JSON object"
        )
    return {
        "prompt_id": prompt_id,
        "tags": list(tags),
        "source_id": source_id,
        "metadata": columns,
        "reference": reference_in(columns),
    }


def reference_in(columns: Mapping[str, Any]) -> str | None:
    """As text; numbers too. A list or an object is none: whoever has such answers reads them from `metadata`."""
    for name in REFERENCE_COLUMNS:
        value = columns.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value)
    return None


def lacks(record: Mapping[str, Any], name: str) -> bool:
    """Whether a record has nothing under a name of its own, or else of its file's columns."""
    value = record[name] if name in record else record["metadata"].get(name)
    return value is None or value in ("", [], {})
