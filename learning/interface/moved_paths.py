"""Paths in the configuration of a run directory, which is DATA_DIR/runs/NAME, read from where that folder lies now.

They are relative to DATA_DIR where they lie in it. Run directories of earlier versions have absolute ones, and may have
been moved since, with what lay beside them. config.json is never edited (checkpoints are bound to it), so whoever
reads it looks for the files around its own place: DATA_DIR/former_places.json, which a restore writes, says which
folders lay where ({"/old/data": "", "/elsewhere/base": "models/base"}); without it, a path that is gone is looked for.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMER_PLACES = "former_places.json"


def follow_moved_paths(config: Mapping[str, Any], run_directory: Path) -> dict[str, Any] | None:
    """The options with each path below the run directory's own DATA_DIR absolute, and moved ones as they lie now.

    None where nothing is to be changed. In a run directory that does not lie in a folder `runs` (somebody made it by
    hand) a relative path is one of the working directory. Options that hold a path are named `path` or `..._path`.
    """
    # Not resolved: `runs` may be a link to another disk, and DATA_DIR is where the link is.
    folder = Path(os.path.abspath(run_directory)).parent
    followed = _Places(folder.parent, in_data_dir=folder.name == "runs").follow(config)
    return None if followed == config else dict(followed)


class _Places:
    def __init__(self, data_dir: Path, *, in_data_dir: bool) -> None:
        self._data_dir, self._in_data_dir = data_dir, in_data_dir
        self._former = _former_places(data_dir)

    def follow(self, value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            return {name: self.follow(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.follow(item, key) for item in value]
        if isinstance(value, str) and value and (key == "path" or key.endswith("_path")):
            path = Path(value)
            found = self._moved(path) if path.is_absolute() else self._relative(path)
            return value if found is None else str(found)
        return value

    def _relative(self, path: Path) -> Path | None:
        here = self._data_dir / path
        # What is nowhere is named by the place where it should be.
        return here if self._in_data_dir and (here.exists() or not path.exists()) else None

    def _moved(self, path: Path) -> Path | None:
        if not path.is_relative_to(self._data_dir):
            # The longest that fits: a folder within the old DATA_DIR may have gone elsewhere by itself.
            for old in sorted(self._former, key=len, reverse=True):
                if path.is_relative_to(old):
                    here = self._data_dir / self._former[old] / path.relative_to(old)
                    if here.exists():
                        return here
        if path.exists():
            return None
        # The longest end of the path that is there: runs/NAME/model rather than some other model.
        ends = (self._data_dir.joinpath(*path.parts[start:]) for start in range(1, len(path.parts) - 1))
        return next((end for end in ends if end.exists()), None)


def _former_places(data_dir: Path) -> dict[str, str]:
    """Empty where nothing was restored, or the file cannot be read."""
    try:
        places = json.loads((data_dir / FORMER_PLACES).read_text())
    except (OSError, ValueError):
        return {}
    return places if isinstance(places, dict) else {}
