"""What the site needs before it can serve a page, said at start instead of at the first request."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register("roundtable")
def static_files_are_collected(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    # These two come before the files are collected, or collect them.
    if sys.argv[1:2] in (["migrate"], ["collectstatic"]):
        return []
    backend = settings.STORAGES["staticfiles"]["BACKEND"]
    if "Manifest" in backend and not (Path(settings.STATIC_ROOT) / "staticfiles.json").is_file():
        return [
            Warning(
                f"The static files have not been collected into {settings.STATIC_ROOT}: pages cannot be served.",
                hint="Run `manage.py collectstatic --noinput` (`make setup` does).",
                id="roundtable.W001",
            )
        ]
    return []
