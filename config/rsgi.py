"""The application that `manage.py serve` serves: the site behind a reader of whole requests."""

import os
import re

from config.wsgi import application as site
from workspace.whole_requests import THREADS_VARIABLE, WholeRequests

# Rewards come from a scorer, and after its model is loaded.
_SCORING = re.compile(r"/api/v1/projects/[^/]+/reward-models/\d+/score(-rendered)?")


def waits_for_a_scorer(path: str) -> bool:
    return _SCORING.fullmatch(path) is not None


application = WholeRequests(
    site, threads=int(os.environ.get(THREADS_VARIABLE, "4")), waits_for_others=waits_for_a_scorer
)
