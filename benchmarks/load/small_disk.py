"""A file system of a few hundred megabytes that can be filled to the last byte and freed again."""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self


class SmallDisk:
    """A tmpfs of `megabytes`; mounting needs root. `folder` is where it lies."""

    def __init__(self, megabytes: int):
        self.megabytes = megabytes
        self.folder = Path(tempfile.mkdtemp(prefix="roundtable-disk-"))

    @staticmethod
    def is_possible() -> bool:
        return os.geteuid() == 0

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Until the disk refuses one more byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                while True:
                    try:
                        file.write(b"\0" * size)
                    except OSError:
                        break

    def keep_full(self, seconds: float) -> None:
        """Full for so long: what the others give back meanwhile is taken as well."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.fill()
            time.sleep(0.2)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "tmpfs", str(self.folder)], check=True
        )
        return self

    def __exit__(self, *problem: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False)
        self.folder.rmdir()
