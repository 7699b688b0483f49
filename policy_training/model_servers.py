"""Servers of language models that a run may ask, as the site knows them: by name."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from workspace.errors import ActionError


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
