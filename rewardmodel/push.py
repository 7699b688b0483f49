"""What the runs that push reward models to the Hub start: python -m rewardmodel.push RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from rewardmodel.outgoing import REWARD_MODELS
    from runs.hub.pushes import push_of_run

    return push_of_run(site_run, REWARD_MODELS.prepare)


if __name__ == "__main__":
    run_site_command(main)
