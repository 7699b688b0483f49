"""Whether the files that pages name have been collected, by this version of the program."""

import json
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders

REMEDY = "run `manage.py collectstatic --noinput` (`make setup` does)."


def describe_missing_static_files() -> str | None:
    """A sentence when files have not been collected, or not since the program was changed; None when all are there."""
    if "Manifest" not in settings.STORAGES["staticfiles"]["BACKEND"]:
        return None
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    try:
        collected = json.loads(manifest.read_text())["paths"]
    except (OSError, ValueError, KeyError):
        return f"The static files have not been collected into {settings.STATIC_ROOT}: {REMEDY}"
    names = (
        f"{storage.prefix}/{name}" if getattr(storage, "prefix", None) else name
        for finder in get_finders()
        for name, storage in finder.list(ignore_patterns=None)
    )
    if missing := sorted(name for name in {*names, *settings.STATIC_BUNDLES} if name not in collected):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"The static files were collected by another version ({missing[0]}{more} missing): {REMEDY}"
    return None
