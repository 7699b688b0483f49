"""The application that `manage.py serve` serves: the site behind a reader of whole requests."""

import os
import re

from granian.rsgi import Scope

from config.wsgi import application as site
from workspace.client_address import address_from, address_group
from workspace.whole_requests import THREADS_VARIABLE, WholeRequests

# Rewards come from a scorer, and after its model is loaded.
_SCORING = re.compile(r"/api/v1/projects/[^/]+/reward-models/\d+/score(-rendered)?")


def waits_for_a_scorer(path: str) -> bool:
    return _SCORING.fullmatch(path) is not None


def client_of(scope: Scope) -> str | None:
    """Whom the proxies of the installation heard, as everywhere else on the site."""
    heard = scope.client.rpartition(":")[0]
    forwarded = [value for name, value in scope.headers.items() if name == "x-forwarded-for"]
    return address_group(address_from({"REMOTE_ADDR": heard, "HTTP_X_FORWARDED_FOR": ",".join(forwarded)}))


application = WholeRequests(
    site,
    threads=int(os.environ.get(THREADS_VARIABLE, "4")),
    waits_for_others=waits_for_a_scorer,
    client_of=client_of,
)
