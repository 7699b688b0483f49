"""What a run that imports a policy starts: python -m policy_training.imports.program RUN_DIRECTORY"""

from collections.abc import Mapping
from typing import Any

from runs.site_command import SiteRun, run_site_command


def main(site_run: SiteRun) -> Mapping[str, Any]:
    # The tables can be read only once Django is set up.
    from policy_training.imports.execution import import_by_run

    site_run.say("reading", 0, None)
    policy = import_by_run(site_run.run)
    return {"policy": policy.pk, "imported": policy.report["imported"]}


if __name__ == "__main__":
    run_site_command(main)
