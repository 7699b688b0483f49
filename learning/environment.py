"""What besides the configuration decides the bits of a result: versions, processor, threads, processes."""

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from learning.interface.training_options import RuntimeOptions

# The packages whose arithmetic or data handling a trained tensor depends on.
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "pyarrow", "peft", "deepspeed")
_SOURCES = ("learning", "rewardmodel/training", "policy_training/training")


def describe_environment(runtime: RuntimeOptions) -> dict[str, Any]:
    """JSON-ready description, recorded in config.json when a run first starts."""
    on_gpu = runtime.device != "cpu" and torch.cuda.is_available()
    return {
        "code_version": code_version(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "threads": runtime.threads,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "dtype": runtime.dtype,
        "seed": runtime.seed,
    }


def code_version() -> str:
    """Hash of the training sources, which names them also where no version control is."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for file in sorted((root / folder).rglob("*.py")):
            digest.update(f"{file.relative_to(root)}\n".encode())
            digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
