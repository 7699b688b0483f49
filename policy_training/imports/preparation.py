"""Models that came from elsewhere, checked and made ready in a process of its own: the site imports no torch.

The process is policy_training/training/weights/prepare_policy.py; what it refuses is one sentence here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from learning.interface.atomic_files import sync_path
from learning.interface.exit_codes import EXIT_USER_ERROR
from runs.launchers import allowed_environment
from workspace.errors import ActionError

# What a model in Hugging Face format needs: weights, configuration, tokenizer and its template.
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
ADAPTER_CONFIG = "adapter_config.json"
# A model of any size is read once, so this is only against a process that hangs.
MAX_SECONDS = 4 * 3600


class NotAPolicy(ActionError):
    """The folder does not hold a language model with its tokenizer."""

    code = "not_a_policy"


@dataclass(frozen=True, kw_only=True)
class PreparedPolicy:
    folder: Path
    is_copy: bool  # made here, because something of the original had to change
    facts: dict[str, Any]  # architecture, base and adapter, the template's date and values


def prepare_policy(
    *,
    path: Path,
    name: str,
    base: Path | None,
    chat_template_kwargs: Mapping[str, Any],
    own_tokenizer: bool,
) -> PreparedPolicy:
    """Check a policy's folder, or a LoRA adapter's with its base. Raises NotAPolicy with one sentence."""
    try:
        _require_files(path, base)
    except OSError as error:
        raise NotAPolicy(f"{path} cannot be read: {error.strerror}.") from error
    out = Path(settings.DATA_DIR) / "models" / _new_folder_name(name)
    found = run_preparation(
        {
            "folder": str(path),
            "out": str(out),
            "base": str(base) if base is not None else None,
            "date": timezone.localdate().isoformat(),
            "chat_template_kwargs": dict(chat_template_kwargs),
            "own_tokenizer": own_tokenizer,
        }
    )
    folder = Path(found.pop("folder"))
    return PreparedPolicy(folder=folder, is_copy=folder == out, facts=found)


def copy_into_data_dir(folder: Path, name: str) -> Path:
    """The model's files in a folder of its own below DATA_DIR: what is done to the original is then nothing to it."""
    target = Path(settings.DATA_DIR) / "models" / _new_folder_name(name)
    partial = target.with_name(f".{target.name}.partial")
    partial.mkdir(parents=True)
    try:
        for pattern in MODEL_FILES:
            for file in folder.glob(pattern):
                shutil.copyfile(file, partial / file.name)
                sync_path(partial / file.name)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target


def _new_folder_name(name: str) -> str:
    stem = re.sub(r"[^\w.-]+", "-", name)[:60] or "policy"
    return f"{stem.lstrip('.')}-{uuid.uuid4().hex[:8]}"


def run_preparation(request: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        try:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "policy_training.training.weights.prepare_policy",
                    str(asked),
                    str(answer),
                ],
                cwd=settings.BASE_DIR,
                # As a run's: it reads files that came from elsewhere, and needs none of the site's secrets.
                env=allowed_environment(os.environ, settings.RUN_ENVIRONMENT_ALLOWLIST)
                | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=MAX_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NotAPolicy(f"{request['folder']} could not be read in {MAX_SECONDS} seconds.") from error
        if done.returncode == EXIT_USER_ERROR:
            raise NotAPolicy(f"{done.stderr.strip().splitlines()[-1]}.")
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1][:300]
            raise NotAPolicy(f"{request['folder']} could not be checked (exit {done.returncode}: {last}).")
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found


def adapter_base(path: Path) -> str | None:
    """What the folder of an adapter says its base is; None for a model of its own."""
    if (path / "config.json").is_file() or not (path / ADAPTER_CONFIG).is_file():
        return None
    try:
        base = json.loads((path / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAPolicy(f"{path / ADAPTER_CONFIG} cannot be read: {error}.") from error
    return base if isinstance(base, str) else ""


def _require_files(path: Path, base: Path | None) -> None:
    if not path.is_dir():
        raise NotAPolicy(
            f"{path} is not a folder: give the folder of a language model in Hugging Face format."
        )
    if adapter_base(path) is not None:
        if base is None:
            raise NotAPolicy(f"{path} is an adapter: name the folder of its base model (--base).")
        _require_files(base, None)
        return
    if base is not None:
        raise NotAPolicy(f"{path} is a model of its own, no adapter: leave its base out.")
    if not (path / "config.json").is_file():
        raise NotAPolicy(f"{path} has no config.json: it is not a model in Hugging Face format.")
    if not list(path.glob("*.safetensors")):
        raise NotAPolicy(
            f"{path} has no .safetensors file: save the model with safetensors, nothing else is loaded."
        )
    if not (path / "tokenizer.json").is_file():
        raise NotAPolicy(
            f"{path} has no tokenizer: save the model's tokenizer (tokenizer.json) into the same folder."
        )
