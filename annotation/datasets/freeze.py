"""What the runs that freeze datasets start: python -m annotation.datasets.freeze RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from annotation.datasets.freezing import freeze_of_run
    from runs.site_command import Stopped

    def watch(written: int) -> None:
        if site_run.stop_requested:
            raise Stopped
        site_run.say("freezing judgments", written, total)

    total = site_run.run.parameters["judgments"]
    dataset = freeze_of_run(site_run.run, watch)
    return {"dataset": dataset.pk, "name": dataset.name, "version": dataset.version, "counts": dataset.counts}


if __name__ == "__main__":
    run_site_command(main)
