"""The site's settings with hardly any static files, whose collecting takes most of a minute."""

from config.settings import *  # noqa: F403

STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
STATICFILES_DIRS = [BASE_DIR / "static" / "runs"]  # noqa: F405
STATIC_BUNDLES: dict[str, tuple[str, ...]] = {}  # of files that are not here
