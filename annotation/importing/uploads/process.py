"""What the runs that check and import uploads start: python -m annotation.importing.uploads.process RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from annotation.importing.uploads.execution import execute
    from annotation.importing.watching import ImportStopped
    from annotation.models import Upload
    from learning.interface.options import UserError
    from runs.site_command import Stopped

    run = site_run.run
    upload = (
        Upload.objects.select_related("project")
        .filter(pk=run.parameters["upload"], project=run.project)
        .first()
    )
    if upload is None:
        raise UserError("The upload is not there any more: upload the file again.")
    try:
        return execute(
            actor=run.requested_by,
            upload=upload,
            check_only=run.parameters["check_only"],
            run=run,
            say=site_run.say,
            stop_requested=lambda: site_run.stop_requested,
        )
    except ImportStopped as stopped:
        raise Stopped from stopped


if __name__ == "__main__":
    run_site_command(main)
