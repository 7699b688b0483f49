"""What the runs that measure quality start: python -m annotation.quality.measure RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from annotation.quality.actions import measure_project, measured_judgments
    from runs.site_command import Stopped

    def say(stage: str, read: int) -> None:
        if site_run.stop_requested:
            raise Stopped
        site_run.say(stage, read, total)

    run = site_run.run
    total = measured_judgments(run.project).count()
    report = measure_project(actor=run.requested_by, project=run.project, run=run, say=say)
    return {"report": report.pk, "judgments": report.judgments}


if __name__ == "__main__":
    run_site_command(main)
