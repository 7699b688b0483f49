"""Model folders: written atomically, and their files' hashes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from learning.interface.atomic_files import atomic_folder, sync_path
from learning.interface.model_folders import ADAPTER_FOLDER
from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.adapters import adapter_info, merged_state, write_adapter
from learning.models.architectures import unwrap_model


def save_model(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    path: str | Path,
    *,
    state_dict: dict[str, torch.Tensor] | None = None,
    finish: Callable[[Path], None] | None = None,
) -> dict[str, str]:
    """Write model and tokenizer, atomically; `finish` may add files to the folder. Returns the sha256 of every file.

    A model with an adapter is written with the adapter's weights added, and the adapter by itself in a folder below.
    """
    with atomic_folder(Path(path)) as folder:
        if adapter_info(model) is None:
            unwrap_model(model).save_pretrained(folder, state_dict=state_dict)
        else:
            unwrap_model(model).save_pretrained(folder, state_dict=merged_state(model, state_dict))
            write_adapter(model, folder / ADAPTER_FOLDER, state_dict)
        tokenizer.save_pretrained(folder)
        if finish is not None:
            finish(folder)
        sums = model_sha256s(folder)
        for name in sums:
            sync_path(folder / name)
        sync_path(folder)
    return sums


def model_sha256s(path: str | Path) -> dict[str, str]:
    """sha256 of every file of a model folder, by relative name in sorted order."""
    folder = existing_folder(path)
    sums = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            with open(file, "rb") as opened:
                sums[str(file.relative_to(folder))] = hashlib.file_digest(opened, "sha256").hexdigest()
    return sums


def existing_folder(path: str | Path) -> Path:
    """The folder as a Path. Raises UserError when there is none."""
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder")
    return folder


def unreadable(source: ModelSource, what: str, error: Exception) -> UserError:
    """The error to raise when transformers could not read what the source names."""
    reason = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
    return UserError(f"{source.display_name}: the {what} could not be read ({reason})")
