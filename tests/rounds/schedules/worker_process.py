"""A worker as a process of its own that executes no runs and does the periodic tasks, schedules among them.

Arguments: the test database's name, a folder for marks, the worker's name, how it behaves. "stops inside": it stops in
the middle of the transaction that fires a schedule, the round being made, and leaves a mark. "waits": it looks at
schedules once there is a mark `go`.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"


def main(database: str, marks: str, name: str, behaviour: str) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from rounds import worker_tasks
    from rounds.schedules import firing
    from runs.worker import run_worker
    from tests.runs.conftest import QUICK
    from tests.runs.run_kinds import COUNTING

    folder, start_round = Path(marks), firing.start_round_of_asked_servers

    def start_and_stop(**arguments: object) -> object:
        round_ = start_round(**arguments)  # type: ignore[arg-type]
        (folder / f"{name} is inside").touch()
        time.sleep(600)
        return round_

    def periodic_tasks() -> bool:
        (folder / f"{name} works").touch()
        if behaviour == "waits" and not (folder / "go").exists():
            return False
        return worker_tasks.periodic_tasks()

    if behaviour == "stops inside":
        firing.start_round_of_asked_servers = start_and_stop  # type: ignore[assignment]
    (folder / f"{name} runs").touch()
    run_worker([COUNTING], periodic_tasks, options=replace(QUICK, tick_seconds=0.1))


if __name__ == "__main__":
    main(*sys.argv[1:])
