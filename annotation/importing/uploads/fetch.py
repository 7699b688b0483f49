"""What the runs that fetch datasets start: python -m annotation.importing.uploads.fetch RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from annotation.importing.uploads.hub import execute_fetch

    return execute_fetch(site_run)


if __name__ == "__main__":
    run_site_command(main)
