"""One scorer as its worker has it: the folder it is started on, the process, what it says of itself."""

import json
import os
import secrets
import shutil
import socket
from pathlib import Path
from typing import Any

from django.conf import settings

from learning.interface.atomic_files import write_json_atomically
from learning.interface.options import load_options, options_to_dict
from learning.interface.training_options import BatchOptions, RuntimeOptions
from rewardmodel.models import RewardModel, Serving
from rewardmodel.serving.client import ask_status
from rewardmodel.training.config import ServeConfig
from runs.launchers import Launch, Launcher, Process
from runs.models import Run

MODULE = "rewardmodel.training.serve_scores"
FOLDER = "scorers"  # under DATA_DIR


def serving_tag(serving: Serving) -> str:
    """What its processes carry. As a run's, not to be taken for that of another installation."""
    return f"scorer-{serving.pk}@{Run.tag_of_installation()}"


def serve_config(reward_model: RewardModel, *, orphaned_after_seconds: float) -> dict[str, Any]:
    """As the model was trained and is scored here: the same limits, device and precision. One process."""
    asked = reward_model.produced_by.config
    batch = load_options(BatchOptions, asked.get("batch", {}), where="batch")
    trained = load_options(RuntimeOptions, asked.get("runtime", {}), where="runtime")
    return options_to_dict(
        ServeConfig(
            model_path=str(reward_model.artifact.absolute_path),
            host=socket.gethostname() if settings.SCORER_HOST == "hostname" else settings.SCORER_HOST,
            batch=batch,
            runtime=RuntimeOptions(threads=trained.threads, dtype=trained.dtype, device=trained.device),
            orphaned_after_seconds=orphaned_after_seconds,
        )
    )


class ScorerProcess:
    """Started once; a scorer that is started again is another one, with a folder and a secret of its own."""

    def __init__(self, serving: Serving, launcher: Launcher, *, stop_grace_seconds: float) -> None:
        self.launcher = launcher
        self.secret = secrets.token_urlsafe(32)
        self.directory = Path(settings.DATA_DIR) / FOLDER / f"{serving.pk}-{serving.fence}"
        self.launch = Launch(
            module=MODULE,
            directory=self.directory,
            working_directory=settings.BASE_DIR,
            tag=serving_tag(serving),
            fence=serving.fence,
            processes=1,
            threads=serving.reward_model.produced_by.threads,
            stop_grace_seconds=stop_grace_seconds,
            environment=tuple(settings.RUN_ENVIRONMENT_ALLOWLIST),
        )
        self.process: Process | None = None
        self.address = ""

    def start(self, config: dict[str, Any]) -> Process:
        """Raises OSError when it cannot be started."""
        # Those of earlier starts too: whose worker was killed has left one.
        for folder in self.directory.parent.glob(f"{self.directory.name.partition('-')[0]}-*"):
            shutil.rmtree(folder, ignore_errors=True)
        self.directory.mkdir(parents=True)
        write_json_atomically(self.directory / "config.json", config)
        # From its creation on nobody else's to read, whatever the umask: who has it may ask the scorer.
        handle = os.open(self.directory / "secret", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w") as file:
            file.write(self.secret)
        self.process = self.launcher.start(self.launch)
        return self.process

    def poll(self) -> int | None:
        return self.launcher.poll(self.process) if self.process is not None else None

    def read_address(self) -> str:
        """host:port, once the model is loaded; empty before."""
        try:
            found = json.loads((self.directory / "address.json").read_text())
            host, port = str(found["host"]), int(found["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self.address

    def status(self) -> dict[str, Any]:
        """Raises ScorerUnreachable."""
        return ask_status(self.address, self.secret)

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.launcher.stop(self.process, self.launch, force=False)

    def kill(self) -> None:
        if self.process is not None:
            self.launcher.stop(self.process, self.launch, force=True)
            self.process = None
        self.forget_folder()

    def forget_folder(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
