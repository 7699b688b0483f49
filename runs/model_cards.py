"""What the cards of reward models and policies have in common: settings of the run that made them, and numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learning.interface.model_folders import is_trained_on_int8
from runs.models import Run

README = "README.md"
DESCRIBED = ("licence", "notes")  # columns of a model that people write
# Of a configuration: how it was carried, and where on this machine things lay.
_NOT_SHOWN = frozenset({"runtime", "source", "path", "directory", "logging", "checkpoints", "id_prefix"})


def settings_block(run: Run | None) -> str:
    """The configuration of the run as a block of JSON, without places on this machine; empty without a run."""
    shown = _without_places(run.config) if run is not None else {}
    return f"```json\n{json.dumps(shown, indent=1, ensure_ascii=False)}\n```\n" if shown else ""


def _without_places(values: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in values.items():
        if name in _NOT_SHOWN or name.endswith("_path") or _is_place(value):
            continue
        if isinstance(value, Mapping):
            value = _without_places(value)
            if not value:
                continue
        shown[name] = value
    return shown


def _is_place(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("/", "~", "\\\\"))


def base_precision_rows(folder: Path) -> list[tuple[str, str]]:
    """For the table of where a model comes from; none where its base was in full precision."""
    if not is_trained_on_int8(folder):
        return []
    said = (
        "in 8 bit (int8): the model's weights are the base's as 8 bit has them, with the adapter added, and its "
        "figures are of these; on full-precision weights the adapter answers a little differently"
    )
    return [("its base under LoRA was", said)]


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def written_card(folder: Path) -> str:
    """The text of the card that the training left in the model's folder, without its header; empty without one."""
    try:
        text = (folder / README).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        text = text[4:].split("\n---\n", 1)[1]
    return text.strip()
