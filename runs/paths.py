"""Paths in the configuration of a run, as the database keeps them: relative to DATA_DIR where they lie in it.

An installation that is restored elsewhere then runs its runs again from its own files, and never from what may
be left of the old ones. Options that hold a path are named `path` or `..._path`. The run directory's config.json has
them alike; its command reads them from around its own place (learning/interface/moved_paths.py).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings


def with_relative_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    return _map_paths(config, _relative)


def replace_paths(config: Mapping[str, Any], moved: Mapping[str, str]) -> dict[str, Any]:
    """Each path that is or lies below a key of `moved`, as of its value."""

    def replaced(text: str) -> str:
        for old, new in moved.items():
            if text and Path(text).is_relative_to(old):
                return (Path(new) / Path(text).relative_to(old)).as_posix()
        return text

    return _map_paths(config, replaced)


def paths_in(config: Mapping[str, Any]) -> list[Path]:
    """Every path that the configuration names, once, absolute."""
    found: list[Path] = []

    def note(text: str) -> str:
        if text:
            found.append(Path(settings.DATA_DIR) / text)
        return text

    _map_paths(config, note)
    return list(dict.fromkeys(found))


def _relative(text: str) -> str:
    path, root = Path(text), Path(settings.DATA_DIR)
    if not path.is_absolute():
        # As somebody typed it; what it names now, it should name when the run starts.
        return str(path.resolve()) if text and path.exists() else text
    for candidate, base in ((path, root), (path.resolve(), root.resolve())):
        if candidate != base and candidate.is_relative_to(base):
            return candidate.relative_to(base).as_posix()
    return text


def _map_paths(value: Any, change: Callable[[str], str], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _map_paths(item, change, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_map_paths(item, change, key) for item in value]
    if isinstance(value, str) and (key == "path" or key.endswith("_path")):
        return change(value)
    return value
