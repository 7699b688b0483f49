"""How a run's command starts and ends that is part of the site: it opens the database, and loads no model.

What learning.recipe_runner is to trainers: the lock and the fence of the run's directory, SIGTERM, status.json, and the
exit code. The command's `main` gets a SiteRun and returns what goes into result.json.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from learning.interface.atomic_files import write_json_atomically
from learning.interface.exit_codes import (
    EXIT_BUSY,
    EXIT_CHECKPOINTED,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_STALE_FENCE,
    EXIT_USER_ERROR,
)
from learning.interface.options import UserError
from learning.interface.run_directory import FENCE_VARIABLE, Outcome, RunDirectory, StaleFence, Status

if TYPE_CHECKING:
    from runs.models import Run

SAY_SECONDS = 1.0


class Stopped(Exception):
    """The command left because it was asked to; started again it begins anew."""


@dataclass
class SiteRun:
    directory: RunDirectory
    run: "Run"
    fence: int | None
    stop_requested: bool = False
    _said_at: float = field(default=0.0, repr=False)
    _said_stage: str = ""

    def say(self, stage: str, done: int, total: int | None) -> None:
        """How far it is; about every second, whatever is called. Raises StaleFence."""
        now = time.monotonic()
        if stage == self._said_stage and now - self._said_at < SAY_SECONDS:
            return
        self._said_at, self._said_stage = now, stage
        self.write_status("running", stage=stage, step=done, steps_total=total)

    def write_status(self, outcome: Outcome, **values: Any) -> None:
        current = self.directory.read_fence()
        if self.fence is not None and current is not None and current != self.fence:
            raise StaleFence(f"attempt {self.fence} was overtaken by attempt {current}")
        status = Status(
            outcome=outcome,
            fence=self.fence,
            pid=os.getpid(),
            heartbeat=datetime.now(UTC).isoformat(),
            **values,
        )
        write_json_atomically(self.directory.path / "status.json", asdict(status))


def run_site_command(main: Callable[[SiteRun], Mapping[str, Any]]) -> NoReturn:
    sys.exit(_run(main, sys.argv[1:]))


def _run(main: Callable[[SiteRun], Mapping[str, Any]], arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("expected one argument, the run directory", file=sys.stderr)
        return EXIT_USER_ERROR
    path = Path(arguments[0])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from runs.models import Run
    from runs.os_processes import refuse_inspection
    from workspace.errors import ActionError

    # It holds the site's secrets, as the worker does.
    refuse_inspection()
    directory = RunDirectory(path)
    if directory.result() is not None:
        return EXIT_DONE
    fence = os.environ.get(FENCE_VARIABLE)
    with open(path / "lock", "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return EXIT_BUSY
        run = Run.objects.select_related("project", "requested_by").get(directory=path.name)
        site_run = SiteRun(directory, run, int(fence) if fence else None)

        def ask(number: int, frame: FrameType | None) -> None:
            site_run.stop_requested = True

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            site_run.write_status("running", stage="starting")
            result = main(site_run)
            write_json_atomically(path / "result.json", dict(result))
            site_run.write_status("done")
            return EXIT_DONE
        except StaleFence:
            return EXIT_STALE_FENCE
        except Stopped:
            site_run.write_status("checkpointed")
            return EXIT_CHECKPOINTED
        except (ActionError, UserError) as error:
            site_run.write_status("user_error", reason=str(error))
            print(error, file=sys.stderr)
            return EXIT_USER_ERROR
        except Exception as error:
            site_run.write_status("failed", reason=f"{type(error).__name__}: {error}"[:500])
            raise
    return EXIT_FAILED
