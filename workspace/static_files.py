"""Which static files are collected, and whether that was done by this version of the program."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import AppDirectoriesFinder, FileSystemFinder, get_finders
from django.core.files.storage import Storage

# Names of files and folders of the libraries that no page of ours asks for. To compress them took most of `make setup`.
NEVER_ASKED_FOR = [
    *(
        "rest_framework",
        "redoc",
        "oauth2-redirect.*",
        "swagger-ui-standalone-preset.*",
    ),  # drf, drf_spectacular_sidecar
    *("ext", "htmx-2.js", "htmx-4*", "htmax-*"),  # django_htmx
    *("bootstrap.css*", "bootstrap.rtl.css*", "bootstrap-*"),
    *("contrib", "katex.js", "katex.css", "katex-swap*"),
    *("modular", "src", "Sortable.js", "diff.js", "uPlot.iife.js", "*.cjs.js", "*.esm.js", "*.mjs", "*.d.ts"),
    *("jquery.js", "select2.full.js", "xregexp.js"),  # Django's admin, which names the .min.js
]


class CollectedFilesMixin:
    """Lists for `collectstatic` what some page asks for, and finds everything, for the server of development."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        yield from super().list([*(ignore_patterns or ()), *NEVER_ASKED_FOR])  # type: ignore[misc]


class ProjectFilesFinder(CollectedFilesMixin, FileSystemFinder):
    """Of STATICFILES_DIRS."""


class PackageFilesFinder(CollectedFilesMixin, AppDirectoriesFinder):
    """Of the installed apps."""


def files_to_collect() -> Iterator[tuple[str, str, Storage]]:
    """(its name on the site, its name in the storage, the storage) of every file that `collectstatic` takes."""
    for finder in get_finders():
        for name, storage in finder.list(ignore_patterns=None):
            prefix = getattr(storage, "prefix", None)
            yield f"{prefix}/{name}" if prefix else name, name, storage


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
    names = {name for name, _, _ in files_to_collect()} | set(settings.STATIC_BUNDLES)
    if missing := sorted(names - set(collected)):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"The static files were collected by another version ({missing[0]}{more} missing): {REMEDY}"
    return None
