"""What a model's folder may hold before anything is loaded from it. Needs no torch.

transformers reads what the files name: an index may name weights outside the folder, which no hash of the folder
covers, or a .bin file, which is a pickle. Only safetensors that lie in the folder are loaded here.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

from learning.interface.options import UserError

WEIGHTS_SUFFIX = ".safetensors"
INDEX_SUFFIX = ".safetensors.index.json"
MAX_JSON_BYTES = 256 * 1024 * 1024  # an index of a thousand shards has a few megabytes
ADAPTER_FOLDER = "adapter"  # in the folder of a model that has its adapter's weights added
ADAPTER_BASE_FILE = "base.json"  # in it: the adapter's options, and what its base is


def require_own_files(folder: Path) -> None:
    """UserError when the folder reaches out of itself, or names weights that are not safetensors files in it."""
    roots = _allowed_roots(folder)
    for directory, folders, files in os.walk(folder):
        for name in (*folders, *files):
            _require_own_entry(folder, Path(directory) / name, roots)
    for index in sorted(folder.glob(f"*{INDEX_SUFFIX}")):
        found = _read_object(index)
        weight_map = found.get("weight_map")
        if not isinstance(weight_map, dict):
            raise UserError(f"{index}: no weight_map in it; save the model again with save_pretrained")
        names = {name if isinstance(name, str) else repr(name) for name in weight_map.values()}
        for name in sorted(names):
            _require_own_weights(folder, name, index.name, (WEIGHTS_SUFFIX,))
    if not (folder / "config.json").is_file():
        return
    if (folder / "adapter_config.json").is_file():
        raise UserError(
            f"{folder}: a model (config.json) and an adapter (adapter_config.json); keep each in a folder of its own"
        )
    try:
        named = _read_object(folder / "config.json").get("transformers_weights")
    except UserError:
        return  # whoever loads the configuration says so
    if named is not None:
        _require_own_weights(folder, str(named), "config.json", (WEIGHTS_SUFFIX, INDEX_SUFFIX))


def is_trained_on_int8(folder: Path) -> bool:
    """Whether the model of this folder was trained as an adapter on a base in 8 bit. No, where nothing says so."""
    file = folder / ADAPTER_FOLDER / ADAPTER_BASE_FILE
    try:
        options = _read_object(file).get("options")
    except UserError:
        return False
    return isinstance(options, dict) and options.get("base_precision") == "int8"


def _allowed_roots(folder: Path) -> tuple[Path, ...]:
    """Where links may lead: into the folder, or from a snapshot of the hub's cache to the files of the same model."""
    resolved = folder.resolve()
    cached = resolved.parent.parent
    is_snapshot = resolved.parent.name == "snapshots" and (cached / "blobs").is_dir()
    return (resolved, cached / "blobs") if is_snapshot else (resolved,)


def _require_own_entry(folder: Path, path: Path, roots: tuple[Path, ...]) -> None:
    try:
        target = path.resolve(strict=True)
        mode = target.stat().st_mode
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read; a link to nothing, or a loop of links") from error
    if path.is_symlink() and not any(target.is_relative_to(root) for root in roots):
        raise UserError(
            f"{path}: a link that leads out of the model's folder; copy the model with its files (cp -rL {folder} COPY)"
        )
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{path}: neither a file nor a folder; remove it")


def _require_own_weights(folder: Path, name: str, where: str, suffixes: tuple[str, ...]) -> None:
    is_plain = Path(name).name == name and not name.startswith(".") and "\0" not in name
    if not is_plain or not name.endswith(suffixes):
        raise UserError(
            f"{folder / where}: names {name[:200]!r} as weights; only {WEIGHTS_SUFFIX} files of the same folder are "
            "loaded, so save the model again with save_pretrained"
        )
    if not (folder / name).is_file():
        raise UserError(f"{folder / where}: names {name[:200]!r}, which is not there; copy the model again")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path}: larger than {MAX_JSON_BYTES:,} bytes, so no file of a model")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({str(error)[:200]})") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: not a JSON object")
    return found
