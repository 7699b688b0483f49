"""A worker as a process of its own, for tests that kill, freeze and stop workers.

Arguments: the test database's name, WorkerOptions as JSON, "here" or "elsewhere". A worker from "elsewhere" behaves
as one on another host that shares the folder: it can reach no process of this one, only the fence file stops them.
"""

import json
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"


def main(database: str, options: str, place: str) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    if "sqlite3" in settings.DATABASES["default"]["ENGINE"]:
        settings.DATABASES["default"]["OPTIONS"]["timeout"] = 0.5
    django.setup()

    from runs.launchers import LocalLauncher, Process
    from runs.options import WorkerOptions
    from runs.worker import run_worker
    from tests.runs.run_kinds import COUNTING, TRAINING

    class ElsewhereLauncher(LocalLauncher):
        def __init__(self) -> None:
            super().__init__()
            self.host = "elsewhere"

        def kill_leftovers(self, tag: str, fence: int, process: Process | None) -> bool:
            return process is None or process.host != self.host or super().kill_leftovers(tag, fence, process)

    launcher = ElsewhereLauncher() if place == "elsewhere" else LocalLauncher()
    run_worker([COUNTING, TRAINING], options=WorkerOptions(**json.loads(options)), launcher=launcher)


if __name__ == "__main__":
    main(*sys.argv[1:])
