"""Servers of language models that a run may ask, as the site knows them: by name, and whether they answer now."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from django.conf import settings
from django.utils.translation import gettext

from learning.interface.model_server_transport import CheckedTransport
from learning.interface.model_servers import KnownServer, servers_in
from learning.interface.options import UserError
from workspace.errors import ActionError

SECONDS = 5.0  # that somebody who starts something waits for a server
MAX_BYTES = 1_000_000


class ModelServerAway(ActionError):
    """It does not answer now; it may when the run asks it."""

    code = "model_server_away"


def require_known_server(server: Any) -> None:
    """`server` is ServerOptions as a mapping; what is none is for the options' own check. Raises ActionError for a name
    that the settings do not have.
    """
    name = str(server.get("name") or "") if isinstance(server, Mapping) else ""
    if name and name not in settings.MODEL_SERVERS:
        raise ActionError(
            gettext(
                "The model server “%(name)s” is not one of this site's: an operator names those that may be asked in "
                "ROUNDTABLE_MODEL_SERVERS."
            )
            % {"name": name},
            code="unknown_model_server",
        )


def sent_prompts_notes(server: Any) -> list[str]:
    """What is said before answers are asked of a server, by its name; nothing without one."""
    if not server:
        return []
    return [gettext("The texts of the prompts go to the server “%(name)s”.") % {"name": server}]


def served_by(server: Any) -> str:
    """Who drew answers, by the server's name, for a page; empty where this program did."""
    return gettext("by the server “%(name)s”") % {"name": server} if server else ""


def require_answering_server(name: str, models: Sequence[str]) -> None:
    """Asks the server now which models it has (OpenAI's GET /models).

    Raises ModelServerAway where it does not answer, ActionError where the settings do not name it, it may not be asked,
    it refuses the site's key, or it has not one of the `models`. A server that does not list its models, or wants a key
    that this process was not given, is there: no more can be said.
    """
    require_known_server({"name": name})
    try:
        status, answer = _models_of(name)
    except UserError as error:  # its address is not allowed
        raise ActionError(f"{error}.", code="model_server_refused") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise _away(name, type(error).__name__) from error
    if status in (401, 403) and _known(name).key:
        raise ActionError(
            gettext("The model server “%(name)s” refuses this site's key (%(status)s): tell an operator.")
            % {"name": name, "status": status},
            code="model_server_refused",
        )
    if status == 429 or status >= 500:
        raise _away(name, str(status))
    served = _names_in(answer) if status == 200 else None
    missing = [model for model in models if served is not None and model not in served]
    if missing:
        raise ActionError(
            gettext("The model server “%(name)s” has no model “%(model)s”; it has: %(served)s.")
            % {"name": name, "model": missing[0], "served": ", ".join(sorted(served or ())[:10]) or "–"},
            code="model_not_served",
        )


def _away(name: str, why: str) -> ModelServerAway:
    return ModelServerAway(
        gettext(
            "The model server “%(name)s” does not answer now (%(why)s): have it started, or start although it does "
            "not answer (servers_may_be_away)."
        )
        % {"name": name, "why": why}
    )


def _known(name: str) -> KnownServer:
    """Its key and the networks it may be in are the environment's alone."""
    return servers_in(os.environ).get(name) or KnownServer(name=name, address=settings.MODEL_SERVERS[name])


def _models_of(name: str) -> tuple[int, bytes]:
    """Status and body. Raises UserError, httpx's errors."""
    server, ends_at = _known(name), time.monotonic() + SECONDS
    headers = {"user-agent": "roundtable"} | ({"authorization": f"Bearer {server.key}"} if server.key else {})
    with (
        httpx.Client(
            transport=CheckedTransport(server),
            headers=headers,
            timeout=SECONDS,
            follow_redirects=False,
            trust_env=False,
        ) as client,
        client.stream("GET", f"{server.address}/models") as response,
    ):
        read = bytearray()
        for piece in response.iter_bytes():
            read += piece
            if len(read) > MAX_BYTES or time.monotonic() > ends_at:
                raise httpx.ReadTimeout("too long")
        return response.status_code, bytes(read)


def _names_in(answer: bytes) -> set[str] | None:
    """None where it is no list of models."""
    try:
        rows = json.loads(answer)["data"]
        return {str(row["id"]) for row in rows}
    except (ValueError, KeyError, TypeError):
        return None
