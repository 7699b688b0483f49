"""What the runs that push policies to the Hub start: python -m policy_training.outgoing.push RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from policy_training.outgoing.views import POLICIES
    from runs.hub.pushes import push_of_run

    return push_of_run(site_run, POLICIES.prepare)


if __name__ == "__main__":
    run_site_command(main)
