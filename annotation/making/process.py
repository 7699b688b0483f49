"""What the runs that make batches start: python -m annotation.making.process RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from annotation.making.queueing import make_of_run
    from runs.site_command import Stopped

    def watch(stage: str, done: int) -> None:
        if site_run.stop_requested:
            raise Stopped
        site_run.say(stage, done, total)

    total = site_run.run.parameters["prompts_to_read"]
    batch = make_of_run(site_run.run, watch)
    return {"batch": batch.pk, "name": batch.name, "tasks": batch.tasks.count()}


if __name__ == "__main__":
    run_site_command(main)
