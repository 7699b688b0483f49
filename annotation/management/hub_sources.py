"""The FILEs of an import command as paths: a hub id, which is no path, is fetched into a folder first."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotation.text import safe_excerpt
from learning.interface.exit_codes import EXIT_USER_ERROR
from workspace.errors import ActionError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CONFIG_NAME = re.compile(r"^\s*-?\s*config_name:\s*(\S+)", re.MULTILINE)


@contextmanager
def source_paths(options: Mapping[str, Any]) -> Iterator[list[Path]]:
    """The paths to read, as long as the context lasts. Raises ActionError for a dataset that cannot be fetched."""
    with tempfile.TemporaryDirectory(prefix="roundtable-dataset-") as folder:
        yield [
            _fetch(name, Path(folder) / str(number) / _folder_name(name), options)
            if _is_for_library(name, options)
            else _checked(Path(name))
            for number, name in enumerate(options["file"])
        ]


def _folder_name(name: str) -> str:
    return name.replace("/", "--") if not Path(name).exists() else Path(name).resolve().name


def _is_for_library(name: str, options: Mapping[str, Any]) -> bool:
    path = Path(name)
    if path.exists():
        # A folder laid out like a dataset of the hub, when what only the library knows is asked for.
        return path.is_dir() and not _is_saved(path) and bool(options["config"] or options["dataset_split"])
    return _HUB_ID.fullmatch(name) is not None and not path.parent.is_dir()


def _is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def _checked(path: Path) -> Path:
    """A folder whose card names several configurations is several datasets: which one must be said."""
    card = path / "README.md"
    if path.is_dir() and card.is_file():
        header = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
        configs = list(dict.fromkeys(_CONFIG_NAME.findall(header)))
        if header.startswith("---") and len(configs) > 1:
            raise ActionError(
                f"{safe_excerpt(str(path))} has several configurations ({safe_excerpt(', '.join(configs))}): name one "
                "with --config."
            )
    return path


def _fetch(name: str, out: Path, options: Mapping[str, Any]) -> Path:
    """The dataset saved in `out`, by a process of its own: the site does not import the library."""
    out.parent.mkdir()
    command = [sys.executable, "-m", "learning.hub_datasets", name, str(out)]
    for option in ("config", "revision"):
        if options[option]:
            command += [f"--{option}", options[option]]
    for split in options["dataset_split"]:
        command += ["--split", split]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        reason = (
            safe_excerpt(lines[-1])
            if done.returncode == EXIT_USER_ERROR
            else "the library ended unexpectedly"
        )
        raise ActionError(
            f"There is no file {safe_excerpt(name)}, and as a dataset of the hub it could not be fetched: {reason}."
        )
    return out
