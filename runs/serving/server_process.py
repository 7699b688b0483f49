"""One server of a model as its worker has it: the folder it is started on, the process, what it says of itself."""

import json
import os
import secrets
import shutil
import socket
from pathlib import Path
from typing import Any

from django.conf import settings

from learning.interface.atomic_files import write_json_atomically
from runs.launchers import Launch, Launcher, Process
from runs.models import Run
from runs.serving.client import ask_status, ask_to_drain
from runs.serving.service import Service, ServiceKind


def service_tag(kind: ServiceKind, service: Service) -> str:
    """What its processes carry. As a run's, not to be taken for that of another installation."""
    return f"{kind.name}-{service.pk}@{Run.tag_of_installation()}"


class ServerProcess:
    """Started once; a server that is started again is another one, with a folder and a secret of its own."""

    def __init__(
        self, kind: ServiceKind, service: Service, launcher: Launcher, *, stop_grace_seconds: float
    ) -> None:
        self.launcher = launcher
        self.secret = secrets.token_urlsafe(32)
        self.directory = Path(settings.DATA_DIR) / kind.folder / f"{service.pk}-{service.fence}"
        self.launch = Launch(
            module=kind.module,
            directory=self.directory,
            working_directory=settings.BASE_DIR,
            tag=service_tag(kind, service),
            fence=service.fence,
            processes=1,
            threads=kind.threads(service),
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
        # From its creation on nobody else's to read, whatever the umask: who has it may ask the server.
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
        """Raises ServerUnreachable."""
        return ask_status(self.address, self.secret)

    def drain(self) -> dict[str, Any]:
        """Have it take nothing new; its status. Raises ServerUnreachable."""
        return ask_to_drain(self.address, self.secret)

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


def listening_host(host: str) -> str:
    """The address that the setting names."""
    return socket.gethostname() if host == "hostname" else host
