"""Paths in the configuration of a run directory that was moved, with what lay beside it, since it was made.

A run directory is DATA_DIR/runs/NAME. Restored into another DATA_DIR, its config.json still has the old one's paths.
It is never edited (checkpoints are bound to it), so whoever reads it looks for the same files around its own place.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def follow_moved_paths(config: Mapping[str, Any], run_directory: Path) -> dict[str, Any] | None:
    """The options with each path that is gone replaced by the same file below the run directory's own DATA_DIR.

    None where nothing was moved: every path is there, or nowhere to be found. Options that hold a path are named `path`
    or `..._path`.
    """
    followed = _follow(config, run_directory.resolve().parent.parent)
    return None if followed == config else dict(followed)


def _follow(value: Any, data_dir: Path, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _follow(item, data_dir, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_follow(item, data_dir, key) for item in value]
    if isinstance(value, str) and (key == "path" or key.endswith("_path")):
        path = Path(value)
        if path.is_absolute() and not path.exists():
            # The longest end of the path that is there: runs/NAME/model rather than some other model.
            for start in range(1, len(path.parts) - 1):
                candidate = data_dir.joinpath(*path.parts[start:])
                if candidate.exists():
                    return str(candidate)
    return value
