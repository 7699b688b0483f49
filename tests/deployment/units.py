"""A systemd unit of deploy/systemd carried out without systemd: its environment and its command."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
INSTALLED_PYTHON = "/opt/roundtable/.venv/bin/python"


def read_unit(text: str) -> dict[str, list[str]]:
    """Key to values, in the order they stand in, of all sections."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", ";", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key.strip(), []).append(value.strip())
    return found


def read_environment(text: str) -> dict[str, str]:
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value.removeprefix('"').removesuffix('"') for name, value in pairs}


class Unit:
    """`here`: puts this machine's paths in the place of the unit's. Its output goes to a file, as into the journal."""

    def __init__(self, name: str, here: Callable[[str], str], log: Path):
        self.name, self.log = name, log
        unit = read_unit(here((UNITS / name).read_text()))
        self.environment = {
            n: v for n, v in os.environ.items() if not n.startswith(("ROUNDTABLE_", "DJANGO_"))
        }
        for path in unit["EnvironmentFile"]:
            self.environment |= read_environment(Path(path).read_text())
        for line in unit.get("Environment", []):
            self.environment |= dict(word.split("=", 1) for word in shlex.split(line))
        [self.folder] = unit["WorkingDirectory"]
        [line] = unit["ExecStart"]
        self.command = shlex.split(line)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.process

    def stop(self) -> int:
        """SIGTERM to the main process, as KillMode=mixed has it; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()
