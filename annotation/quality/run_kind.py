"""The run that measures quality: part of the site, and started by a worker alone."""

from django.utils.translation import gettext_noop

from runs.run_kinds import Resources, RunKind
from runs.site_environment import SITE_ENVIRONMENT

MEASURE = RunKind(
    name="measure_quality",
    label=gettext_noop("Measurement of quality"),
    command="annotation.quality.measure",
    build_inputs=lambda run: {},
    # The report is there already, in a transaction of its own.
    save_result=lambda run, result: None,
    resources=Resources(threads=1),
    environment=SITE_ENVIRONMENT,
)
